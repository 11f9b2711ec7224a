"""What each term met and did from day to day: of some days worked out anew, of all others as it is kept.

Balances and volumes run from day to day. A day that is worked out anew may change what a later one covers;
that one is then worked out anew as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from attribution.models import ChargeDay, Origin
from finops.core.money import ZERO
from pricing.commitments import DrawnDay, InScope

_Row = tuple[Decimal | tuple[Decimal, ...] | None, ...]
_Key = tuple[Origin, int]
_FIELDS = ("quantity", "eligible", "covered", "cost", "used", "unused", "purchase", "left", "bands")


@dataclass
class Days:
    """``anew``: the days that are worked out now. ``is_all``: nothing that is kept counts."""

    anew: frozenset[date]
    today: date
    is_all: bool = False
    is_new_day: bool = False
    more: set[date] = field(default_factory=set)  # others that change with them
    _kept: dict[_Key, dict[date, _Row]] | None = None
    _made: dict[_Key, dict[date, _Row]] = field(default_factory=dict)

    def concern(self, first: date, end: date) -> bool:
        """Whether anything may have changed for a term with days from ``first`` to before ``end``."""
        return self.is_all or self.is_new_day or any(first <= day < end for day in self.anew)

    def usage(self, origin: Origin, number: int, met: Mapping[date, InScope]) -> dict[date, InScope]:
        """What is in scope on all days: ``met`` on those worked out now, what is kept on all others."""
        usage = {
            day: InScope(_amount(row[0]), _amount(row[1]))
            for day, row in self.kept(origin, number).items()
            if day not in self.anew
        }
        return usage | {day: met.get(day, InScope()) for day in self.anew}

    def keep(self, origin: Origin, number: int, made: Iterable[DrawnDay]) -> list[DrawnDay]:
        """Remember what a term did; returns the days that are worked out now."""
        made = list(made)
        self.note(origin, number, {each.day: _row_of(each) for each in made})
        return [each for each in made if each.day in self.anew]

    def note(self, origin: Origin, number: int, rows: Mapping[date, _Row]) -> None:
        """Remember rows by day, and which other days change with them."""
        kept = self.kept(origin, number)
        self._made[origin, number] = dict(rows)
        self.more |= {
            day for day in rows.keys() - self.anew if day not in kept or _told(kept[day]) != _told(rows[day])
        }
        self.more |= kept.keys() - rows.keys() - self.anew

    def kept(self, origin: Origin, number: int) -> dict[date, _Row]:
        """What was worked out before, by day."""
        if self.is_all:
            return {}
        if self._kept is None:
            self._kept = {}
            for day, of, term, *values, bands in ChargeDay.objects.values_list(
                "day", "origin", "origin_id", *_FIELDS
            ):
                self._kept.setdefault((Origin(of), term), {})[day] = (*values, tuple(bands))
        return self._kept.get((origin, number), {})

    def save(self) -> None:
        """Write down what has changed."""
        if self.is_all:
            ChargeDay.objects.all().delete()
        changed = [
            ChargeDay(
                origin=origin, origin_id=number, day=day, **dict(zip(_FIELDS[:-1], row[:-1], strict=True)),
                bands=list(row[-1] or ()),  # type: ignore[arg-type]
            )
            for (origin, number), rows in self._made.items()
            for day, row in rows.items()
            if self.kept(origin, number).get(day) != row
        ]  # fmt: skip
        ChargeDay.objects.bulk_create(
            changed,
            batch_size=2_000,
            update_conflicts=True,
            unique_fields=["origin", "origin_id", "day"],
            update_fields=_FIELDS,
        )


def _told(row: _Row) -> _Row:
    """What lines depend on: all but what a balance still holds."""
    return (*row[:-2], row[-1])


def _row_of(each: DrawnDay) -> _Row:
    return (
        each.tokens, each.eligible, each.covered, each.cost, each.used, each.unused, each.purchase,
        each.left, (),
    )  # fmt: skip


def _amount(value: object) -> Decimal:
    return value if isinstance(value, Decimal) else ZERO
