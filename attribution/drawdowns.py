"""How far commitments and grants are used: by day, by month, and in all, in dollars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from itertools import groupby

from django.db.models import Sum

from attribution.models import ChargeDay, Origin
from finops.core.money import EXACT, ZERO
from pricing.commitments import DrawnDay
from pricing.models import Commitment, Credit

Drawn = Commitment | Credit
_SUMS = ("covered", "cost", "used", "unused", "purchase")


@dataclass(frozen=True, slots=True)
class Totals:
    """What a commitment or grant did so far, or in a month.

    ``covered`` is usage at contracted prices that it paid for, ``used`` the part of its own cost that took
    the place of that, ``unused`` the part that nobody used; ``billed`` is what was paid for it.
    """

    covered: Decimal = ZERO
    cost: Decimal = ZERO
    used: Decimal = ZERO
    unused: Decimal = ZERO
    billed: Decimal = ZERO

    @property
    def amortised(self) -> Decimal:
        """What of its cost has become cost of some day."""
        return self.used + self.unused

    def left(self, term: Drawn) -> Decimal | None:
        """What the balance still holds; None where there is none to draw from."""
        holds = term.amount_usd if isinstance(term, Credit) else term.credit_usd
        return None if holds is None else holds - self.covered

    def utilisation(self, term: Drawn) -> Decimal | None:
        """The share that was used: of what it holds in all, or of the capacity so far. To six places."""
        if isinstance(term, Credit):
            part, whole = self.covered, term.amount_usd
        elif term.credit_usd is not None:
            part, whole = self.covered, term.credit_usd
        else:
            part, whole = self.used, self.cost
        with localcontext(EXACT):
            return round(part / whole, 6) if whole else None


def totals(terms: Iterable[Drawn]) -> Mapping[Drawn, Totals]:
    """Of each of these, so far; one query for commitments and one for credits."""
    wanted = list(terms)
    found: dict[Drawn, Totals] = {}
    for kind, origin in ((Commitment, Origin.COMMITMENT), (Credit, Origin.CREDIT)):
        some = {term.pk: term for term in wanted if isinstance(term, kind)}
        if some:
            rows = ChargeDay.objects.filter(origin=origin, origin_id__in=some).values_list("origin_id")
            for number, *sums in rows.annotate(*(Sum(name) for name in _SUMS)):
                found[some[number]] = Totals(*sums)
    return {term: found.get(term, Totals()) for term in wanted}


def total_of(days: Iterable[DrawnDay]) -> Totals:
    """What these days did together."""
    with localcontext(EXACT):
        columns = zip(
            *((day.covered, day.cost, day.used, day.unused, day.purchase) for day in days), strict=True
        )
        return Totals(*(sum(column, ZERO) for column in columns))


def by_month(days: Sequence[DrawnDay]) -> list[tuple[date, Totals, Decimal | None]]:
    """Per month, in order: its first day, what it did, and what a balance held at its end."""
    found = []
    for month, some in groupby(days, key=lambda day: day.day.replace(day=1)):
        month_days = list(some)
        found.append((month, total_of(month_days), month_days[-1].left))
    return found
