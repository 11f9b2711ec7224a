"""What terms make of usage, in figures that can be checked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db import connection
from pytest_django import Settings

from attribution import charging, registry, rollups, verification
from attribution.charging import checking, reading
from attribution.models import Attribution, Charge, DimensionSet
from attribution.price_gaps import gaps, new_models
from attribution.verification_sql import BOOK_CHECKS
from finops.core.meters import Meter
from pricing.models import PriceSlot, Tax
from pricing.models.slots import NO_CALLS
from tests.attribution.charging.world import (
    AFTER,
    END,
    FIRST,
    capacity,
    correct,
    credit,
    current,
    prepaid,
    sums,
    term,
    use,
)
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
# A million input tokens cost 9 dollars under contract, of output 18.
PRICES: dict[Meter | int, str] = {Meter.INPUT: "10", Meter.OUTPUT: "20"}
MILLION = {Meter.INPUT: 10**6}
FINISHED = BOOK_CHECKS["over a finished commitment effective cost is what was billed"]
SECOND = FIRST + timedelta(days=1)
THIRD = FIRST + timedelta(days=2)


@pytest.fixture
def made() -> tuple[int, int]:
    return dimension_set(feature="f"), price_slot(PRICES)


def line(part: str, day: date = FIRST) -> list[Any]:
    """Effective and billed of the lines of a part on a day."""
    rows = Charge.objects.filter(known_to=None, part=part, day=day).order_by("dimension_set_id", "slot_id")
    return list(rows.values_list("effective_cost", "billed_cost"))


def test_prepaid_spend_covers_until_it_runs_out(made: tuple[int, int]) -> None:
    bought = prepaid("8", "10")
    for day in (FIRST, SECOND, THIRD):
        use(day, *made, MILLION)
    charging.derive(today=AFTER)

    assert line("purchase") == [(0, 8)]
    assert line("covered") == [(Decimal("-1.8"), -9)]
    assert line("covered", SECOND) == [(Decimal("-0.2"), -1)]
    assert line("covered", THIRD) == line("unused", END - timedelta(days=1)) == []
    balance = [day.left for day in reading.drawdown(bought)]
    assert balance == [1, 0, 0, 0, 0, 0]


def test_what_is_not_used_of_a_prepayment_is_a_cost_of_its_last_day(made: tuple[int, int]) -> None:
    registry.ensure_team("search", actor="ann")
    prepaid("8", "10", attribute_to="team", team="search")
    use(FIRST, *made, {Meter.INPUT: 500_000})
    assert charging.derive(today=END - timedelta(days=1)).charges == 2
    assert line("unused", END - timedelta(days=1)) == []

    charging.derive(today=END)
    assert line("unused", END - timedelta(days=1)) == [(Decimal("4.4"), 0)]
    unused = Charge.objects.get(part="unused")
    owner = Attribution.objects.get(dimension_set_id=unused.dimension_set_id, known_to=None)
    assert (owner.team, unused.kind) == ("search", "commitment")
    assert sums()[0] + Decimal("4.5") == sums()[1] + Decimal("4.5") == 8


def test_capacity_is_spread_over_the_hours_and_used_by_tokens(
    made: tuple[int, int], settings: Settings
) -> None:
    settings.REPORTING_TIME_ZONE = ZoneInfo("Europe/Berlin")
    first = date(2026, 10, 24)
    bought = capacity("73", "1", "1000", starts_on=first, ends_on=first + timedelta(days=3))
    other = dimension_set(feature="g")
    use(first, *made, {Meter.INPUT: 6_000})
    use(first, other, made[1], {Meter.INPUT: 6_000})
    use(first + timedelta(days=1), *made, {Meter.INPUT: 50_000})
    charging.derive(today=AFTER + timedelta(days=20))

    # 73 hours: on the 25th the clock is put back. 12,000 of 24,000 tokens, and twice as many as 25,000.
    assert [day.cost for day in reading.drawdown(bought)] == [48, 50, 48]
    assert line("covered", first) == [(Decimal(12) - Decimal("0.054"), Decimal("-0.054"))] * 2
    assert line("unused", first) == [(24, 0)]
    assert line("purchase", first) == [(0, 73 + 24)]
    assert line("covered", first + timedelta(days=1)) == [(50 - Decimal("0.225"), Decimal("-0.225"))]
    assert line("unused", first + timedelta(days=2)) == [(48, 0)]
    assert sums()[0] - sums()[1] == 0


def test_who_bears_what_is_unused(made: tuple[int, int]) -> None:
    other = dimension_set(feature="g")
    capacity("0", "1", "1000", attribute_to="use")
    use(FIRST, *made, {Meter.INPUT: 9_000})
    use(FIRST, other, made[1], {Meter.INPUT: 3_000})
    charging.derive(today=SECOND)

    assert line("unused") == [(9, 0), (3, 0)]
    nobody = DimensionSet.objects.get(source="commitments")
    assert Charge.objects.get(part="unused", day=SECOND).dimension_set_id == nobody.pk
    assert Attribution.objects.get(dimension_set=nobody).rule.startswith("no team")


def test_unknown_capacity_is_used_on_days_with_usage_only(made: tuple[int, int]) -> None:
    capacity("0", "1", None)
    use(FIRST, *made, MILLION)
    charging.derive(today=SECOND)
    assert line("covered") == [(24 - 9, -9)]
    assert line("unused") == []
    assert line("unused", SECOND) == [(24, 0)]


def test_capacity_comes_before_prepaid_and_credits_before_taxes(made: tuple[int, int]) -> None:
    prepaid("3", "3", ends_on=SECOND)
    capacity("0", "0.1", str(Decimal(250_000) / 24), ends_on=SECOND)
    credit("2", ends_on=SECOND)
    term(Tax, percent=Decimal(10), ends_on=SECOND)
    use(FIRST, *made, MILLION)
    charging.derive(today=FIRST)

    covered = {c.origin_id: c.billed_cost for c in Charge.objects.filter(part="covered")}
    assert [round(amount, 9) for amount in covered.values()] == [-3, Decimal("-2.25")]
    assert line("credit") == [(-2, -2)]
    # Of 9 - 2.25 - 3 - 2 of usage, and of 3 + 2.4 of purchases.
    taxes = Charge.objects.filter(part="tax")
    assert {round(tax.billed_cost, 9) for tax in taxes} == {Decimal("0.175"), Decimal("0.54")}


def test_scope_is_provider_model_and_account(made: tuple[int, int]) -> None:
    elsewhere = price_slot(PRICES, model="other", account="acme")
    hit = price_slot(PRICES, from_response_cache=True)
    prepaid("5", "5", model="oth*", account="acme")
    prepaid("5", "5", provider="anthropic")
    credit("1", model="gpt-x")
    for slot in (made[1], elsewhere, hit):
        use(FIRST, made[0], slot, MILLION)
    charging.derive(today=FIRST)

    lines = Charge.objects.filter(kind__in=["usage", "credit"]).values_list("slot_id", "billed_cost")
    assert set(lines) == {(elsewhere, Decimal(-5)), (made[1], Decimal(-1))}


def test_a_refund_and_a_tax_of_an_invoice_are_booked_at_once(made: tuple[int, int]) -> None:
    registry.ensure_team("search", actor="ann")
    credit("7", "refund", attribute_to="team", team="search")
    term(Tax, amount=Decimal(3), amount_usd=Decimal(3), attribute_to="use")
    use(FIRST, *made, MILLION)
    charging.derive(today=SECOND)

    assert line("credit") == [(-7, -7)]
    assert Charge.objects.get(part="tax").dimension_set_id == made[0]
    assert line("tax") == [(3, 3)]
    charging.derive(today=FIRST - timedelta(days=1))
    assert current() == {}


def test_what_no_call_causes_is_no_gap_and_no_new_model(made: tuple[int, int]) -> None:
    prepaid("8", "10", model="gpt-x")
    charging.derive(today=END)

    slot = PriceSlot.objects.get(schedule=NO_CALLS)
    assert (slot.provider, slot.model, slot.rates.count()) == ("openai", "gpt-x", 0)
    assert not gaps(FIRST)
    assert not new_models(FIRST)
    assert {c.slot_id for c in Charge.objects.all()} == {slot.pk}


def test_a_correction_is_known_from_then_on(made: tuple[int, int]) -> None:
    bought = prepaid("8", "10")
    use(FIRST, *made, MILLION)
    charging.derive(today=FIRST)
    before = current()
    asked_at = datetime.now(UTC)

    correct(bought, amount_usd=Decimal(5))
    assert charging.derive(today=FIRST).charges == 4
    then = Charge.objects.filter(known_from__lte=asked_at).exclude(known_to__lte=asked_at)
    assert {(c.part, c.billed_cost) for c in then} == {("purchase", Decimal(8)), ("covered", Decimal(-9))}
    assert len(before) == then.count() == 2
    assert line("covered") == [(Decimal("-4.5"), -9)]


def test_usage_that_arrives_rewrites_its_days_only(made: tuple[int, int]) -> None:
    prepaid("8", "20")
    for day in (FIRST, SECOND, THIRD):
        use(day, *made, MILLION)
    charging.derive(today=THIRD)
    assert charging.derive(today=THIRD) == charging.Derived()

    use(THIRD, *made, MILLION)
    assert charging.derive(today=THIRD).days == 1
    # A late call moves the day on which the credit runs out.
    use(FIRST, *made, MILLION)
    derived = charging.derive(today=THIRD)
    assert (derived.days, Charge.objects.exclude(known_to=None).count()) == (3, 0)
    assert line("covered", SECOND) == [(Decimal("0.8") - 2, -2)]
    assert line("covered", THIRD) == []


def test_nothing_agreed_costs_nothing_and_leaves_no_marks(made: tuple[int, int]) -> None:
    use(FIRST, *made, MILLION)
    assert charging.derive(today=FIRST).charges == 0
    assert charging.derive(today=FIRST) == charging.Derived()


def test_a_fold_and_a_day_built_anew_make_their_days_due(made: tuple[int, int]) -> None:
    prepaid("8", "20")
    charging.derive(today=THIRD)
    book([Call(datetime(2026, 10, 2, 12, tzinfo=UTC), *made, {"input": 10**6})])
    rollups.fold()
    assert charging.derive(today=THIRD).days == 1
    assert line("covered", SECOND) == [(Decimal("3.6") - 9, -9)]

    rollups.rebuild_day(SECOND)
    again = charging.derive(today=THIRD)
    assert (again.charges, again.days) == (0, 1)


def test_one_process_derives_at_a_time(made: tuple[int, int]) -> None:
    prepaid("8", "20")
    other = psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None})
    with other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('attribution.charging'))")
        assert charging.derive(today=FIRST) == charging.Derived()
    assert charging.derive(today=FIRST).charges == 1


def test_what_ended_is_charged_no_more_and_was(made: tuple[int, int]) -> None:
    bought = prepaid("8", "20")
    use(FIRST, *made, MILLION)
    charging.derive(today=FIRST)
    type(bought).objects.update(known_to=datetime.now(UTC))

    assert charging.derive(today=FIRST).charges == 2
    assert (current(), Charge.objects.exclude(known_to=None).count()) == ({}, 2)
    assert reading.drawdown(bought) == []


def test_verification_finds_a_charge_that_is_amiss(made: tuple[int, int]) -> None:
    prepaid("8", "20")
    use(FIRST, *made, MILLION)
    assert checking.compare() == (3, [])
    assert not verification._check("finished", FINISHED, {"zone": "UTC"}).failed

    Charge.objects.filter(part="unused").update(effective_cost=1)
    assert len(checking.compare()[1]) == 2
    assert verification._check("finished", FINISHED, {"zone": "UTC"}).failed == 1
