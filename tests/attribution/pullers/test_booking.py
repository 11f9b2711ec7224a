"""What no client told of is booked once; what clients told of, never again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from attribution import rollups
from attribution.ingest.intake import Sender, take_in
from attribution.ingest.native import from_records
from attribution.models import DataImport, DayState, ProviderDay, ProviderMapping, ProviderUsage
from attribution.pullers import booking
from attribution.pullers.providers import Provider
from attribution.pullers.pulling import pull
from attribution.pullers.remainders import remainder
from tests.attribution.pullers.conftest import in_the_books, mapped, rows
from tests.attribution.pullers.upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)
DAYS = timedelta(days=3)
COMPLETIONS = "/organization/usage/completions"
Tell = Callable[..., None]


@pytest.fixture
def tell(first: date) -> Tell:
    """Let a client tell of a call on the first day."""

    def send(event_id: str = "e-1", day: date = first, **said: Any) -> None:
        event = {
            "event_id": event_id,
            "occurred_at": datetime.combine(day, time(15), UTC).isoformat(),
            "provider": "openai",
            "model": "gpt-4o",
            "usage": {"input_tokens": 1_000, "cache_read_tokens": 600, "output_tokens": 200},
            **said,
        }
        outcome = take_in(from_records([event]), Sender("shop"))
        assert (outcome.accepted, outcome.arrivals.rejected) == (1, [])

    return send


def test_without_a_mapping_nothing_is_booked(openai: Provider, first: date) -> None:
    assert pull(openai, first, first + DAYS).booked == booking.Booked()
    assert ProviderUsage.objects.count() == 4
    assert in_the_books() == []


def test_what_clients_told_of_is_taken_off(openai: Provider, first: date, tell: Tell) -> None:
    mapped(first, names={"team": "search", "feature": "shop-assistant"})
    tell()
    tell("elsewhere", source="other-service")
    tell("cached", response_cache="hit")
    tell("another provider", provider="azure")

    booked = pull(openai, first, first + DAYS).booked

    assert (booked.days, booked.events, booked.held) == (2, 2, 0)
    model = "gpt-4o-2024-08-06"
    assert in_the_books() == [
        # 41,000 reported less 1,000 told: 24,600 uncached, 15,400 read from the cache.
        (first, model, 24_600, 15_400, 5_000, "usage_report"),
        (first + timedelta(days=2), model, 4_500, 2_000, 800, "usage_report"),
    ]
    names = rows("SELECT DISTINCT team, feature FROM dimension_set WHERE source = 'openai-usage-api'")
    assert names == [("search", "shop-assistant")]


def test_a_day_is_booked_once_and_what_differs_later_is_listed(
    openai: Provider, upstream: Upstream, first: date, tell: Tell
) -> None:
    mapped(first)
    pull(openai, first, first + DAYS)
    before = in_the_books()
    tell()
    upstream.rows(COMPLETIONS)[0]["output_tokens"] += 300

    booked = pull(openai, first, first + DAYS).booked

    assert in_the_books() == before
    assert (booked.days, booked.differing) == (0, 1)
    assert ProviderDay.objects.get(day=first).difference == {
        "input_tokens": -1_000,
        "cache_read_tokens": -600,
        "output_tokens": 100,
    }
    assert ProviderDay.objects.get(day=first + timedelta(days=2)).difference == {}


def test_nothing_is_left_where_clients_told_of_everything(openai: Provider, first: date, tell: Tell) -> None:
    mapped(first)
    tell(
        usage={
            "input_tokens": 41_000,
            "cache_read_tokens": 16_000,
            "output_tokens": 5_200,
            "reasoning_tokens": 9,
        }
    )
    pull(openai, first, first + timedelta(days=1))

    day = ProviderDay.objects.get()
    assert (day.state, day.events, in_the_books()) == (DayState.BOOKED, [], [])


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"usage": {"input_tokens": 41_001}}, "more than the provider reports: gpt-4o standard sync"),
        ({"usage": {"input_tokens": 1, "cache_write_tokens": 1}}, "more than the provider reports"),
        ({"usage": {"input_tokens": 30_000}}, "more than the provider reports"),
        ({"model": "gpt-5"}, "does not report: gpt-5"),
        ({"service_tier": "flex"}, "does not report: gpt-4o flex"),
        ({"processing": "batch"}, "does not report: gpt-4o standard batch"),
    ],
)
def test_a_day_that_is_not_certain_is_held(
    openai: Provider, first: date, tell: Tell, said: Mapping[str, Any], reason: str
) -> None:
    mapped(first)
    tell(**said)

    booked = pull(openai, first, first + timedelta(days=1)).booked

    day = ProviderDay.objects.get()
    assert (day.state, booked.held, in_the_books()) == (DayState.HELD, 1, [])
    assert reason in day.reason


def test_two_rows_that_calls_may_be_of_hold_the_day(
    openai: Provider, upstream: Upstream, first: date, tell: Tell
) -> None:
    web = upstream.rows(COMPLETIONS)[0]
    upstream.rows(COMPLETIONS).append({**web, "model": "gpt-4o-2024-11-20"})
    mapped(first)
    pull(openai, first, first + timedelta(days=1))
    assert len(in_the_books()) == 2

    ProviderDay.objects.all().delete()
    tell()
    rollups.fold(wait=True)
    assert "in 2 rows" in remainder(ProviderMapping.objects.get(), first).reason


def test_a_held_day_is_booked_once_it_is_certain(
    openai: Provider, upstream: Upstream, first: date, tell: Tell
) -> None:
    mapped(first)
    upstream.rows(COMPLETIONS)[0]["model"] = None
    assert pull(openai, first, first + timedelta(days=1)).booked.held == 1
    assert "cannot be read" in ProviderDay.objects.get().reason

    upstream.rows(COMPLETIONS)[0]["model"] = "gpt-4o-2024-08-06"
    assert pull(openai, first, first + timedelta(days=1)).booked.days == 1
    assert ProviderDay.objects.get().reason == ""


def test_a_report_that_was_imported_from_a_file_is_not_booked_again(
    openai: Provider, first: date, tell: Tell
) -> None:
    mapped(first, sources=[])
    tell("row", source="files", operation="usage_report", tags={"api_key_id": "key_web"})
    tell(
        "other", first + timedelta(days=2), source="files", operation="usage_report", tags={"api_key_id": "k"}
    )

    pull(openai, first, first + DAYS)

    states = dict(ProviderDay.objects.values_list("day", "state"))
    assert states == {first: DayState.HELD, first + timedelta(days=2): DayState.BOOKED}


def test_a_report_that_is_imported_after_it_was_booked_is_noticed(
    openai: Provider, first: date, tell: Tell
) -> None:
    mapped(first)
    pull(openai, first, first + timedelta(days=1))
    tell("row", source="files", operation="usage_report", tags={"api_key_id": "key_web"})

    assert pull(openai, first, first + timedelta(days=1)).booked.differing == 1
    assert "imported from a file" in ProviderDay.objects.get().doubt


def test_a_file_of_what_was_read_and_booked_is_refused(
    openai: Provider, first: date, tmp_path: Path, settings: Settings
) -> None:
    settings.IMPORTS_DIR = tmp_path / "imports"
    mapped(first, sources=[])
    pull(openai, first, first + timedelta(days=1))
    before = in_the_books()
    midnight = int(datetime.combine(first, time(), UTC).timestamp())
    row = {"model": "gpt-4o-2024-08-06", "num_model_requests": 1, "input_tokens": 70, "output_tokens": 7}

    def bring(name: str, **bounds: int) -> tuple[int, int]:
        rows = [{**row, "api_key_id": key} for key in ("key_web", "key_elsewhere", None)]
        day = {"start_time": midnight, "end_time": midnight + 86_400, **bounds}
        (tmp_path / name).write_text(json.dumps({"data": [{**day, "results": rows}]}))
        call_command("import_events", str(tmp_path / name), format="openai_usage", stderr=StringIO())
        made = DataImport.objects.earliest("-pk")
        return made.accepted, made.refused

    # That of the key that was read, and the sum of all keys, which contains it.
    assert bring("day.json") == (1, 2)
    assert bring("hour.json", end_time=midnight + 3_600)[0] == 0
    assert bring("after.json", start_time=midnight + 86_400, end_time=midnight + 90_000) == (3, 0)
    assert in_the_books() == before
    assert pull(openai, first, first + timedelta(days=1)).booked.differing == 0


def test_days_that_are_not_settled_or_before_the_mapping_wait(
    openai: Provider, upstream: Upstream, settings: Settings
) -> None:
    today = datetime.now(UTC).date()
    upstream.first = today - timedelta(days=5)  # rows on the fifth and the third last day
    mapped(today - timedelta(days=30))
    start = today - timedelta(days=6)

    settings.PROVIDER_SETTLE_DAYS = 5
    assert pull(openai, start, today).booked.days == 0
    settings.PROVIDER_SETTLE_DAYS = 3
    assert pull(openai, start, today).booked.days == 1
    settings.PROVIDER_SETTLE_DAYS = 2
    mapped(today)
    assert pull(openai, start, today).booked.days == 0
    mapped(today - timedelta(days=30))
    assert pull(openai, start, today).booked.days == 1


def test_a_process_that_died_while_it_booked_books_the_rest(
    openai: Provider, first: date, tell: Tell
) -> None:
    mapping = mapped(first)
    pull(openai, first, first + DAYS)
    books = in_the_books()
    ProviderDay.objects.update(state=DayState.BOOKING)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM call_event WHERE output = 800")
    tell()  # changes what would be decided now, not what was

    booked = booking.settle(openai, first, first + DAYS)

    assert (booked.days, in_the_books()) == (2, books)
    assert set(mapping.days.values_list("state", "reason")) == {(DayState.BOOKED, "")}


def test_what_the_books_refuse_is_said_and_not_counted_as_booked(openai: Provider, first: date) -> None:
    mapped(first, names={"feature": "not a slug"})
    booked = pull(openai, first, first + DAYS).booked

    day = ProviderDay.objects.get(day=first)
    assert (booked.events, day.events) == (0, [])
    assert "1 refused, feature: " in day.reason
    pull(openai, first, first + DAYS)
    day.refresh_from_db()
    assert day.difference["output_tokens"] == 5_200


def test_a_project_is_all_its_keys_but_those_of_others(openai: Provider, first: date) -> None:
    mapped(first)
    mapped(first, name="shop", api_keys=[], projects=["proj_shop"], sources=[])

    pull(openai, first, first + timedelta(days=1))

    owners = {(day.mapping.name, len(day.events)) for day in ProviderDay.objects.all()}
    assert owners == {("web", 1), ("shop", 1)}
    assert [row[1] for row in in_the_books()] == ["gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18"]


def test_anthropic_with_searches_and_caches(anthropic: Provider, first: date, tell: Tell) -> None:
    said = {"provider": "anthropic", "name": "care", "api_keys": ["apikey_01support"]}
    mapped(first, **said)
    tell(
        provider="anthropic",
        model="claude-sonnet-4-5",
        usage_semantics="anthropic",
        usage={
            "input_tokens": 800,
            "cache_read_tokens": 2_000,
            "cache_write_tokens": 500,
            "cache_write_1h_tokens": 400,
            "output_tokens": 100,
            "units": {"web_search_calls": 1},
        },
    )

    pull(anthropic, first, first + timedelta(days=1))

    assert rows(
        "SELECT c.input, c.cache_read, c.cache_write, c.cache_write_1h, c.output, u.quantity"
        " FROM call_event c JOIN dimension_set d ON d.id = c.dimension_set_id"
        " JOIN call_unit u ON u.identity = c.identity"
        " WHERE d.source = 'anthropic-usage-api'"
    ) == [(1_000, 10_000, 200, 300, 2_000, Decimal(3))]


def test_fast_calls_are_booked_as_fast_and_taken_off_fast_ones_only(
    anthropic: Provider, upstream: Upstream, first: date, tell: Tell
) -> None:
    told = upstream.rows("/organizations/usage_report/messages")
    told[0]["speed"] = "standard"
    told.append({**told[0], "speed": "fast", "inference_geo": "not_available"})
    mapped(first, provider="anthropic", name="care", api_keys=["apikey_01support"])
    tell(provider="anthropic", model="claude-sonnet-4-5", speed="fast", usage={"output_tokens": 100})

    pull(anthropic, first, first + timedelta(days=1))

    assert rows(
        "SELECT s.speed, s.region, c.output FROM call_event c JOIN price_slot s ON s.id = c.slot_id"
        " JOIN dimension_set d ON d.id = c.dimension_set_id"
        " WHERE d.source = 'anthropic-usage-api' ORDER BY 1"
    ) == [("fast", "", 2_000), ("standard", "", 2_100)]
    headers = upstream.asked[0][2]
    assert "speed" in upstream.asked[0][1]["group_by[]"]
    assert headers["anthropic-beta"] == "fast-mode-2026-02-01"


def test_audio_and_images_are_taken_off_too(
    openai: Provider, upstream: Upstream, first: date, tell: Tell
) -> None:
    upstream.rows(COMPLETIONS)[0] |= {
        "input_audio_tokens": 300,
        "input_cached_audio_tokens": 100,
        "output_audio_tokens": 50,
        "input_image_tokens": 20,
    }
    mapped(first)
    tell(
        usage={
            "input_tokens": 1_000,
            "cache_read_tokens": 600,
            "audio_input_tokens": 90,
            "audio_cached_tokens": 40,
            "output_tokens": 200,
            "audio_output_tokens": 5,
            "image_input_tokens": 20,
        }
    )

    pull(openai, first, first + timedelta(days=1))

    day = ProviderDay.objects.get()
    assert (day.state, day.reason) == (DayState.BOOKED, "")
    usage = {name: count for name, count in day.events[0]["usage"].items() if count}
    assert usage == {
        "input_tokens": 40_000,
        "cache_read_tokens": 15_400,
        "output_tokens": 5_000,
        "audio_input_tokens": 310,
        "audio_cached_tokens": 60,
        "audio_output_tokens": 45,
    }


def test_what_is_booked_reaches_the_reports(openai: Provider, first: date) -> None:
    mapped(first)
    pull(openai, first, first + DAYS)
    rollups.fold(wait=True)

    assert rows("SELECT sum(output) FROM usage_day") == [(6_000,)]
