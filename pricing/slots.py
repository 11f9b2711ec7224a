"""Finds the price slot of every event of a batch: one dictionary look-up an event, the rest in columns.

Each process keeps what it has seen. A set of facts is cut into cells once (``pricing.grid``); after that
an event's cell is found by two binary searches over whole columns, and its slot by an index.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from pricing.catalogue import current_version, published_history
from pricing.facts import Facts, normalise
from pricing.grid import Cell, Grid
from pricing.history import History
from pricing.models import PriceSlot
from pricing.slot_rates import PUBLISHING_LOCK, ensure_slots, unit_meter_ids

__all__ = ["Facts", "SlotBook"]

_LOOK_AGAIN_AFTER = 1.0  # seconds
_ENTRY_SHIFT = 32  # entry number above, seconds or tokens below
_LARGEST = (1 << _ENTRY_SHIFT) - 1
_MICROSECONDS = 1_000_000
_UNKNOWN = -1
_MOST_FACTS = 20_000  # a sender that makes up models must not fill the memory
Ints = NDArray[np.int64]


@dataclass
class _Index:
    """All grids side by side, so that one search over the columns serves every set of facts."""

    grids: list[Grid] = field(default_factory=list)
    entry_of: dict[tuple[object, ...], int] = field(default_factory=dict)
    slots: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    cell_base: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    bands: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    schedules: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    edge_keys: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    edge_base: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    bound_keys: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    bound_base: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, book: History, facts: Iterable[tuple[object, ...]]) -> None:
        """Take up facts that were not seen before."""
        by_normal = {grid.facts: entry for entry, grid in enumerate(self.grids)}
        for raw in facts:
            normal = normalise(Facts(*raw))  # type: ignore[arg-type]
            if normal not in by_normal:
                by_normal[normal] = len(self.grids)
                self.grids.append(Grid(normal, book.tariffs(normal)))
            self.entry_of[raw] = by_normal[normal]
        self._lay_out()

    def _lay_out(self) -> None:
        shapes = np.array([grid.shape for grid in self.grids], dtype=np.int64).reshape(-1, 3)
        self.bands, self.schedules = shapes[:, 1].copy(), shapes[:, 2].copy()
        cells = shapes.prod(axis=1)
        self.cell_base = np.concatenate(([0], np.cumsum(cells)[:-1])).astype(np.int64)
        known = self.slots
        self.slots = np.full(int(cells.sum()), _UNKNOWN, dtype=np.int32)
        self.slots[: len(known)] = known
        self.edge_keys, self.edge_base = _side_by_side([grid.edges for grid in self.grids])
        # A bound is exclusive: the band begins one token later.
        self.bound_keys, self.bound_base = _side_by_side(
            [[bound + 1 for bound in grid.bounds] for grid in self.grids]
        )

    def cells(self, entries: Ints, seconds: Ints, prompts: Ints) -> Ints:
        """The cell of every event, numbered over all grids."""
        shifted = entries << _ENTRY_SHIFT
        interval = np.searchsorted(self.edge_keys, shifted | seconds, side="right") - 1
        interval -= self.edge_base[entries]
        band = np.searchsorted(self.bound_keys, shifted | prompts, side="right") - 1
        band -= self.bound_base[entries]
        cell = interval * self.bands[entries]
        cell += band
        per_schedule = self.schedules[entries]
        cell *= per_schedule
        cell += self.cell_base[entries]
        if (per_schedule > 1).any():
            self._add_schedules(cell, entries, interval, seconds)
        return cell

    def _add_schedules(self, cell: Ints, entries: Ints, interval: Ints, seconds: Ints) -> None:
        scheduled = np.flatnonzero(self.schedules[entries] > 1)
        for entry in set(entries[scheduled].tolist()):
            positions = scheduled[entries[scheduled] == entry]
            grid = self.grids[entry]
            cell[positions] += masks(grid, interval[positions], seconds[positions])

    def place(self, cell: int) -> tuple[Grid, Cell]:
        """The grid that a cell number belongs to, and the cell in it."""
        entry = int(np.searchsorted(self.cell_base, cell, side="right")) - 1
        grid = self.grids[entry]
        _, bands, schedules = grid.shape
        rest, schedule = divmod(cell - int(self.cell_base[entry]), schedules)
        interval, band = divmod(rest, bands)
        return grid, (interval, band, schedule)


class SlotBook:
    """The slots of one process. Not for several threads at once: give each its own."""

    def __init__(self) -> None:
        self._book: History | None = None
        self._index = _Index()
        self._looked_at = 0.0
        self._highest = 0
        self._minimums: dict[tuple[int, str], Decimal] = {}

    def resolve(
        self, facts: Sequence[tuple[object, ...]], occurred_at_us: Ints, prompt_tokens: Ints
    ) -> NDArray[np.int32]:
        """The slot id of every event; slots that do not exist yet are made, in a transaction of their own.

        ``facts`` are ``Facts`` or plain tuples of the same nine values; times are microseconds since
        1970, prompt tokens the inclusive input total. Call it outside of any transaction, else
        RuntimeError: a slot must outlive the batch that needed it first.
        """
        if not len(facts):
            return np.empty(0, np.int32)
        self._refresh()
        entries = self._entries(facts)
        seconds = np.clip(occurred_at_us // _MICROSECONDS, 0, _LARGEST - 1)
        prompts = np.clip(prompt_tokens, 0, _LARGEST)
        cells = self._index.cells(entries, seconds, prompts)
        slots = self._index.slots[cells]
        if slots.min() < 0:
            missing = np.unique(cells[slots < 0])
            if not self._make(missing):
                self.forget()
                return self.resolve(facts, occurred_at_us, prompt_tokens)
            slots = self._index.slots[cells]
        return slots

    def unit_meter_ids(self, names: Iterable[str]) -> dict[str, int]:
        """The numbers of per-call units by name; new names get the next numbers."""
        return unit_meter_ids(names)

    def charged(self, slot: int, unit: str, quantity: Decimal) -> Decimal:
        """The quantity of a per-call unit that a call of this slot is charged for.

        What it used, but at least the provider's minimum: store this one, and sums times unit prices
        are what the provider charges. Only for slots that this book has resolved.
        """
        least = self._minimums.get((slot, unit))
        return quantity if least is None else max(quantity, least)

    def forget(self) -> None:
        """Drop everything remembered, as after the database was replaced."""
        self._book, self._index, self._looked_at, self._highest = None, _Index(), 0.0, 0
        self._minimums = {}

    def _entries(self, facts: Sequence[tuple[object, ...]]) -> Ints:
        look_up = self._index.entry_of.__getitem__
        try:
            return np.fromiter(map(look_up, facts), dtype=np.int64, count=len(facts))
        except KeyError:
            assert self._book is not None
            if len(self._index.entry_of) > _MOST_FACTS:
                self._index = _Index()
            known = self._index.entry_of
            self._index.add(self._book, [new for new in dict.fromkeys(facts) if new not in known])
            return np.fromiter(map(self._index.entry_of.__getitem__, facts), dtype=np.int64, count=len(facts))

    def _refresh(self) -> None:
        """Follow the price book: at most once a second, look whether it changed."""
        now = time.monotonic()
        if self._book is not None and now - self._looked_at < _LOOK_AGAIN_AFTER:
            return
        gone = self._highest and not PriceSlot.objects.filter(pk=self._highest).exists()
        if self._book is None or gone or current_version() != self._book.version:
            self.forget()
            self._book = published_history()
        self._looked_at = now

    def _make(self, cells: Ints) -> bool:
        """Make the slots of these cells; False when the book has changed meanwhile."""
        assert self._book is not None
        places = [self._index.place(int(cell)) for cell in cells]
        keys = [grid.slot(cell) for grid, cell in places]
        wanted = dict(zip(keys, (grid.timeline(cell) for grid, cell in places), strict=True))
        with transaction.atomic(durable=True):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [PUBLISHING_LOCK])
            if current_version() != self._book.version:
                return False
            made = dict(zip(wanted, ensure_slots(list(wanted.items())), strict=True))
        self._index.slots[cells] = [made[key] for key in keys]
        self._minimums |= {
            (made[key], meter): priced.unit_price.minimum
            for key, (grid, cell) in zip(keys, places, strict=True)
            for meter, priced in grid.quote(cell).meters.items()
            if priced.unit_price.minimum is not None
        }
        self._highest = max(self._highest, *made.values())
        return True


def masks(grid: Grid, interval: Ints, seconds: Ints) -> Ints:
    """Which schedules' windows each instant lies in: bit n for the n-th schedule of the grid."""
    found = np.zeros(len(seconds), dtype=np.int64)
    for number, schedule in enumerate(grid.schedules):
        matters = np.array([number in known for known in grid.matters], dtype=np.bool_)
        found |= (matters[interval] & schedule.contains(seconds)).astype(np.int64) << number
    return found


def _side_by_side(groups: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """Sorted boundaries of every entry in one sorted column, each entry beginning at zero.

    Returns the column and the position at which each entry begins.
    """
    keys: list[int] = []
    base: list[int] = []
    for entry, group in enumerate(groups):
        base.append(len(keys))
        keys.append(entry << _ENTRY_SHIFT)
        keys.extend(entry << _ENTRY_SHIFT | boundary for boundary in group)
    return np.array(keys, dtype=np.int64), np.array(base, dtype=np.int64)
