"""Reports: whatever is asked, the parts add up to the total, and the total is that of the calls."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from attribution import ownership, registry, rollups
from attribution.models.events import CallStatus
from attribution.reports import CostQuery, Filter, Granularity, costs
from finops.core.errors import InvalidInput
from finops.core.meters import Meter
from finops.core.periods import Period
from tests.attribution.factory import Call, book, dimension_set, price_slot, rates

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)
OCTOBER = Period.month(2026, 10)
ZERO = Decimal(0)


def team(*slugs: str) -> None:
    for slug in slugs:
        registry.ensure_team(slug, actor="ann")


def ask(**fields: Any) -> dict[tuple[str | None, ...], dict[str, Any]]:
    """Groups' totals by key."""
    report = costs(CostQuery(**{"period": OCTOBER, **fields}))
    return {group.key: dict(group.total) for group in report.groups}


PRICES: dict[str, dict[Meter | int, str] | None] = {
    "dear": {Meter.INPUT: "2.5", Meter.CACHE_READ: "0.25", Meter.OUTPUT: "10"},
    "cheap": {Meter.INPUT: "0.1", Meter.OUTPUT: "0.4"},
    "unknown": None,
}


@pytest.fixture
def made() -> tuple[int, int]:
    team("search")
    return dimension_set(team="search"), price_slot(PRICES["dear"])


def test_a_feature_that_moves_on_the_15th_is_two_part_months() -> None:
    team("search", "chat")
    made = dimension_set(feature="f"), price_slot({Meter.INPUT: "1"})
    ownership.own_feature("f", "search", actor="ann")
    ownership.own_feature("f", "chat", effective_from=date(2026, 10, 15), actor="ann")
    book(Call(datetime(2026, 10, day, 12, tzinfo=UTC), *made, {"input": 10**6}) for day in range(1, 32))
    rollups.fold()

    assert ask(group_by=("team",), measures=("list_cost",)) == {
        ("chat",): {"list_cost": Decimal(17)},
        ("search",): {"list_cost": Decimal(14)},
    }


def test_as_of_answers_with_the_owners_and_prices_of_then(made: tuple[int, int]) -> None:
    team("chat")
    moved = dimension_set(feature="f")
    ownership.own_feature("f", "search", actor="ann")
    book([Call(NOON, moved, made[1], {"input": 10**6})])
    rollups.fold()
    before = datetime.now(UTC)

    ownership.own_feature("f", "chat", actor="ann")
    rates(made[1], {Meter.INPUT: "5"}, known_from=datetime.now(UTC))

    assert ask(group_by=("team",), measures=("list_cost",)) == {("chat",): {"list_cost": Decimal(5)}}
    assert ask(group_by=("team",), measures=("list_cost",), as_of=before) == {
        ("search",): {"list_cost": Decimal("2.5")}
    }


def test_a_price_that_changes_within_an_hour_is_two_slots_of_that_hour(made: tuple[int, int]) -> None:
    dearer = price_slot({Meter.INPUT: "5"}, effective_from=NOON)
    book(
        [
            Call(NOON - timedelta(seconds=1), *made, {"input": 10**6}),
            Call(NOON, made[0], dearer, {"input": 10**6}),
        ]
    )
    rollups.fold()

    report = costs(CostQuery(period=OCTOBER, granularity=Granularity.HOUR, measures=("list_cost",)))
    assert [(b.start, b.measures["list_cost"]) for b in report.buckets] == [
        (NOON.replace(minute=0), Decimal("7.5"))
    ]


def test_nothing_priced_is_not_zero_and_nothing_used_is(made: tuple[int, int]) -> None:
    book([Call(NOON, made[0], price_slot(model="mystery"), {"input": 9, "output": 1})])
    rollups.fold()

    report = costs(
        CostQuery(period=OCTOBER, group_by=("model",), measures=("effective_cost", "unpriced_calls"))
    )
    assert report.total == {"effective_cost": None, "unpriced_calls": 1}
    assert report.coverage.unpriced_quantities == {"input": Decimal(9), "output": Decimal(1)}
    assert costs(CostQuery(period=Period.month(2026, 9))).total["effective_cost"] == 0


def test_calls_without_a_customer_are_not_priced_by_those_of_customers() -> None:
    """Each is the rest of a day: what customers used up entirely leaves no zero behind."""
    owned = dimension_set()
    book(
        [
            Call(
                NOON,
                owned,
                price_slot({Meter.INPUT: "1", Meter.AUDIO_INPUT: "1"}),
                {"input": 5},
                {7: "3"},
                customer="a",
            ),
            Call(NOON, owned, price_slot(model="mystery"), {"input": 5}),
        ]
    )
    rollups.fold()

    assert ask(group_by=("customer",), measures=("list_cost", "calls")) == {
        ("a",): {"list_cost": Decimal("0.000008"), "calls": 1},
        (None,): {"list_cost": None, "calls": 1},
    }


def test_a_meter_without_a_price_is_left_out_and_named(made: tuple[int, int]) -> None:
    book([Call(NOON, *made, {"input": 10**6, "cache_write": 7})])
    rollups.fold()

    report = costs(CostQuery(period=OCTOBER, measures=("list_cost", "unpriced_calls")))
    assert report.total == {"list_cost": Decimal("2.5"), "unpriced_calls": 0}
    assert report.coverage.unpriced_quantities == {"cache_write": Decimal(7)}


def test_wire_tokens_are_put_together_from_disjoint_meters(made: tuple[int, int]) -> None:
    hot = {"input": 1, "cache_read": 2, "cache_write": 4, "cache_write_1h": 8, "output": 16, "reasoning": 32}
    rare = {Meter.AUDIO_INPUT: 64, Meter.AUDIO_CACHED: 128, Meter.AUDIO_OUTPUT: 256}
    rare |= {Meter.IMAGE_INPUT: 512, Meter.IMAGE_CACHED: 1024, Meter.IMAGE_OUTPUT: 2048}
    book([Call(NOON, *made, hot, {meter: str(n) for meter, n in rare.items()})])
    rollups.fold()

    expected = {
        "input_tokens": 1 + 2 + 4 + 8 + 64 + 128 + 512 + 1024,
        "uncached_input_tokens": 1 + 64 + 512,
        "cache_read_tokens": 2 + 128 + 1024,
        "cache_write_tokens": 4 + 8,
        "cache_write_1h_tokens": 8,
        "output_tokens": 16 + 32 + 256 + 2048,
        "reasoning_tokens": 32,
        "audio_input_tokens": 64 + 128,
        "audio_cached_tokens": 128,
        "audio_output_tokens": 256,
        "image_input_tokens": 512 + 1024,
        "image_cached_tokens": 1024,
        "image_output_tokens": 2048,
    }
    assert ask(measures=tuple(expected)) == {(): expected}


def test_users_and_tasks_are_different_ones_of_the_whole_group(made: tuple[int, int]) -> None:
    team("chat")
    other = dimension_set(team="chat")
    book(
        [
            Call(NOON, *made, end_user="u1", task_id="t1"),
            Call(NOON + timedelta(days=1), *made, end_user="u1", task_id="t2"),
            Call(NOON, other, made[1], end_user="u1"),
            Call(NOON, other, made[1], end_user="u2"),
            Call(NOON, other, made[1]),
        ]
    )
    rollups.fold()

    measures = ("active_users", "tasks")
    report = costs(
        CostQuery(period=OCTOBER, granularity=Granularity.DAY, group_by=("team",), measures=measures)
    )
    assert report.total == {"active_users": 2, "tasks": 2}
    assert {g.key: dict(g.total) for g in report.groups} == {
        ("chat",): {"active_users": 2, "tasks": 0},
        ("search",): {"active_users": 1, "tasks": 2},
    }
    assert [b.measures["active_users"] for b in report.buckets] == [2, 1]


@given(st.lists(st.integers(20, 600_000), min_size=200, max_size=400))
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_percentiles_are_within_a_histogram_step(durations: list[int]) -> None:
    with transaction.atomic():
        team("search")
        made = dimension_set(team="search"), price_slot()
        book(Call(NOON, *made, duration_ms=ms) for ms in durations)
        rollups.fold()
        total = ask(measures=("p50_duration_ms", "p95_duration_ms"))[()]
        transaction.set_rollback(True)

    ordered = sorted(durations)
    for name, share in (("p50_duration_ms", 0.5), ("p95_duration_ms", 0.95)):
        exact = ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]
        assert total[name] == pytest.approx(exact, rel=0.045, abs=1)


def test_percentiles_are_the_same_from_the_coarse_and_from_the_fine_histogram() -> None:
    """By team the coarse one is read, with the model in the question the fine one."""
    team("search", "chat")
    slot = price_slot()
    sets = [
        dimension_set(team=name, step=step, environment=environment)
        for name in ("search", "chat")
        for step in ("a", "b")
        for environment in ("", "production")
    ]
    book(Call(NOON + timedelta(hours=7 * n), sets[n % 8], slot, duration_ms=50 + n * n) for n in range(80))
    rollups.fold()

    measures = ("p50_duration_ms", "p95_duration_ms")
    coarse = ask(group_by=("team",), measures=measures)
    fine = ask(group_by=("team", "model"), measures=measures)
    assert coarse == {key[:1]: total for key, total in fine.items()}
    assert len(coarse) == 2


def test_percentiles_over_whole_months_follow_an_owner_that_changes_inside_one() -> None:
    """Months stand for their days, save where ownership is cut: then the days themselves are read."""
    team("search", "chat")
    slot = price_slot()
    sets = [dimension_set(feature="finder"), dimension_set(team="chat")]
    ownership.own_feature("finder", "search", actor="ann")
    ownership.own_feature("finder", "chat", effective_from=date(2026, 9, 15), actor="ann")
    start = datetime(2026, 7, 20, 12, tzinfo=UTC)
    book(Call(start + timedelta(days=n), sets[n % 2], slot, duration_ms=50 + n * n) for n in range(120))
    rollups.fold()

    measures = ("p50_duration_ms", "p95_duration_ms")
    for period in (
        Period(date(2026, 7, 25), date(2026, 11, 10)),
        Period(date(2026, 9, 1), date(2026, 10, 1)),
    ):
        for granularity in (Granularity.TOTAL, Granularity.MONTH):
            asked: dict[str, Any] = {"period": period, "granularity": granularity, "measures": measures}
            coarse = ask(group_by=("team",), **asked)
            fine = ask(group_by=("team", "model"), **asked)
            assert coarse == {key[:1]: total for key, total in fine.items()}
            assert set(coarse) == {("search",), ("chat",)}


def test_by_customer_users_tasks_and_durations_are_read_from_the_calls(made: tuple[int, int]) -> None:
    book(
        [
            Call(NOON, *made, end_user="u1", task_id="t1", duration_ms=100, customer="acme"),
            Call(NOON + timedelta(days=1), *made, end_user="u1", duration_ms=100, customer="acme"),
            Call(NOON, *made, end_user="u2", duration_ms=5000, customer="zed"),
            Call(NOON, *made, end_user="u1"),
        ]
    )
    rollups.fold()
    book([Call(NOON, *made, end_user="u9", customer="acme")])

    measures = ("active_users", "tasks", "p50_duration_ms", "calls")
    found = ask(group_by=("customer",), measures=measures)
    assert {key: (total["active_users"], total["tasks"], total["calls"]) for key, total in found.items()} == {
        ("acme",): (1, 1, 2),
        ("zed",): (1, 0, 1),
        (None,): (1, 0, 1),
    }
    assert found["acme",]["p50_duration_ms"] == pytest.approx(100, rel=0.03)
    assert found[None,]["p50_duration_ms"] is None
    assert ask(filters={"customer": Filter(("zed",), negated=True)}, measures=measures[:1])[()] == {
        "active_users": 1
    }


@pytest.mark.usefixtures("_no_days")
def test_by_customer_what_retention_took_is_refused(made: tuple[int, int]) -> None:
    book([Call(NOON, *made, customer="acme", end_user="u")])
    rollups.fold()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE call_event_20261005, call_unit_20261005")

    assert ask(group_by=("customer",), measures=("calls",)) == {("acme",): {"calls": 1}}
    with pytest.raises(InvalidInput, match="single calls"):
        ask(group_by=("customer",), measures=("active_users",))


def test_percentiles_of_a_smooth_load_are_one_per_cent_exact(made: tuple[int, int]) -> None:
    book(Call(NOON, *made, duration_ms=200 + 3 * n) for n in range(2000))
    rollups.fold()

    total = ask(measures=("p50_duration_ms", "p95_duration_ms"))[()]
    assert total["p50_duration_ms"] == pytest.approx(200 + 3 * 1000, rel=0.01)
    assert total["p95_duration_ms"] == pytest.approx(200 + 3 * 1900, rel=0.01)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"team": Filter(("search",))}, 1),
        ({"team": Filter(("search",), negated=True)}, 3),
        ({"team": Filter(empty=True)}, 2),
        ({"team": Filter(("chat",), empty=True)}, 3),
        ({"team": Filter(empty=True, negated=True)}, 2),
        ({"customer": Filter(("acme",))}, 1),
        ({"customer": Filter(empty=True)}, 2),
        ({"customer": Filter(("acme",), negated=True)}, 3),
        ({"customer": Filter(("acme",), empty=True)}, 3),
        ({"model": Filter(("cheap",)), "team": Filter(("chat",))}, 1),
        ({"model_tier": Filter(("budget",))}, 1),
        ({"model_tier": Filter(empty=True)}, 1),
        ({"charge_kind": Filter(("usage",))}, 4),
        ({"charge_kind": Filter(("pool",))}, 0),
        ({"source": Filter(("nowhere",))}, 0),
    ],
)
def test_filters_keep_what_they_say_whatever_is_grouped_by(filters: dict[str, Filter], expected: int) -> None:
    team("search", "chat")
    slots = {model: price_slot(prices, model=model) for model, prices in PRICES.items()}
    book(
        [
            Call(NOON, dimension_set(team="search"), slots["dear"], customer="acme"),
            Call(NOON, dimension_set(team="chat"), slots["cheap"], customer="zed"),
            Call(NOON, dimension_set(team="nobody"), slots["unknown"]),
            Call(NOON, dimension_set(), slots["dear"]),
        ]
    )
    rollups.fold()

    for group_by in ((), ("team",), ("customer", "model"), ("model_tier", "charge_kind")):
        report = costs(CostQuery(period=OCTOBER, group_by=group_by, filters=filters, measures=("calls",)))
        assert report.total["calls"] == expected
        assert sum(int(group.total["calls"] or 0) for group in report.groups) == expected


def test_who_is_bound_to_teams_gets_theirs_and_nothing_of_nobody(made: tuple[int, int]) -> None:
    team("chat")
    book(
        [
            Call(NOON, *made),
            Call(NOON, dimension_set(team="chat"), made[1]),
            Call(NOON, dimension_set(), made[1]),
        ]
    )
    rollups.fold()

    seen = frozenset({"search"})
    assert ask(group_by=("team",), measures=("calls",), visible_teams=seen) == {("search",): {"calls": 1}}
    assert ask(group_by=("team",), measures=("calls",), visible_teams=frozenset()) == {}


def test_errors_retries_and_tool_calls_are_counted(made: tuple[int, int]) -> None:
    book(Call(NOON, *made, status=status, attempt=2, tool_calls=3) for status in CallStatus)
    rollups.fold()

    measures = ("calls", "errors", "retries", "tool_calls")
    assert ask(measures=measures)[()] == {"calls": 5, "errors": 2, "retries": 5, "tool_calls": 15}


def test_what_is_acknowledged_and_not_folded_is_said(made: tuple[int, int]) -> None:
    book([Call(NOON, *made)], received_at=NOON)

    watermark = costs(CostQuery(period=OCTOBER)).coverage.watermark
    assert (watermark.complete_to, watermark.pending_calls) == (NOON, 1)


def test_a_question_that_makes_no_sense_names_every_fault() -> None:
    with pytest.raises(InvalidInput) as refused:
        CostQuery(
            period=OCTOBER,
            granularity=Granularity.HOUR,
            group_by=("colour", "team", "team"),
            filters={"size": Filter(("1",))},
            measures=("beauty", "tasks"),
        )
    assert {(p.field, p.code) for p in refused.value.problems} == {
        ("group_by", "unknown"),
        ("filter", "unknown"),
        ("measures", "unknown"),
        ("measures", "too_fine"),
        ("group_by", "repeated"),
    }
