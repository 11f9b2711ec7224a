"""Moves booked calls, and their sums, from slots that were narrowed to those that hold them now.

Costs are the same before and after: a slot made for a part of another has had its prices. Days of which a
slot's calls all go to one other slot move as rows; of days that are divided the sums are built anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from attribution import rollups
from attribution.misplaced import Narrowed, Piece, move_calls, narrowed_slots, pieces, unsure_slots
from attribution.partitions import raw_days
from attribution.rollup_sql import SUMS
from finops.core.periods import Period, midnight
from pricing.models import PriceSlot, SplitSlot
from pricing.slot_rates import PUBLISHING_LOCK

IN_BOOKS = "e.batch_id NOT IN (SELECT id FROM ingest_batch WHERE folded_at IS NULL)"


@dataclass(frozen=True, slots=True)
class DayOf:
    """A reporting day on which a slot was used, and where those calls belong; None: to several."""

    slot: int
    day: date
    target: int | None


@dataclass(frozen=True, slots=True)
class Moved:
    """How many booked calls were moved, and on how many days."""

    calls: int = 0
    days: int = 0


@transaction.atomic
def settle() -> Moved:
    """Move what is booked under slots that a publication narrowed. Nothing to do: nothing is done.

    All or nothing; killed meanwhile, the next one does it.
    """
    waiting = SplitSlot.objects.filter(settled_at=None)
    if not waiting.exists():
        return Moved()
    with connection.cursor() as cursor:
        rollups.lock(cursor)
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [PUBLISHING_LOCK])
        seen = list(waiting.values_list("pk", flat=True))
        moved = move(cursor, narrowed_slots(SplitSlot.objects.filter(pk__in=seen)))
        SplitSlot.objects.filter(pk__in=seen).update(settled_at=timezone.now())
    return moved


@transaction.atomic
def place_anew(period: Period, *, model: str = "") -> Moved:
    """Look every booked call of these days up again and move those whose slot is another by today's book.

    For days whose single calls are there; of one ``model`` or of all. A second time finds nothing.
    """
    with connection.cursor() as cursor:
        rollups.lock(cursor)
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [PUBLISHING_LOCK])
        there = set(raw_days())
        days = {
            day
            for day in (period.first + timedelta(days=n) for n in range(period.days))
            if {at.astimezone(UTC).date() for at in (instants(day)[0], bounds([(0, day)])[1])} <= there
        }
        slots = PriceSlot.objects.filter(**({"model": model} if model else {}))
        return move(cursor, unsure_slots(slots), days)


def move(cursor: Any, narrowed: Sequence[Narrowed], days: AbstractSet[date] | None = None) -> Moved:
    """Move the folded calls that these slots do not keep, and their sums; of these days only, None: of all.

    Hold the fold's lock. Raises RawCallsDropped for a divided day whose single calls have left by
    retention.
    """
    # Any: Django's cursor wrapper has no public type.
    used = days_used(cursor, [each.slot for each in narrowed])
    if days is not None:
        used = [(slot, day) for slot, day in used if day in days]
    if not used:
        return Moved()
    where = pieces(narrowed, *bounds(used))
    plan = [day for day in (day_of(slot, day, where) for slot, day in used) if day is not None]
    moved = {day: _move_calls(cursor, day, plan, where) for day in sorted({each.day for each in plan})}
    _move_days(cursor, [each for each in plan if each.target is not None])
    divided = {each.day for each in plan if each.target is None}
    for day in sorted(divided):
        if moved[day]:
            rollups.rebuild_day(day)
        else:
            rollups.refuse_if_dropped(cursor, day)
    whole = {each.day for each in plan if each.target is not None}
    return Moved(sum(moved.values()), len(whole | {day for day in divided if moved[day]}))


def _move_calls(cursor: Any, day: date, plan: Sequence[DayOf], where: Sequence[Piece]) -> int:
    first, last = instants(day)
    touched = {each.slot for each in plan if each.day == day}
    of_day = [piece for piece in where if piece.region.slot in touched and meets(piece, first, last)]
    within = f"e.occurred_at >= %(first)s AND e.occurred_at < %(last)s AND {IN_BOOKS}"
    return move_calls(cursor, of_day, within, {"first": first, "last": last})


def days_used(cursor: Any, slots: Sequence[int]) -> list[tuple[int, date]]:
    """Slots and the reporting days on which they were used."""
    cursor.execute(
        "SELECT DISTINCT slot_id, day FROM usage_day WHERE slot_id = ANY(%s) ORDER BY 1, 2", [list(slots)]
    )
    return [(slot, day) for slot, day in cursor.fetchall()]


def bounds(used: Sequence[tuple[int, date]]) -> tuple[datetime, datetime]:
    """The first and last instant of these days."""
    days = [day for _, day in used]
    return instants(min(days))[0], instants(max(days))[1] - timedelta(seconds=1)


def day_of(slot: int, day: date, where: Sequence[Piece]) -> DayOf | None:
    """Where a slot's calls of a day belong; None: all stay."""
    first, last = instants(day)
    found = [piece for piece in where if piece.region.slot == slot and meets(piece, first, last)]
    if not found:
        return None
    only = found[0]
    is_whole = len(found) == 1 and only.region.is_whole and only.span[0] <= first and only.span[1] >= last
    return DayOf(slot, day, only.target if is_whole else None)


def meets(piece: Piece, first: datetime, last: datetime) -> bool:
    """Whether a piece has a part between two instants."""
    starts, ends = piece.span
    return starts < last and ends > first


def instants(day: date) -> tuple[datetime, datetime]:
    """From when to when a reporting day is, half-open."""
    zone = settings.REPORTING_TIME_ZONE
    return midnight(day, zone), midnight(day + timedelta(days=1), zone)


def _move_days(cursor: Any, days: Sequence[DayOf]) -> None:
    """Sums of whole days go to the other slot, added to what it has."""
    if not days:
        return
    rollups.lock_segments(cursor)
    cursor.execute(_DAYS)
    rows = [(each.slot, each.day, *instants(each.day), each.target) for each in days]
    cursor.execute(_LAY_OUT_DAYS, [list(column) for column in zip(*rows, strict=True)])
    for statement in _MOVE_SUMS:
        cursor.execute(statement)
    cursor.execute("INSERT INTO charge_due (day) SELECT DISTINCT on_day FROM moved_day")


_DAYS = """
CREATE TEMP TABLE IF NOT EXISTS moved_day (
    from_slot integer, on_day date, starts timestamptz, ends timestamptz, target integer
) ON COMMIT DROP;
TRUNCATE moved_day"""
_LAY_OUT_DAYS = """
INSERT INTO moved_day SELECT * FROM unnest(%s::integer[], %s::date[], %s::timestamptz[], %s::timestamptz[],
                                           %s::integer[])"""
_ON_DAY = "u.day = m.on_day"
_IN_DAY = "u.bucket >= m.starts AND u.bucket < m.ends"


def _regrouped(table: str, keys: tuple[str, ...], sums: tuple[str, ...], when: str) -> str:
    listed, added = ", ".join(keys), ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
    chosen = ", ".join("target" if key == "slot_id" else key for key in keys)
    return f"""
    WITH gone AS (
        DELETE FROM {table} u USING moved_day m WHERE u.slot_id = m.from_slot AND {when}
        RETURNING u.*, m.target
    )
    INSERT INTO {table} ({listed}, {", ".join(sums)})
    SELECT {chosen}, {", ".join(f"sum({name})" for name in sums)} FROM gone GROUP BY {chosen}
    ON CONFLICT ({listed}) DO UPDATE SET {added}"""


_SET = ("dimension_set_id", "slot_id")
_MOVE_SUMS = (
    _regrouped("usage_hour", ("bucket", *_SET), SUMS, _IN_DAY),
    _regrouped("usage_day", ("day", *_SET), SUMS, _ON_DAY),
    _regrouped("customer_day", ("day", "customer_id", *_SET), SUMS, _ON_DAY),
    _regrouped("unit_hour", ("bucket", *_SET, "meter_id"), ("quantity",), _IN_DAY),
    _regrouped("unit_day", ("day", *_SET, "meter_id"), ("quantity",), _ON_DAY),
    _regrouped("customer_unit_day", ("day", "customer_id", *_SET, "meter_id"), ("quantity",), _ON_DAY),
    _regrouped("duration_day", ("day", *_SET, "step"), ("calls",), _ON_DAY),
    *(
        f"UPDATE {table} u SET slot_id = m.target FROM moved_day m"
        f" WHERE u.slot_id = m.from_slot AND {_ON_DAY}"
        for table in ("user_day", "task_day")
    ),
)
