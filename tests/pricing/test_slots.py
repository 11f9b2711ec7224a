"""Slots: what a batch resolves to, and that SQL over their rates agrees with the arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext

import numpy as np
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from finops.core.meters import Meter, Usage, partition
from finops.core.money import EXACT
from pricing import slots
from pricing.catalogue import published_book
from pricing.facts import Facts, normalise
from pricing.models import PriceSlot, SlotRate
from pricing.rating import Status, rate_usage
from pricing.slots import SlotBook
from tests import price_list

pytestmark = pytest.mark.django_db


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1_000_000)


def resolve(book: SlotBook, *events: tuple[Facts, str, int]) -> list[int]:
    facts = [fact for fact, *_ in events]
    times = np.array([instant(at) for _, at, _ in events], dtype=np.int64)
    prompts = np.array([prompt for *_, prompt in events], dtype=np.int64)
    return [int(slot) for slot in book.resolve(facts, times, prompts)]


@pytest.fixture
def book(db: None) -> SlotBook:
    price_list.load()
    return SlotBook()


SOL = Facts("openai", "gpt-5.6-sol")
NOON = "2026-11-10T12:00:00Z"


def test_same_price_is_one_slot_and_another_band_or_interval_another(book: SlotBook) -> None:
    first, same, long, before, spelt = resolve(
        book,
        (SOL, NOON, 0),
        (SOL, NOON, 272_000),
        (SOL, NOON, 272_001),
        (SOL, "2026-08-20T23:59:59.999999Z", 5),
        (Facts("OpenAI", "gpt-5.6-sol", service_tier="default", region="global"), NOON, 5),
    )

    assert first == same
    assert len({first, long, before, spelt}) == 4
    slot = PriceSlot.objects.get(pk=long)
    assert (slot.context_over, slot.context_upto) == (272_000, None)
    assert slot.effective_from == datetime(2026, 8, 21, tzinfo=UTC)
    assert (slot.service_tier, slot.processing, slot.speed) == ("standard", "sync", "standard")
    assert PriceSlot.objects.get(pk=before).effective_to == datetime(2026, 8, 21, tzinfo=UTC)


def test_warm_book_asks_the_database_nothing(
    book: SlotBook, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(book, (SOL, NOON, 10))
    monkeypatch.setattr(slots, "_LOOK_AGAIN_AFTER", 3600)

    with django_assert_num_queries(0):
        resolve(book, (SOL, NOON, 11), (SOL, NOON, 12))


def test_unknown_model_gets_an_open_slot_without_rates(book: SlotBook) -> None:
    (slot,) = resolve(book, (Facts("acme", "model-x"), NOON, 10))

    stored = PriceSlot.objects.get(pk=slot)
    assert (stored.effective_from, stored.effective_to, stored.context_upto) == (None, None, None)
    assert not SlotRate.objects.filter(slot=slot).exists()


def test_peak_hours_are_slots_of_their_own(book: SlotBook) -> None:
    pro = Facts("deepseek", "deepseek-v4-pro")
    peak, night, saturday, holiday, end = resolve(
        book,
        (pro, "2026-11-11T02:00:00Z", 1),
        (pro, "2026-11-11T05:00:00Z", 1),
        (pro, "2026-11-14T02:00:00Z", 1),
        (pro, "2026-10-06T02:00:00Z", 1),
        (pro, "2026-11-11T04:00:00Z", 1),
    )

    assert night == saturday == holiday == end != peak
    assert PriceSlot.objects.get(pk=peak).schedule == "peak"


def test_book_knows_the_least_that_a_call_is_charged_for(book: SlotBook) -> None:
    whisper, other = resolve(book, (Facts("groq", "whisper-large-v3"), NOON, 0), (SOL, NOON, 0))

    assert book.charged(whisper, "audio_seconds", Decimal(2)) == 10
    assert book.charged(whisper, "audio_seconds", Decimal("12.5")) == Decimal("12.5")
    assert book.charged(other, "audio_seconds", Decimal(2)) == 2


def test_two_books_make_the_same_slots(book: SlotBook) -> None:
    events = [(SOL, NOON, 10), (Facts("acme", "model-x"), NOON, 10), (SOL, NOON, 300_000)]

    assert resolve(book, *events) == resolve(SlotBook(), *events)
    assert PriceSlot.objects.count() == 3


def test_book_notices_that_its_slots_are_gone(book: SlotBook) -> None:
    resolve(book, (SOL, NOON, 10))
    SlotRate.objects.all().delete()
    PriceSlot.objects.all().delete()
    book._looked_at = 0

    (slot,) = resolve(book, (SOL, NOON, 10))

    assert PriceSlot.objects.filter(pk=slot).exists()


COST_SQL = """
    SELECT u.meter_id, u.quantity * r.list_price, u.quantity * r.saving_price
    FROM unnest(%s::smallint[], %s::numeric[]) u (meter_id, quantity)
    LEFT JOIN slot_rate r ON r.slot_id = %s AND r.meter_id = u.meter_id AND r.known_to IS NULL
"""


def sql_cost(slot: int, quantities: dict[int, Decimal]) -> tuple[Decimal | None, Decimal, bool]:
    """Cost and saving as reports compute them, and whether every meter has a price."""
    with connection.cursor() as cursor:
        cursor.execute(COST_SQL, [list(quantities), list(quantities.values()), slot])
        rows = cursor.fetchall()
    priced = [cost for _, cost, _ in rows if cost is not None]
    with localcontext(EXACT):
        saving = sum((saving for *_, saving in rows if saving is not None), Decimal(0))
        return (sum(priced, Decimal(0)) if priced or not rows else None), saving, len(priced) == len(rows)


MODELS = [
    Facts("openai", "gpt-5.6-sol"),
    Facts("openai", "gpt-5.4", region="eu"),
    Facts("openai", "gpt-4.1", processing="batch"),
    Facts("openai", "gpt-5-pro"),
    Facts("openai", "o4-mini", service_tier="flex"),
    Facts("anthropic", "claude-sonnet-4-5-20250929"),
    Facts("anthropic", "claude-opus-5", region="us", speed="fast"),
    Facts("anthropic", "claude-haiku-5-5", from_response_cache=True),
    Facts("aws", "anthropic.claude-sonnet-4-6", region="us-east-1"),
    Facts("google", "gemini-2.5-flash"),
    Facts("deepseek", "deepseek-v4-pro"),
    Facts("deepseek", "deepseek-reasoner"),
    Facts("xai", "grok-4.3"),
    Facts("mistral", "mistral-medium-latest"),
    Facts("acme", "model-x"),
]


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    count = st.integers(0, 250_000)
    read, write, hour, text = draw(count), draw(count), draw(count), draw(count)
    audio, audio_cached = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    reasoning, output = draw(count), draw(count)
    return Usage(
        input_tokens=read + write + hour + text + audio + audio_cached,
        cache_read_tokens=read + audio_cached,
        cache_write_tokens=write + hour,
        cache_write_1h_tokens=hour,
        output_tokens=output + reasoning,
        reasoning_tokens=reasoning,
        audio_input_tokens=audio + audio_cached,
        audio_cached_tokens=audio_cached,
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    facts=st.sampled_from(MODELS),
    at=st.integers(
        int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2027, 3, 1, tzinfo=UTC).timestamp())
    ),
    usage=usages(),
    searches=st.integers(0, 3),
)
def test_sql_over_slot_rates_and_the_arithmetic_agree_to_the_last_digit(
    book: SlotBook, facts: Facts, at: int, usage: Usage, searches: int
) -> None:
    slot = int(book.resolve([facts], np.array([at * 1_000_000]), np.array([usage.input_tokens]))[0])
    units = {"web_search_calls": Decimal(searches)} if searches else {}
    quantities = {int(meter): Decimal(count) for meter, count in partition(usage).items() if count}
    numbers = book.unit_meter_ids(units)
    quantities |= {numbers[name]: quantity for name, quantity in units.items()}

    rating = rate_usage(published_book().tariff(normalise(facts)), at=at, usage=usage, units=units)
    cost, saving, complete = sql_cost(slot, quantities)

    priced_something = rating.cost if quantities else cost
    assert (cost, saving) == (priced_something, rating.saving)
    assert complete is (rating.status is Status.PRICED or not quantities)
    assert set(
        SlotRate.objects.filter(slot=slot, meter_id__lt=100).values_list("meter_id", flat=True)
    ) <= set(Meter)
