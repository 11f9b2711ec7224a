"""Cuts a tariff into cells of constant prices: by interval, prompt size and daily schedule.

Pure. Neighbouring cells with the same prices belong to the same slot, so a slot is as wide as its
prices are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pricing.book import Instant, Quote, Tariff
from pricing.facts import Facts


@dataclass(frozen=True, slots=True)
class SlotKey:
    """What identifies a slot; the interval is in Unix seconds, None where it is open."""

    facts: Facts
    context_over: int
    context_upto: int | None
    schedule: str
    effective_from: Instant | None
    effective_to: Instant | None


Cell = tuple[int, int, int]  # interval, prompt band, schedule (0: in no window)


@dataclass(frozen=True)
class Grid:
    """The cells of one tariff."""

    tariff: Tariff

    @cached_property
    def shape(self) -> Cell:
        """How many intervals, bands and schedules there are."""
        tariff = self.tariff
        return len(tariff.edges) + 1, len(tariff.bounds) + 1, len(tariff.schedules) + 1

    @cached_property
    def _quotes(self) -> dict[Cell, Quote]:
        return {}

    def quote(self, cell: Cell) -> Quote:
        """What prices calls in this cell."""
        if cell not in self._quotes:
            interval, band, schedule = cell
            self._quotes[cell] = self.tariff.quote_in(
                self._instant(interval),
                self.tariff.bounds[band - 1] + 1 if band else 0,
                self.tariff.schedules[schedule - 1][0] if schedule else None,
            )
        return self._quotes[cell]

    def slot(self, cell: Cell) -> SlotKey:
        """The slot that the cell belongs to: the widest box of cells around it with the same prices."""
        *_, schedule = cell
        intervals, bands, _ = self.shape
        low, high = self._run(cell, axis=1, length=bands)
        first, last = self._run(cell, axis=0, length=intervals, across=range(low, high + 1))
        edges, bounds = self.tariff.edges, self.tariff.bounds
        return SlotKey(
            facts=self.tariff.facts,
            context_over=bounds[low - 1] if low else 0,
            context_upto=bounds[high] if high < bands - 1 else None,
            schedule=self.tariff.schedules[schedule - 1][0].name if schedule else "",
            effective_from=edges[first - 1] if first else None,
            effective_to=edges[last] if last < intervals - 1 else None,
        )

    def cells_of(self, key: SlotKey) -> list[Cell]:
        """The cells that a slot, made when the book was another, overlaps now.

        Of cells with a schedule only those are taken that the slot names.
        """
        edges, bounds = self.tariff.edges, self.tariff.bounds
        intervals, bands, schedules = self.shape
        names = ["", *(schedule.name for schedule, _ in self.tariff.schedules)]
        return [
            (interval, band, schedule)
            for interval in range(intervals)
            if (interval == 0 or key.effective_to is None or edges[interval - 1] < key.effective_to)
            and (
                interval == intervals - 1
                or key.effective_from is None
                or edges[interval] > key.effective_from
            )
            for band in range(bands)
            if (band == 0 or key.context_upto is None or bounds[band - 1] < key.context_upto)
            and (band == bands - 1 or bounds[band] > key.context_over)
            for schedule in range(schedules)
            if names[schedule] == key.schedule and self._occurs(interval, schedule)
        ]

    def _occurs(self, interval: int, schedule: int) -> bool:
        if not schedule:
            return True
        start, end = self.tariff.schedules[schedule - 1][1]
        at = self._instant(interval)
        return (start is None or start <= at) and (end is None or at < end)

    def _instant(self, interval: int) -> Instant:
        edges = self.tariff.edges
        if interval:
            return edges[interval - 1]
        return edges[0] - 1 if edges else 0

    def _run(self, cell: Cell, *, axis: int, length: int, across: range | None = None) -> tuple[int, int]:
        """The first and last cell along an axis that have the same prices as this one."""
        wanted = self.quote(cell).signature

        def alike(position: int) -> bool:
            moved = list(cell)
            moved[axis] = position
            bands = across if across is not None else (moved[1],)
            same = all(self.quote((moved[0], band, moved[2])).signature == wanted for band in bands)
            if across is None or not same:
                return same
            low, high = self._run((moved[0], across[0], moved[2]), axis=1, length=self.shape[1])
            return (low, high) == (across[0], across[-1])

        first = last = cell[axis]
        while first and alike(first - 1):
            first -= 1
        while last < length - 1 and alike(last + 1):
            last += 1
        return first, last
