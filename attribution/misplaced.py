"""Calls under a slot that does not hold them any more: found, and given to the slots that do.

A price that changes within a slot narrows it (``pricing.slot_rates``). Where its calls belong instead is
laid out as pieces of time and prompt size, each with one target; a statement then moves any number of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import QuerySet
from django.utils import timezone

from finops.core.meters import INPUT_METERS, SPARSE_TOKEN_METERS
from pricing.catalogue import published_history
from pricing.grid import Cell, Grid, SlotKey
from pricing.models import PriceSlot, SplitSlot
from pricing.slot_rates import PUBLISHING_LOCK, Grids, cells_held, ensure_slots, slot_key
from pricing.slots import masks

# A process that looked a slot up before it was narrowed writes within seconds. Whatever is later still
# is found when the books are verified.
_LATE = timedelta(days=1)
_DAY = 86_400
_NO_PROMPT, _ANY_PROMPT = -1, 1 << 40


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A slot, the grid of its facts, and the part that it keeps; None: nothing.

    ``held`` are the cells that it had before.
    """

    slot: int
    grid: Grid
    kept: SlotKey | None
    held: frozenset[Cell]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a slot that belongs elsewhere: half-open in time (Unix seconds), prompts above ``over``."""

    slot: int
    starts: int
    ends: int
    over: int
    upto: int
    cell: Cell

    @property
    def is_whole(self) -> bool:
        """Whether it holds prompts of every size."""
        return (self.over, self.upto) == (_NO_PROMPT, _ANY_PROMPT)


@dataclass(frozen=True, slots=True)
class Piece:
    """A region with the slot that its calls belong to."""

    region: Region
    target: int

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From when to when, half-open."""
        return _instant(self.region.starts), _instant(self.region.ends)


def regions(narrowed: Narrowed, first: datetime, last: datetime) -> list[Region]:
    """What lies outside of what the slot keeps, between two instants (``last`` is inside)."""
    found: list[Region] = []
    grid, held = narrowed.grid, narrowed.held
    bands = sorted({band for _, band, _ in held})
    for starts, ends, interval, mask in _segments(grid, int(first.timestamp()), int(last.timestamp()) + 1):
        for band in bands:
            cell = (interval, band, mask)
            if cell in held and (narrowed.kept is None or not _holds(narrowed.kept, grid, cell)):
                over, upto = grid.band(band)
                # Beyond the bands that it had there is nothing: no need to ask for the prompt.
                over = _NO_PROMPT if over is None or band == bands[0] else over
                upto = _ANY_PROMPT if upto is None or band == bands[-1] else upto
                found.append(Region(narrowed.slot, starts, ends, over, upto, cell))
    return found


def pieces(narrowed: Sequence[Narrowed], first: datetime, last: datetime) -> list[Piece]:
    """Where the calls of these slots belong that they do not keep; slots that are missing are made.

    Neighbouring pieces with one target are one.
    """
    found = [(each.grid, region) for each in narrowed for region in regions(each, first, last)]
    wanted = {grid.slot(region.cell): grid.timeline(region.cell) for grid, region in found}
    if not wanted:
        return []
    ids = dict(zip(wanted, ensure_slots(list(wanted.items())), strict=True))
    return joined([Piece(region, ids[grid.slot(region.cell)]) for grid, region in found])


def narrowed_slots(splits: QuerySet[SplitSlot]) -> list[Narrowed]:
    """The slots of these splits as they are stored, on the grid of the published book.

    Where one was narrowed several times, it had had what it had before the first.
    """
    grids = _published_grids()
    found: dict[int, Narrowed] = {}
    for split in splits.select_related("slot").order_by("at", "pk"):
        key = slot_key(split.slot)
        grid = grids.of(key.facts)
        kept = key if grid.cells_of(key) else None
        found.setdefault(split.slot_id, Narrowed(split.slot_id, grid, kept, cells_held(grid, split)))
    return list(found.values())


def unsure_slots(slots: QuerySet[PriceSlot]) -> list[Narrowed]:
    """Slots of which any call may belong elsewhere, as far as anybody knows."""
    grids = _published_grids()
    found = []
    for slot in slots.order_by("pk"):
        key = slot_key(slot)
        grid = grids.of(key.facts)
        found.append(Narrowed(slot.pk, grid, key if grid.cells_of(key) else None, frozenset(grid.cells())))
    return found


def put_right(cursor: Any, calls: str, parameters: dict[str, Any], first: datetime, last: datetime) -> int:
    """Move those of some calls that came under a slot after it was narrowed; returns how many.

    ``calls`` is a condition on ``call_event`` with its parameters. For calls that no rollup holds yet.
    """
    # Any: Django's cursor wrapper has no public type; a parameter is whatever the driver adapts.
    late = SplitSlot.objects.filter(at__gt=timezone.now() - _LATE)
    if not late.exists():
        return 0
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [PUBLISHING_LOCK])
    return move_calls(cursor, pieces(narrowed_slots(late), first, last), calls, parameters)


def move_calls(cursor: Any, where: Sequence[Piece], calls: str, parameters: dict[str, Any]) -> int:
    """Give the calls for which ``calls`` holds to the slots of their pieces; returns how many moved."""
    if not where:
        return 0
    lay_out(cursor, where)
    by_prompt = any(not piece.region.is_whole for piece in where)
    slots = sorted({piece.region.slot for piece in where})
    cursor.execute(_MOVE[by_prompt].format(calls=calls), {**parameters, "slots": slots})
    return int(cursor.rowcount)


def lay_out(cursor: Any, where: Sequence[Piece]) -> None:
    """The pieces as a table for the rest of the transaction."""
    cursor.execute(_PIECES)
    rows = [
        (piece.region.slot, *piece.span, piece.region.over, piece.region.upto, piece.target)
        for piece in where
    ]
    cursor.execute(_LAY_OUT, [list(column) for column in zip(*rows, strict=True)])
    cursor.execute("ANALYZE call_piece")


# The prompt that a call was priced by: its whole input, unless it is the sum of several calls.
_SPARSE = ", ".join(str(int(meter)) for meter in SPARSE_TOKEN_METERS if meter in INPUT_METERS)
PROMPT = f"""coalesce(
    (e.detail ->> 'context_tokens')::bigint,
    e.input::bigint + e.cache_read + e.cache_write + e.cache_write_1h + coalesce(
        (SELECT sum(u.quantity) FROM call_unit u
         WHERE u.identity = e.identity AND u.occurred_at = e.occurred_at
           AND u.meter_id IN ({_SPARSE})), 0))"""
_PIECES = """
CREATE TEMP TABLE IF NOT EXISTS call_piece (
    slot_id integer, starts timestamptz, ends timestamptz, over bigint, upto bigint, target integer
) ON COMMIT DROP;
TRUNCATE call_piece"""
_LAY_OUT = """
INSERT INTO call_piece SELECT * FROM unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[],
                                            %s::bigint[], %s::bigint[], %s::integer[])"""
IN_PIECE = "p.slot_id = e.slot_id AND e.occurred_at >= p.starts AND e.occurred_at < p.ends"
BY_PROMPT = "asked.prompt > p.over AND asked.prompt <= p.upto"
_MOVE = {
    False: f"""
        UPDATE call_event e SET slot_id = p.target FROM call_piece p
        WHERE {{calls}} AND e.slot_id = ANY(%(slots)s) AND {IN_PIECE}""",
    True: f"""
        UPDATE call_event e SET slot_id = p.target
        FROM call_piece p, (
            SELECT e.identity, e.occurred_at, {PROMPT} AS prompt FROM call_event e
            WHERE {{calls}} AND e.slot_id = ANY(%(slots)s)) asked
        WHERE {{calls}} AND e.identity = asked.identity AND e.occurred_at = asked.occurred_at
          AND {IN_PIECE} AND {BY_PROMPT}""",
}

_grids: Grids | None = None


def _published_grids() -> Grids:
    """Kept by each process until the next publication."""
    global _grids
    history = published_history()
    if _grids is None or _grids.history is not history:
        _grids = Grids(history)
    return _grids


def _segments(grid: Grid, first: int, end: int) -> list[tuple[int, int, int, int]]:
    """Stretches of time within which prices are the same: start, end, interval, schedules' windows."""
    cuts = {first, *(edge for edge in grid.edges if first < edge < end)}
    for schedule in grid.schedules:
        seconds = {0, *(second for window in schedule.windows for second in window)}
        days = range(first // _DAY, end // _DAY + 1)
        cuts |= {at for day in days for second in seconds if first < (at := day * _DAY + second) < end}
    starts = np.array(sorted(cuts), dtype=np.int64)
    interval = np.searchsorted(np.array(grid.edges, dtype=np.int64), starts, side="right")
    ends = [*starts[1:].tolist(), end]
    return list(
        zip(starts.tolist(), ends, interval.tolist(), masks(grid, interval, starts).tolist(), strict=True)
    )


def _holds(key: SlotKey, grid: Grid, cell: Cell) -> bool:
    interval, band, mask = cell
    start, end = grid.interval(interval)
    over, upto = grid.band(band)
    return (
        (key.effective_from is None or (start is not None and start >= key.effective_from))
        and (key.effective_to is None or (end is not None and end <= key.effective_to))
        and (over or 0) >= key.context_over
        and (key.context_upto is None or (upto is not None and upto <= key.context_upto))
        and grid.label(interval, mask) == key.schedule
    )


def joined(found: list[Piece]) -> list[Piece]:
    """Pieces of one target that touch, first by prompt size, then in time."""
    by_prompt: list[Piece] = []
    for piece in sorted(found, key=lambda p: (p.region.slot, p.region.starts, p.region.over)):
        last = by_prompt[-1] if by_prompt else None
        if last and _same(last, piece, "slot", "starts", "ends") and last.region.upto == piece.region.over:
            by_prompt[-1] = _upto(last, ends=last.region.ends, upto=piece.region.upto)
        else:
            by_prompt.append(piece)
    joined: list[Piece] = []
    for piece in sorted(
        by_prompt, key=lambda p: (p.region.slot, p.region.over, p.region.upto, p.region.starts)
    ):
        last = joined[-1] if joined else None
        if last and _same(last, piece, "slot", "over", "upto") and last.region.ends == piece.region.starts:
            joined[-1] = _upto(last, ends=piece.region.ends, upto=last.region.upto)
        else:
            joined.append(piece)
    return joined


def _same(one: Piece, other: Piece, *names: str) -> bool:
    return one.target == other.target and all(
        getattr(one.region, name) == getattr(other.region, name) for name in names
    )


def _upto(piece: Piece, *, ends: int, upto: int) -> Piece:
    region = piece.region
    return Piece(Region(region.slot, region.starts, ends, region.over, upto, region.cell), piece.target)


def _instant(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
