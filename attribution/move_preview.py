"""What a change of ownership would do to the figures, before it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction

from attribution import ownership
from attribution.reports import CostQuery, costs
from finops.core.money import ZERO
from finops.core.periods import Period


@dataclass(frozen=True, slots=True)
class OwnerChange:
    """Effective cost of one owner (None: nobody) in the period, as it is and as it would be."""

    owner: str | None
    before: Decimal
    after: Decimal

    @property
    def change(self) -> Decimal:
        return self.after - self.before


def preview(change: Callable[[], Any], period: Period, *, dimension: str = "team") -> tuple[OwnerChange, ...]:
    """Who would have how much in the period after ``change``; only those for whom it differs.

    ``change`` is any of the functions of ``ownership`` or ``organisation``, called with its arguments:
    ``preview(lambda: own_feature("search", "growth", effective_from=day, actor=actor), period)``. It is
    really made, by the same code, in a transaction that is then undone, so the figures are those that
    will come. ``dimension`` is ``team``, ``cost_centre`` or ``business_unit``. What it raises is raised.
    """
    query = CostQuery(period=period, group_by=(dimension,), measures=("effective_cost",))
    with transaction.atomic():
        # Nobody else changes ownership between the two questions.
        ownership.lock()
        before = _by_owner(query)
        with transaction.atomic():
            change()
            after = _by_owner(query)
            transaction.set_rollback(True)
    owners = sorted(before.keys() | after.keys(), key=lambda owner: (owner is None, owner or ""))
    changes = (OwnerChange(owner, before.get(owner, ZERO), after.get(owner, ZERO)) for owner in owners)
    return tuple(change for change in changes if change.change)


def affected_period(effective_from: date | None, first: date, end: date) -> Period:
    """The part of the days from ``first`` to ``end`` that a change from that day can touch."""
    start = first if effective_from is None else min(max(first, effective_from), end)
    return Period(start, end)


def _by_owner(query: CostQuery) -> dict[str | None, Decimal]:
    found: dict[str | None, Decimal] = {}
    for group in costs(query).groups:
        amount = group.total["effective_cost"]
        found[group.key[0]] = amount if isinstance(amount, Decimal) else ZERO
    return found
