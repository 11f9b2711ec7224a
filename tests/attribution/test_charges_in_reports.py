"""Charges in reports: the same total whatever is asked, every kind a group, no call and no price touched."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from attribution import registry, rollups
from attribution.charge_lines import charge_lines
from attribution.cost_query import CHARGED
from attribution.meter_lines import meter_lines
from attribution.models import Part
from attribution.reports import MEASURES, CostQuery, Filter, Granularity, costs
from finops.core.errors import InvalidInput
from finops.core.meters import Meter
from finops.core.periods import Period
from pricing.models import Commitment, FxRate
from tests.attribution.charges import charge, noon
from tests.attribution.factory import EPOCH, Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
OCTOBER = Period.month(2026, 10)
AUTUMN = Period(date(2026, 10, 1), date(2026, 12, 1))
FIFTH = date(2026, 10, 5)
ZERO = Decimal(0)


@pytest.fixture
def shop() -> tuple[int, int]:
    """One call of team search on the 5th: list 2.5, contracted 2.25, effective 2, billed 2.25."""
    registry.ensure_team("search", actor="ann")
    made = dimension_set(team="search", feature="f"), price_slot({Meter.INPUT: "2.5"})
    book(
        [
            Call(
                noon(FIFTH),
                *made,
                {"input": 10**6},
                customer="acme",
                end_user="u",
                task_id="t",
                duration_ms=9,
            )
        ]
    )
    rollups.fold()
    return made


@pytest.fixture
def nobodys() -> tuple[int, int]:
    """A set and a slot that no call has, as those of purchases and unused capacity."""
    return dimension_set(source="commitments"), price_slot(model="", provider="azure")


def ask(*group_by: str, **fields: Any) -> dict[tuple[str | None, ...], dict[str, Any]]:
    report = costs(CostQuery(**{"period": OCTOBER, "group_by": group_by, **fields}))
    return {group.key: dict(group.total) for group in report.groups}


def test_every_kind_of_charge_is_a_group_beside_usage(
    shop: tuple[int, int], nobodys: tuple[int, int]
) -> None:
    charge(FIFTH, Part.COVERED, shop, effective="-1.5", billed="-2")
    charge(FIFTH, Part.PURCHASE, nobodys, billed="10")
    charge(FIFTH + timedelta(days=1), Part.UNUSED, nobodys, effective="3")
    charge(FIFTH, Part.CREDIT, shop, effective="-0.1", billed="-0.1")
    charge(FIFTH, Part.TAX, shop, effective="0.2", billed="0.3", origin_id=2)

    report = costs(
        CostQuery(period=OCTOBER, group_by=("charge_kind",), measures=(*CHARGED, "calls"), by_kind=True)
    )

    expected = {
        "usage": ("2.5", "2.25", "0.5", "0.25", 1),
        "commitment": (0, 0, 3, 10, 0),
        "credit": (0, 0, "-0.1", "-0.1", 0),
        "tax": (0, 0, "0.2", "0.3", 0),
    }
    figures = {kind: tuple(Decimal(str(n)) for n in row) for kind, row in expected.items()}
    assert {group.key[0]: tuple(group.total.values()) for group in report.groups} == figures
    assert tuple(report.total.values()) == tuple(
        sum(column) for column in zip(*figures.values(), strict=True)
    )
    assert {kind: tuple(told.values()) for kind, told in report.kinds.items()} == {
        kind: row[:4] for kind, row in figures.items()
    }
    assert report.coverage.calls == 1
    assert report.coverage.unattributed_calls == 0
    assert report.coverage.unattributed_cost == 3


@pytest.mark.parametrize(
    ("kinds", "billed", "calls"),
    [
        (Filter(("commitment",)), "10", 0),
        (Filter(("usage",)), "0.25", 1),
        (Filter(("usage",), negated=True), "10.3", 0),
        (Filter(("credit", "usage")), "0.25", 1),
        (Filter(("commitment",), negated=True), "0.55", 1),
        (Filter((), empty=True), "0", 0),
    ],
)
def test_a_filter_of_kinds_keeps_calls_only_with_usage(
    shop: tuple[int, int], nobodys: tuple[int, int], kinds: Filter, billed: str, calls: int
) -> None:
    charge(FIFTH, Part.COVERED, shop, billed="-2")
    charge(FIFTH, Part.PURCHASE, nobodys, billed="10")
    charge(FIFTH, Part.TAX, shop, billed="0.3")
    measures = ("billed_cost", "calls", "input_tokens", "tasks", "active_users", "p95_duration_ms")

    for group_by in ((), ("charge_kind",), ("team", "charge_kind")):
        total = costs(
            CostQuery(period=OCTOBER, group_by=group_by, filters={"charge_kind": kinds}, measures=measures)
        ).total
        assert total["billed_cost"] == Decimal(billed)
        assert [total[name] for name in measures[1:5]] == [calls, calls * 10**6, calls, calls]
        assert (total["p95_duration_ms"] is not None) == bool(calls)


def test_a_charge_is_of_no_customer_and_in_the_first_hour_of_its_day(
    settings: Settings, shop: tuple[int, int]
) -> None:
    settings.REPORTING_TIME_ZONE = ZoneInfo("Europe/Lisbon")
    charge(FIFTH, Part.COVERED, shop, effective="-1.5")

    measures = ("effective_cost", "calls")
    assert ask("customer", measures=measures) == {
        ("acme",): {"effective_cost": Decimal(2), "calls": 1},
        (None,): {"effective_cost": Decimal("-1.5"), "calls": 0},
    }
    for wanted, cost in ((Filter(("acme",)), 2), (Filter(("acme",), negated=True), Decimal("-1.5"))):
        assert costs(CostQuery(period=OCTOBER, filters={"customer": wanted})).total["effective_cost"] == cost
    hours = costs(CostQuery(period=OCTOBER, granularity=Granularity.HOUR, measures=measures)).buckets
    assert [(hour.start, *hour.measures.values()) for hour in hours] == [
        (datetime(2026, 10, 4, 23, tzinfo=UTC), Decimal("-1.5"), 0),
        (datetime(2026, 10, 5, 12, tzinfo=UTC), 2, 1),
    ]


def test_charges_are_answered_as_they_were_known(shop: tuple[int, int]) -> None:
    then = timezone.now()
    charge(FIFTH, Part.COVERED, shop, effective="-1", known_to=then)
    charge(FIFTH, Part.COVERED, shop, effective="-2", known_from=then)

    def effective(as_of: datetime | None) -> object:
        return costs(CostQuery(period=OCTOBER, as_of=as_of)).total["effective_cost"]

    assert effective(then - timedelta(seconds=1)) == 1
    assert effective(then) == effective(None) == 0


def test_what_has_no_price_stays_unpriced_until_a_charge_says_what_it_cost(shop: tuple[int, int]) -> None:
    made = shop[0], price_slot(model="mystery")
    book([Call(noon(FIFTH), *made, {"input": 5})])
    rollups.fold()
    charge(FIFTH, Part.COVERED, made, effective="4")

    assert ask("model", measures=("effective_cost", "list_cost"))[("mystery",)] == {
        "effective_cost": Decimal(4),
        "list_cost": None,
    }


def test_only_what_a_team_may_see_is_charged_to_it(shop: tuple[int, int], nobodys: tuple[int, int]) -> None:
    charge(FIFTH, Part.PURCHASE, nobodys, billed="10")

    team = CostQuery(period=OCTOBER, measures=("billed_cost",), visible_teams=frozenset({"search"}))
    assert costs(team).total == {"billed_cost": Decimal("2.25")}


def test_every_month_is_converted_by_its_own_rate(shop: tuple[int, int], nobodys: tuple[int, int]) -> None:
    charge(date(2026, 11, 2), Part.PURCHASE, nobodys, billed="10", effective="7")
    query = CostQuery(
        period=AUTUMN,
        currency="EUR",
        granularity=Granularity.MONTH,
        measures=("billed_cost", "effective_cost"),
    )
    rate(10, "0.9")
    with pytest.raises(InvalidInput, match="2026-11") as refused:
        costs(query)
    assert [(p.field, p.code) for p in refused.value.problems] == [("currency", "no_rate")]
    costs(
        CostQuery(period=AUTUMN, currency="EUR", filters={"team": Filter(("search",))})
    )  # nothing in November

    before = timezone.now()
    rate(11, "0.8")
    report = costs(query)
    assert [tuple(bucket.measures.values()) for bucket in report.buckets] == [
        (Decimal("2.025"), Decimal("1.8")),
        (8, Decimal("5.6")),
    ]
    assert tuple(report.total.values()) == (Decimal("10.025"), Decimal("7.4"))
    assert report.coverage.unattributed_cost == Decimal("5.6")
    with pytest.raises(InvalidInput):
        costs(CostQuery(period=AUTUMN, currency="EUR", as_of=before))


def rate(month: int, units: str) -> None:
    FxRate.objects.create(
        currency="EUR",
        month=date(2026, month, 1),
        rate=Decimal(units),
        entered_by="ann",
        known_from=EPOCH if month == 10 else timezone.now(),
    )


def test_the_lines_of_a_cost_name_what_they_come_from(
    shop: tuple[int, int], nobodys: tuple[int, int]
) -> None:
    bought = Commitment.objects.create(
        name="Azure PTU 2026",
        provider="azure",
        kind="reserved",
        starts_on=FIFTH,
        ends_on=date(2026, 11, 1),
        entered_by="ann",
        known_from=EPOCH,
    )
    charge(FIFTH, Part.UNUSED, nobodys, effective="3", origin_id=bought.pk)
    charge(FIFTH, Part.PURCHASE, nobodys, billed="9", origin_id=bought.pk)
    charge(FIFTH, Part.TAX, shop, effective="0.1", origin_id=77)

    found = charge_lines(CostQuery(period=OCTOBER, group_by=("team", "provider")))
    assert [(line.key, line.label, line.cost) for line in found] == [
        (("search", "openai"), "Tax 77: levied", Decimal("0.1")),
        ((None, "azure"), "Commitment Azure PTU 2026: unused", Decimal(3)),
    ]


CHARGES = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from(list(Part)),
        st.integers(0, 2),
        st.integers(0, 1),
        st.decimals(-9, 9, places=18),
    ),
    max_size=12,
    unique_by=lambda drawn: drawn[:4],
)
GROUPS = ("team", "feature", "model", "customer", "charge_kind", "provider", "environment", "model_tier")


@given(
    measure=st.sampled_from(CHARGED),
    drawn=CHARGES,
    group_by=st.lists(st.sampled_from(GROUPS), unique=True, max_size=3),
)
@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_question_has_the_total_of_usage_and_charges(
    measure: str, drawn: list[tuple[int, Part, int, int, Decimal]], group_by: list[str]
) -> None:
    with transaction.atomic():
        registry.ensure_team("search", actor="ann")
        sets = [
            dimension_set(team="search", feature="f"),
            dimension_set(feature="g"),
            dimension_set(source="taxes"),
        ]
        slots = [price_slot({Meter.INPUT: "2.5", Meter.OUTPUT: "10"}), price_slot(model="")]
        book(
            Call(
                noon(FIFTH + timedelta(days=day)), sets[day % 2], slots[0], {"input": 7 * day, "output": day}
            )
            for day in range(0, 40, 4)
        )
        rollups.fold()
        expected: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
        for day, part, of, slot, amount in drawn:
            on = FIFTH + timedelta(days=day)
            row = charge(on, part, (sets[of], slots[slot]))
            setattr(row, measure, amount)
            row.save(update_fields=[measure])
            expected[on.year, on.month] += amount
        _compare(measure, tuple(group_by), sum(expected.values(), ZERO))
        transaction.set_rollback(True)


_PER_MILLION = dict(zip(CHARGED, ("1", "0.9", "0.8", "0.9"), strict=True))


def _compare(measure: str, group_by: tuple[str, ...], charged: Decimal) -> None:
    usage = sum((Decimal(7 * day) * Decimal("2.5") + 10 * day for day in range(0, 40, 4)), ZERO) / 10**6
    expected = usage * Decimal(_PER_MILLION[measure]) + charged
    for grain in Granularity:
        query = CostQuery(period=AUTUMN, granularity=grain, group_by=group_by, measures=(measure, "calls"))
        report = costs(query)
        assert report.total == {measure: expected, "calls": 10}
        assert sum(Decimal(group.total[measure] or 0) for group in report.groups) == expected
        assert sum(Decimal(bucket.measures[measure] or 0) for bucket in report.buckets) == expected or not (
            report.buckets
        )
        for group in report.groups:
            assert sum(Decimal(b.measures[measure] or 0) for b in group.buckets) == group.total[measure]
    query = CostQuery(period=AUTUMN, group_by=group_by, measures=(measure,))
    lines = sum((line.cost for line in meter_lines(query)), ZERO)
    assert lines + sum((line.cost for line in charge_lines(query)), ZERO) == expected


def test_measures_besides_cost_are_those_of_the_calls(shop: tuple[int, int]) -> None:
    others = tuple(name for name in MEASURES if name not in CHARGED)
    before = ask("team", measures=others)
    charge(FIFTH, Part.TAX, shop, listed="1", contracted="1", effective="1", billed="1")

    assert ask("team", measures=others) == before
