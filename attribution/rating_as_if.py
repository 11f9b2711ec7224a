"""What booked usage would cost under a version that is not published: the lines of a re-rating."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from attribution import rerating_sql as sql
from attribution import rollups
from attribution.misplaced import Narrowed, Piece, Region, joined, lay_out, regions
from attribution.restating import bounds, day_of, days_used, instants, meets
from pricing.history import AS_IF
from pricing.models import PriceSlot
from pricing.slot_rates import (
    Division,
    Grids,
    MeterPrice,
    amounts_of,
    current_amounts,
    division_of,
    meter_ids,
    meter_prices,
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Effective cost of the calls whose prices change, now and then; days are None without any."""

    calls: int
    newly_priced: int
    newly_unpriced: int
    before: Decimal
    after: Decimal
    first_day: date | None
    last_day: date | None


@dataclass
class _Parts:
    """Slots and parts of slots whose prices change, with the prices that they would have."""

    prices: dict[int, Sequence[MeterPrice]] = field(default_factory=dict)
    rows: list[tuple[int, int, date | None]] = field(default_factory=list)  # slot, part, day


def rate(cursor: Any, grids: Grids) -> list[Division]:
    """Fill ``rated_line`` for the rest of the transaction; returns the slots that would be divided.

    ``grids`` are those of the book as if the version were published. Nothing is rated call by call but
    days within which a price changes. Hold the fold's lock for figures that are of one moment. Raises
    RawCallsDropped for such a day whose single calls have left by retention.
    """
    # Any: Django's cursor wrapper has no public type.
    cursor.execute(sql.TABLES)
    cursor.execute("SELECT DISTINCT slot_id FROM usage_day")
    used = [slot for (slot,) in cursor.fetchall()]
    current = current_amounts()
    parts, divided = _Parts(), []
    for slot in PriceSlot.objects.filter(pk__in=used).order_by("pk"):
        division = division_of(slot, grids, AS_IF)
        if division is None:
            continue
        if division.is_divided:
            divided.append(division)
        elif amounts_of(prices := _prices(division, division.cells[0])) != current.get(slot.pk, set()):
            parts.prices[slot.pk] = prices
            parts.rows.append((slot.pk, slot.pk, None))
    days = _divide(cursor, divided, current, parts)
    _fill(cursor, parts, days)
    return divided


def totals(cursor: Any) -> Totals:
    """The sums of the lines that ``rate`` has left."""
    cursor.execute(sql.TOTALS)
    return Totals(*cursor.fetchone())


def figures(cursor: Any, before: date) -> str:
    """A name for the lines of the days before this one: another one for other figures."""
    cursor.execute(sql.FIGURES, [before])
    return str(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class _Within:
    """A day of which some slots' calls are in several parts."""

    day: date
    where: Sequence[Piece]


def _divide(
    cursor: Any, divided: Sequence[Division], current: dict[int, set[tuple[object, ...]]], parts: _Parts
) -> list[_Within]:
    """Number the parts of divided slots; those of which whole days are part are told at once."""
    used = days_used(cursor, [division.slot for division in divided])
    if not used:
        return []
    where = _numbered(divided, used, current, parts)
    mixed: dict[date, list[Piece]] = {}
    for slot, day in used:
        found = day_of(slot, day, where.get(slot, ()))
        if found is not None and found.target is None:
            of_day = [piece for piece in where[slot] if meets(piece, *instants(day))]
            mixed.setdefault(day, []).extend(of_day)
        elif found is not None and found.target in parts.prices:
            parts.rows.append((slot, found.target, day))
    return [_Within(day, pieces) for day, pieces in sorted(mixed.items())]


def _numbered(
    divided: Sequence[Division],
    used: Sequence[tuple[int, date]],
    current: dict[int, set[tuple[object, ...]]],
    parts: _Parts,
) -> dict[int, list[Piece]]:
    """The parts of each slot by number, all of it; prices of those in which they change."""
    numbers: dict[object, int] = {}
    found: dict[int, list[Piece]] = {}
    for division in divided:
        grid = division.grid
        everything = Narrowed(division.slot, grid, None, frozenset(division.cells))
        whole: list[Region] = regions(everything, *bounds(used))
        pieces = []
        for region in whole:
            key = (division.slot, grid.signature(region.cell))
            if key not in numbers:
                numbers[key] = -1 - len(numbers)
                prices = _prices(division, region.cell)
                if amounts_of(prices) != current.get(division.slot, set()):
                    parts.prices[numbers[key]] = prices
            pieces.append(Piece(region, numbers[key]))
        found[division.slot] = joined(pieces)
    return found


def _prices(division: Division, cell: tuple[int, int, int]) -> Sequence[MeterPrice]:
    from_cache = division.key.facts.from_response_cache
    return meter_prices(division.grid.quote(cell), from_response_cache=from_cache)


def _fill(cursor: Any, parts: _Parts, days: Iterable[_Within]) -> None:
    if parts.rows:
        cursor.execute(sql.PARTS, [list(column) for column in zip(*parts.rows, strict=True)])
    numbers = meter_ids(price.meter for prices in parts.prices.values() for price in prices)
    rows = [
        (part, numbers[price.meter], price.effective_price)
        for part, prices in parts.prices.items()
        for price in prices
    ]
    if rows:
        cursor.execute(sql.PRICES, [list(column) for column in zip(*rows, strict=True)])
    cursor.execute("ANALYZE rated_part")
    for statement in sql.WHOLE:
        cursor.execute(statement)
    for each in days:
        rollups.refuse_if_dropped(cursor, each.day)
        first, last = instants(each.day)
        lay_out(cursor, each.where)
        by_prompt = any(not piece.region.is_whole for piece in each.where)
        slots = sorted({piece.region.slot for piece in each.where})
        asked = {"day": each.day, "first": first, "last": last, "slots": slots, "changed": list(parts.prices)}
        for statement in sql.divided(by_prompt=by_prompt):
            cursor.execute(statement, asked)
    cursor.execute("ANALYZE rated_usage")
    cursor.execute(sql.LINES)
