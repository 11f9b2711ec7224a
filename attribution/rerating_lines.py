"""The lines of a re-rating added up: by team, feature, day or model, as it was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Abs

from attribution.models import Rerating, ReratingLine

GROUPS = ("team", "feature", "day", "provider", "model")
_SUMS = ("calls", "newly_priced", "newly_unpriced", "before", "after")


@dataclass(frozen=True, slots=True)
class Effect:
    """What one group costs before and after; ``key`` by the names asked for, None is nobody's."""

    key: tuple[str | date | None, ...]
    calls: int
    newly_priced: int
    newly_unpriced: int
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        """What it would change by."""
        return self.after - self.before


def effects(
    rerating: Rerating, by: Sequence[str], *, only: Q | None = None, by_day: bool = False
) -> list[Effect]:
    """The effect on each group, the largest change first, or in the order of days. One query."""
    found: QuerySet[ReratingLine] = rerating.lines.all()
    if only is not None:
        found = found.filter(only)
    summed = found.values(*by).annotate(**{f"sum_{name}": Sum(name) for name in _SUMS})
    change = Abs(F("sum_after") - F("sum_before"))
    ordered = summed.order_by("day") if by_day else summed.order_by(change.desc(), *by)
    return [
        Effect(tuple(row[name] for name in by), *(row[f"sum_{name}"] for name in _SUMS)) for row in ordered
    ]
