"""Volume bands: what a month's volume takes off, by hand and for whatever is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from attribution import charging, reratings
from attribution.models import Charge, UsageDay
from finops.accounts.authentication import forget_keys
from finops.accounts.models import ApiKey
from finops.core.meters import Meter
from finops.core.money import EXACT
from pricing import drafts
from pricing.commitments import shares
from pricing.facts import Facts
from pricing.models import BookVersion
from pricing.slots import SlotBook
from tests.attribution.charging.test_derivation import NO_SHRINKING
from tests.attribution.charging.world import FIRST, agree, current, prepaid, use
from tests.attribution.factory import dimension_set, price_slot
from tests.pricing.test_drafts import in_book
from tests.pricing.test_publishing import price

pytestmark = pytest.mark.django_db
PRICES: tuple[dict[Meter | int, str], ...] = (
    {Meter.INPUT: "10", Meter.OUTPUT: "20"},
    {Meter.INPUT: "0.3", Meter.OUTPUT: "0.7", Meter.REASONING: "0.7"},
)
MILLION = {Meter.INPUT: 10**6}
LAST = date(2026, 11, 3)


def taken_off() -> dict[date, Decimal]:
    """What bands take off, by day; the same of contracted, effective and billed cost."""
    found: dict[date, Decimal] = defaultdict(Decimal)
    for (day, *_, part), amounts in current().items():
        if part == "volume":
            assert len(set(amounts)) == 1
            found[day] += amounts[0]  # type: ignore[index]
    return found


def test_the_band_that_a_month_reaches_holds_all_of_it() -> None:
    used, slot = dimension_set(), price_slot(PRICES[0])
    agree([slot], {"0": "0", "1500000": "10"})
    use(FIRST, used, slot, MILLION)
    charging.derive(today=LAST)
    assert taken_off() == {}

    # Another month counts apart.
    use(date(2026, 11, 1), used, slot, MILLION)
    use(FIRST + timedelta(days=30), used, slot, MILLION)
    charging.derive(today=LAST)
    assert taken_off() == {FIRST: -1, FIRST + timedelta(days=30): -1}


def test_a_day_that_straddles_a_bound_is_shared() -> None:
    used, slot = dimension_set(), price_slot(PRICES[0])
    agree([slot], {"0": "0", "1500000": {"input": "6"}}, band_mode="marginal")
    for number in range(3):
        use(FIRST + timedelta(days=number), used, slot, MILLION)
    charging.derive(today=LAST)
    assert taken_off() == {FIRST + timedelta(days=1): -2, FIRST + timedelta(days=2): -4}

    # An earlier call moves the bound.
    use(FIRST, used, slot, MILLION)
    charging.derive(today=LAST)
    assert taken_off() == {FIRST + timedelta(days=n): amount for n, amount in enumerate((-2, -4, -4))}


def test_what_is_prepaid_covers_what_bands_leave() -> None:
    used, slot = dimension_set(), price_slot(PRICES[0])
    agree([slot], {"0": "0", "5": "50"}, volume_of="list_cost")
    prepaid("8", "8")
    use(FIRST, used, slot, MILLION)
    charging.derive(today=FIRST)
    assert sorted(billed for _, _, billed in current().values()) == [-5, -5, 8]


def test_a_hit_of_our_own_cache_reaches_no_band() -> None:
    used, slot = dimension_set(), price_slot(PRICES[0], from_response_cache=True)
    agree([slot], {"0": "0", "5": "50"})
    use(FIRST, used, slot, MILLION)
    charging.derive(today=FIRST)
    assert current() == {}


uses = st.tuples(
    st.integers(0, 33), st.integers(0, 1), st.integers(0, 1), st.integers(0, 90_000), st.integers(0, 9_000)
)
bands = st.dictionaries(st.integers(1, 300_000), st.decimals("0.01", "100", places=3), max_size=3)


@hypothesis_settings(
    max_examples=10, phases=NO_SHRINKING, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(uses, min_size=1, max_size=8), st.lists(uses, max_size=3), bands, st.booleans())
def test_bands_are_the_plain_arithmetic_in_one_step_or_two(
    early: list[Any], late: list[Any], higher: dict[int, Decimal], whole: bool
) -> None:
    with transaction.atomic():
        sets = [dimension_set(feature="f"), dimension_set(feature="g")]
        slots = [price_slot(prices, model=f"m{n}") for n, prices in enumerate(PRICES)]
        percents = {0: Decimal(5), **dict(sorted(higher.items()))}
        agree(
            slots,
            {str(over): str(percent) for over, percent in percents.items()},
            band_mode="whole" if whole else "marginal",
        )
        for some in (early, late):
            for number, which, slot, tokens_in, tokens_out in some:
                used = {Meter.INPUT: tokens_in, Meter.OUTPUT: tokens_out}
                use(FIRST + timedelta(days=number), sets[which], slots[slot], used)
            charging.derive(today=LAST)
            assert {key[:3]: amounts[0] for key, amounts in current().items()} == plain(
                slots, percents, whole
            )
        stepwise = current()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM charging_state")
        assert charging.derive(today=LAST).charges == 0
        assert current() == stepwise
        transaction.set_rollback(True)


def plain(
    slots: list[int], percents: Mapping[int, Decimal], whole: bool
) -> dict[tuple[object, ...], Decimal]:
    """By month and token: the first ``over`` tokens of a month at the first band, and so on."""
    found: dict[tuple[object, ...], Decimal] = {}
    reached: dict[int, int] = defaultdict(int)
    months: dict[int, int] = defaultdict(int)
    days: dict[date, list[UsageDay]] = defaultdict(list)
    for row in UsageDay.objects.order_by("day", "dimension_set_id", "slot_id"):
        days[row.day].append(row)
        months[row.day.month] += row.input + row.output
    with localcontext(EXACT):
        for day, rows in days.items():
            volume = sum(row.input + row.output for row in rows)
            start = reached[day.month]
            reached[day.month] += volume
            weights = [Decimal(0)] * len(rows)
            for over, percent in percents.items():
                end = min((other for other in percents if other > over), default=10**12)
                if whole:
                    inside = volume if over < months[day.month] <= end else 0
                else:
                    inside = max(0, min(start + volume, end) - max(start, over))
                for number, row in enumerate(rows):
                    prices = PRICES[slots.index(row.slot_id)]
                    full = row.input * Decimal(prices[Meter.INPUT]) + row.output * Decimal(
                        prices[Meter.OUTPUT]
                    )
                    more = 0 if over == 0 else -percent / 100
                    weights[number] += inside * full * more / 10**6
            if volume and any(weights):
                total = sum(weights, Decimal(0)) / volume
                for row, amount in zip(rows, shares(total, weights), strict=True):
                    if amount:
                        found[day, row.dimension_set_id, row.slot_id] = amount
    return found


def test_an_agreement_of_the_book_is_counted_and_its_correction_restates_it(client: Client) -> None:
    in_book(price("m", "2"))
    forget_keys()
    _, secret = ApiKey.issue("desk", ["read", "write"])

    def agree_on(percent: str, **fields: object) -> Mapping[str, Any]:
        bands = [{"over": "0", "percent_off": "10"}, {"over": "1000000", "percent_off": percent}]
        body = {
            "name": "frame",
            "provider": "acme",
            "volume_of": "tokens",
            "band_mode": "marginal",
            "bands": bands,
        }
        answer = client.post(
            "/api/v1/price_agreements",
            {**body, **fields},
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )
        assert answer.status_code == 201, answer.content
        said: Mapping[str, Any] = answer.json()
        return said

    first = agree_on("20", publish=True)["agreement"]
    noon = np.array([np.datetime64("2026-10-01T12:00:00", "us").astype(np.int64)])
    (slot,) = SlotBook().resolve([Facts("acme", "m")], noon, np.array([5]))
    use(FIRST, dimension_set(), int(slot), {Meter.INPUT: 3 * 10**6})
    charging.derive(today=LAST)
    # Two of three million tokens at 1.6 instead of 1.8.
    assert taken_off() == {FIRST: Decimal("-0.4")}

    draft = BookVersion.objects.get(pk=agree_on("30", replaces=[first["id"]])["version"]["id"])
    for block in draft.blocks.all():
        drafts.acknowledge(draft, block.pk, reason="our contract", by="ann")
    drafts.review(draft, by="ann")
    reratings.approve(reratings.preview(draft, by="ann"), by="ben")
    charging.derive(today=LAST)
    assert taken_off() == {FIRST: Decimal("-0.8")}
    assert Charge.objects.exclude(known_to=None).get().origin_id == first["id"]
