"""Cuts what is known about a call's prices into cells: by interval, prompt size and daily schedules.

Pure. In a cell prices are the same everywhere, at each time of knowledge. Neighbouring cells with the
same prices belong to the same slot, so a slot is as wide as its prices are and were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pricing.book import Quote, Tariff
from pricing.entries import Instant, holds
from pricing.facts import Facts
from pricing.history import NEVER
from pricing.schedules import Schedule


@dataclass(frozen=True, slots=True)
class SlotKey:
    """What identifies a slot; the interval is in Unix seconds, None where it is open."""

    facts: Facts
    context_over: int
    context_upto: int | None
    schedule: str
    effective_from: Instant | None
    effective_to: Instant | None


# Interval, prompt band, and which schedules' windows it lies in: bit n for the n-th schedule.
Cell = tuple[int, int, int]


@dataclass(frozen=True)
class Grid:
    """The cells of one set of facts; ``tariffs`` with the times they became known, in order."""

    facts: Facts
    tariffs: Sequence[tuple[float, Tariff]]

    @cached_property
    def edges(self) -> list[Instant]:
        """The instants at which anything may change or was thought to, sorted."""
        return sorted({edge for _, tariff in self.tariffs for edge in tariff.edges})

    @cached_property
    def bounds(self) -> list[int]:
        """The prompt sizes above which another row may apply or was thought to, sorted."""
        return sorted({bound for _, tariff in self.tariffs for bound in tariff.bounds})

    @cached_property
    def schedules(self) -> list[Schedule]:
        """Every daily schedule that a price ever had, in the order in which they became known."""
        return list(dict.fromkeys(s for _, tariff in self.tariffs for s, _ in tariff.schedules))

    @cached_property
    def shape(self) -> Cell:
        """How many intervals, bands and combinations of schedules there are."""
        return len(self.edges) + 1, len(self.bounds) + 1, 1 << len(self.schedules)

    @cached_property
    def matters(self) -> list[dict[int, float]]:
        """For each interval the schedules (by number) that matter in it, and since when that is known."""
        found: list[dict[int, float]] = [{} for _ in range(self.shape[0])]
        numbers = {schedule: number for number, schedule in enumerate(self.schedules)}
        for known_from, tariff in self.tariffs:
            for schedule, span in tariff.schedules:
                for interval, known in enumerate(found):
                    if holds(span, self._instant(interval)):
                        known.setdefault(numbers[schedule], known_from)
        return found

    def quotes(self, cell: Cell) -> tuple[Quote, ...]:
        """What priced calls in this cell at each time of knowledge."""
        if cell not in self._quotes:
            interval, band, mask = cell
            at = self._instant(interval)
            prompt = self.bounds[band - 1] + 1 if band else 0
            self._quotes[cell] = tuple(
                tariff.quote_in(at, prompt, self._schedule(tariff, at, mask)) for _, tariff in self.tariffs
            )
        return self._quotes[cell]

    def quote(self, cell: Cell) -> Quote:
        """What prices calls in this cell, as known now."""
        return self.quotes(cell)[-1]

    def timeline(self, cell: Cell) -> list[tuple[float, float, Quote]]:
        """The quotes of a cell with the times from when to when they were known."""
        begins = [known_from for known_from, _ in self.tariffs]
        return list(zip(begins, [*begins[1:], NEVER], self.quotes(cell), strict=True))

    def signature(self, cell: Cell) -> tuple[object, ...]:
        """Equal for cells with the same prices at all times of knowledge and the same schedules."""
        return (self.label(cell[0], cell[2]), *(quote.signature for quote in self.quotes(cell)))

    def slot(self, cell: Cell) -> SlotKey:
        """The slot that the cell belongs to: the widest box of cells around it with the same prices."""
        return self.box(cell, lambda _: True)

    def box(self, cell: Cell, inside: Callable[[Cell], bool]) -> SlotKey:
        """The widest box around a cell, of cells with the same prices for which ``inside`` holds."""
        interval, band, mask = cell

        def alike(other: Cell) -> bool:
            return inside(other) and self.signature(other) == self.signature(cell)

        low, high = _run(band, self.shape[1], lambda b: alike((interval, b, mask)))

        def same_run(i: int) -> bool:
            if not alike((i, low, mask)):
                return False
            return _run(low, self.shape[1], lambda b: alike((i, b, mask))) == (low, high)

        first, last = _run(interval, self.shape[0], same_run)
        return SlotKey(
            facts=self.facts,
            context_over=self.bounds[low - 1] if low else 0,
            context_upto=self.bounds[high] if high < self.shape[1] - 1 else None,
            schedule=self.label(interval, mask),
            effective_from=self.edges[first - 1] if first else None,
            effective_to=self.edges[last] if last < self.shape[0] - 1 else None,
        )

    def cells_of(self, key: SlotKey, known_before: float = NEVER) -> list[Cell]:
        """The cells that a slot overlaps which was made by what was known before this time.

        A schedule that became known later divides it: cells inside and outside its windows are listed.
        """
        return [
            (interval, band, mask)
            for interval in range(self.shape[0])
            if _overlap(self.interval(interval), (key.effective_from, key.effective_to))
            for band in range(self.shape[1])
            if _overlap(self.band(band), (key.context_over or None, key.context_upto))
            for mask in self._masks(interval)
            if self.label(interval, mask, known_before) == key.schedule
        ]

    def cells(self) -> Iterator[Cell]:
        """All of them."""
        for interval in range(self.shape[0]):
            for band in range(self.shape[1]):
                for mask in self._masks(interval):
                    yield interval, band, mask

    def label(self, interval: int, mask: int, known_before: float = NEVER) -> str:
        """What a slot's schedule is called; of two schedules with one name, the later known is numbered."""
        seen: dict[str, int] = {}
        parts = []
        for number, known_from in sorted(self.matters[interval].items(), key=lambda item: (item[1], item[0])):
            if known_from >= known_before:
                continue
            name = self.schedules[number].name
            seen[name] = seen.get(name, 0) + 1
            if mask >> number & 1:
                parts.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
        return " + ".join(parts)

    def interval(self, interval: int) -> tuple[Instant | None, Instant | None]:
        """From when to when, in Unix seconds, half-open."""
        edges = self.edges
        start = edges[interval - 1] if interval else None
        return start, edges[interval] if interval < len(edges) else None

    def band(self, band: int) -> tuple[int | None, int | None]:
        """Above and up to which prompt size."""
        bounds = self.bounds
        over = bounds[band - 1] if band else None
        return over, bounds[band] if band < len(bounds) else None

    @cached_property
    def _quotes(self) -> dict[Cell, tuple[Quote, ...]]:
        return {}

    def _schedule(self, tariff: Tariff, at: Instant, mask: int) -> Schedule | None:
        for schedule, span in tariff.schedules:
            if holds(span, at) and mask >> self.schedules.index(schedule) & 1:
                return schedule
        return None

    def _masks(self, interval: int) -> Iterator[int]:
        """The combinations of schedules that matter in this interval."""
        relevant = sum(1 << number for number in self.matters[interval])
        return (mask for mask in range(self.shape[2]) if mask & ~relevant == 0)

    def _instant(self, interval: int) -> Instant:
        edges = self.edges
        if interval:
            return edges[interval - 1]
        return edges[0] - 1 if edges else 0


def _run(position: int, length: int, alike: Callable[[int], bool]) -> tuple[int, int]:
    """The first and last position around this one that are like it, without a gap."""
    first = last = position
    while first and alike(first - 1):
        first -= 1
    while last < length - 1 and alike(last + 1):
        last += 1
    return first, last


def _overlap(one: tuple[int | None, int | None], other: tuple[int | None, int | None]) -> bool:
    return (one[0] is None or other[1] is None or one[0] < other[1]) and (
        other[0] is None or one[1] is None or other[0] < one[1]
    )
