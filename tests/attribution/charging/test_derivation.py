"""Whatever is used, agreed, corrected and late: charges equal the plain arithmetic, and add up exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from attribution import charging
from attribution.models import Charge, ChargeDay, UsageDay
from finops.core.meters import Meter
from finops.core.money import EXACT
from pricing.commitments import InScope, drawn, granted, shares
from pricing.models import Commitment, Tax
from tests.attribution.charging.world import FIRST, capacity, correct, credit, current, prepaid, term, use
from tests.attribution.factory import dimension_set, price_slot

pytestmark = pytest.mark.django_db
ZERO = Decimal(0)
# Each example is a dozen derivations: what fails is told as it was found.
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
DAYS = [FIRST + timedelta(days=n) for n in range(5)]
TODAY = DAYS[-1] + timedelta(days=1)
_PRICES: tuple[dict[Meter | int, str] | None, ...] = (
    {Meter.INPUT: "2.5", Meter.OUTPUT: "10.01"},
    {Meter.INPUT: "0.3"},
    None,
)
_MODELS = ("gpt-x", "gpt-y", "unknown")

amounts = st.decimals("0.01", "30", places=4)
spans = st.tuples(st.integers(0, 3), st.integers(1, 3)).map(
    lambda pair: {"starts_on": DAYS[pair[0]], "ends_on": DAYS[pair[0]] + timedelta(days=pair[1])}
)
models = st.sampled_from(["*", "gpt-*", "gpt-y"])
tokens = st.integers(0, 900_000)
uses = st.tuples(st.sampled_from(DAYS), st.integers(0, 1), st.integers(0, 2), tokens, tokens)
attributed = st.sampled_from(["nobody", "use"])
bought = st.lists(
    st.tuples(
        st.booleans(),
        amounts,
        amounts,
        st.one_of(st.none(), st.integers(1, 90_000)),
        spans,
        models,
        attributed,
    ),
    max_size=3,
)
grants_given = st.lists(st.tuples(amounts, spans, models), max_size=2)
taxes = st.lists(st.tuples(st.decimals("0.1", "25", places=3), spans, models), max_size=2)


@dataclass
class Line:
    """A line of usage as the plain arithmetic sees it."""

    tokens: Decimal
    rest: Decimal


@dataclass
class Plain:
    """Charges worked out line by line, from the definitions."""

    lines: dict[tuple[date, int, int], Line]
    models: Mapping[int, str]
    charges: dict[tuple[Any, ...], list[Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: [ZERO, ZERO, ZERO])
    )

    def all(self, commitments: Sequence[Commitment], grants: Sequence[Any], levied: Sequence[Tax]) -> None:
        order = sorted(commitments, key=lambda each: (each.starts_on, each.kind == "prepaid", each.pk))
        for each in order:
            self.commit(each)
        for each in sorted(grants, key=lambda one: (one.starts_on, one.pk)):
            made = granted(each.amount_usd, self.met(each), [day for day in DAYS if self.holds(each, day)])
            for day in made:
                keys = self.keys(each, day.day)
                for key, part in zip(keys, self.by_cost(day.covered, keys), strict=True):
                    self.add((*key, "credit", each.pk, "credit"), -part, -part)
                    self.lines[key].rest -= part
        for tax in levied:
            self.levy(tax)

    def commit(self, each: Commitment) -> None:
        for day in drawn(each, self.met(each), today=TODAY, zone=settings.REPORTING_TIME_ZONE):
            keys = self.keys(each, day.day)
            self.add((day.day, "own", "commitment", each.pk, "purchase"), ZERO, day.purchase)
            covered, taken = self.by_cost(day.covered, keys), self.by_tokens(day.taken, keys)
            by_tokens = bool(day.tokens) and each.kind != "prepaid"
            divide = self.by_tokens if by_tokens else self.by_cost
            used = divide(day.used, keys)
            if each.attribute_to == "use" and (day.tokens or day.eligible):
                divide = self.by_tokens if day.tokens else self.by_cost
                for key, part in zip(keys, divide(day.unused, keys), strict=True):
                    self.add((*key, "commitment", each.pk, "unused"), part, ZERO)
            else:
                self.add((day.day, "own", "commitment", each.pk, "unused"), day.unused, ZERO)
            for key, less, gone, cost in zip(keys, covered, taken, used, strict=True):
                line = self.lines[key]
                self.add((*key, "commitment", each.pk, "covered"), cost - less, -less)
                if each.kind != "prepaid":
                    line.tokens -= gone
                elif line.rest > 0:
                    left = line.tokens * (line.rest - less) / line.rest
                    line.tokens = left.quantize(Decimal("1e-18"), ROUND_DOWN)
                line.rest -= less

    def levy(self, tax: Tax) -> None:
        # Capacity is billed on the running day too, whether anybody uses it or not.
        for day in (*DAYS, TODAY):
            if not self.holds(tax, day):
                continue
            billed: dict[Any, Decimal] = {key: self.lines[key].rest for key in self.keys(tax, day)}
            # What no call causes: its model is '' unless a term names just one.
            for (of, *rest), amount in list(self.charges.items()):
                if of == day and rest[0] == "own" and rest[3] == "purchase":
                    model = Commitment.objects.get(pk=rest[2]).model
                    name = "" if "*" in model else model
                    if tax.model == "*" or (name and self.fits(tax.model, name)):
                        key = (day, "own", name)
                        billed[key] = billed.get(key, ZERO) + amount[2]
            # The slots of their own come in an order of their own: sums of a day only.
            total = (sum(billed.values(), ZERO) * (tax.percent or ZERO) / 100).quantize(
                Decimal("1e-18"), ROUND_HALF_UP
            )
            self.add((day, "tax", tax.pk), total, total)

    def add(self, key: tuple[Any, ...], effective: Decimal, billed: Decimal) -> None:
        if effective or billed:
            self.charges[key][1] += effective
            self.charges[key][2] += billed

    def met(self, each: Any) -> dict[date, InScope]:
        return {
            day: InScope(
                sum((self.lines[key].tokens for key in self.keys(each, day)), ZERO),
                sum((self.lines[key].rest for key in self.keys(each, day)), ZERO),
            )
            for day in DAYS
            if self.holds(each, day)
        }

    def keys(self, each: Any, day: date) -> list[tuple[date, int, int]]:
        return sorted(
            key for key in self.lines if key[0] == day and self.fits(each.model, self.models[key[2]])
        )

    def by_cost(self, total: Decimal, keys: Sequence[Any]) -> list[Decimal]:
        return self.divide(total, [self.lines[key].rest for key in keys])

    def by_tokens(self, total: Decimal, keys: Sequence[Any]) -> list[Decimal]:
        return self.divide(total, [self.lines[key].tokens for key in keys])

    @staticmethod
    def divide(total: Decimal, weights: list[Decimal]) -> list[Decimal]:
        return shares(total, weights) if any(weights) else [ZERO] * len(weights)

    @staticmethod
    def fits(pattern: str, model: str) -> bool:
        return pattern in ("*", model) or (pattern == "gpt-*" and model.startswith("gpt-"))

    @staticmethod
    def holds(each: Any, day: date) -> bool:
        return bool(each.starts_on <= day < each.ends_on)


def expected(slots: Mapping[int, str], terms: tuple[Any, Any, Any]) -> dict[tuple[Any, ...], list[Decimal]]:
    with localcontext(EXACT):
        lines = {}
        for row in UsageDay.objects.all():
            prices = _PRICES[_MODELS.index(slots[row.slot_id])] or {}
            cost = sum(
                (
                    getattr(row, Meter(meter).label) * Decimal(price) * 9 / 10**7
                    for meter, price in prices.items()
                ),
                ZERO,
            )
            lines[row.day, row.dimension_set_id, row.slot_id] = Line(Decimal(row.input + row.output), cost)
        plain = Plain(lines, slots)
        plain.all(*terms)
        return {key: amounts for key, amounts in plain.charges.items() if any(amounts)}


def found() -> dict[tuple[Any, ...], list[Decimal]]:
    """As ``expected``: what no call causes under 'own', of taxes the sum of a day."""
    seen: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO, ZERO])
    usage = set(UsageDay.objects.values_list("day", "dimension_set_id", "slot_id"))
    for (day, holder, slot, origin, number, part), charged in current().items():
        place = (holder, slot) if (day, holder, slot) in usage else ("own",)
        key = (day, "tax", number) if origin == "tax" else (day, *place, origin, number, part)
        seen[key] = [one + other for one, other in zip(seen[key], charged, strict=True)]
    return {key: charged for key, charged in seen.items() if any(charged)}


@hypothesis_settings(
    max_examples=15, phases=NO_SHRINKING, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(uses, min_size=1, max_size=8),
    st.lists(uses, min_size=1, max_size=3),
    st.tuples(bought, grants_given, taxes),
    amounts,
)
def test_charges_are_the_plain_arithmetic_at_every_step(
    early: list[Any], late: list[Any], agreed: tuple[list[Any], list[Any], list[Any]], other: Decimal
) -> None:
    commit, grants, levied = agreed
    with transaction.atomic():
        sets = [dimension_set(feature="f"), dimension_set(feature="g")]
        slots = [price_slot(price, model=m) for price, m in zip(_PRICES, _MODELS, strict=True)]
        names = dict(zip(slots, _MODELS, strict=True))
        terms = (
            [_commitment(each) for each in commit],
            [credit(str(amount), model=model, **span) for amount, span, model in grants],
            [term(Tax, percent=percent, model=model, **span) for percent, span, model in levied],
        )

        def used(rows: list[Any]) -> None:
            for day, which, slot, tokens_in, tokens_out in rows:
                use(day, sets[which], slots[slot], {Meter.INPUT: tokens_in, Meter.OUTPUT: tokens_out})

        used(early)
        charging.derive(today=TODAY)
        assert found() == expected(names, terms)
        if terms[0]:
            add_up(terms[0])

        used(late)
        charging.derive(today=TODAY)
        assert found() == expected(names, terms)
        from_days = days_kept()
        assert charging.derive(today=TODAY) == charging.Derived()

        before = current()
        if terms[0]:
            terms[0][0] = correct(terms[0][0], amount_usd=other)
            charging.derive(today=TODAY)
            assert found() == expected(names, terms)
            as_of = Charge.objects.exclude(known_from__gte=terms[0][0].known_from)
            as_of = as_of.exclude(known_to__lt=terms[0][0].known_from)
            assert {
                (c.day, c.dimension_set_id, c.slot_id, c.origin, c.origin_id, c.part) for c in as_of
            } == set(before)
            assert sum(c.billed_cost for c in as_of) == sum(billed for _, _, billed in before.values())
        else:
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM charging_state")
            charging.derive(today=TODAY)
            assert (current(), days_kept()) == (before, from_days)
        transaction.set_rollback(True)


def _commitment(drawn_at_random: tuple[Any, ...]) -> Commitment:
    is_prepaid, paid, worth, per_hour, span, model, to = drawn_at_random
    said = {"model": model, "attribute_to": to, **span}
    if is_prepaid:
        return prepaid(str(paid), str(worth), **said)
    return capacity(str(paid), str(worth), None if per_hour is None else str(per_hour), **said)


def add_up(commitments: Sequence[Commitment]) -> None:
    """Over a term effective equals billed; no line is covered for more than it costs."""
    for each in commitments:
        rows = Charge.objects.filter(known_to=None, origin="commitment", origin_id=each.pk)
        if each.ends_on <= TODAY:
            assert sum(row.effective_cost for row in rows) == sum(row.billed_cost for row in rows)
        assert all(row.effective_cost > 0 for row in rows if row.part == "unused")
    with connection.cursor() as cursor:
        cursor.execute(_LINES_COVERED_TWICE)
        assert cursor.fetchall() == []


_LINES_COVERED_TWICE = """
SELECT day, dimension_set_id, slot_id FROM cost_day LEFT JOIN (
    SELECT day, dimension_set_id, slot_id, sum(-billed_cost) AS taken FROM charge
    WHERE known_to IS NULL AND part IN ('covered', 'credit') GROUP BY 1, 2, 3
) c USING (day, dimension_set_id, slot_id)
GROUP BY 1, 2, 3, taken HAVING taken > coalesce(sum(contracted_cost), 0)"""


def days_kept() -> set[tuple[Any, ...]]:
    return {
        (row.origin, row.origin_id, row.day, row.quantity, row.eligible, row.covered, row.used, row.left)
        for row in ChargeDay.objects.all()
    }
