"""Folding: every acknowledged batch is added to the rollups exactly once.

A batch's calls carry its id. One transaction takes batches that are not folded yet, adds their calls
to every rollup and marks them; killed at any moment, it has done all of that or nothing. A retry of
a call was never inserted, so it is in no batch; a late call is added to its own hour.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import OperationalError, connection, transaction

from attribution import misplaced, rollup_sql
from attribution.models import BooksSetting
from finops.core.errors import Conflict
from finops.core.periods import bucket_minutes, midnight

# One writer at a time: rollup rows are then never waited for, and cannot deadlock.
_LOCK = "hashtext('attribution.fold')"
# A rebuild that waited for segments being merged would not see what they were merged into, and keep it.
_SEGMENTS_LOCK = "hashtext('attribution.segments')"
# Large enough that fixed costs vanish, small enough to be visible within a second or two.
CALLS_AT_ONCE = 100_000
_BATCHES_AT_ONCE = 5_000
ZONE_SETTING = "reporting_time_zone"


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What was added, and whether more is waiting."""

    batches: int = 0
    calls: int = 0
    seconds: float = 0.0
    is_empty: bool = True


class RawCallsDropped(Conflict):
    """The day cannot be recomputed: its single calls have left by retention."""

    code = "raw_calls_dropped"


class ReportingZoneChanged(Conflict):
    """The setting names another zone than the books were opened with."""

    code = "reporting_zone_changed"


def fold(limit: int | None = None, *, wait: bool = False) -> FoldResult:
    """Fold until nothing is left, or at least ``limit`` calls; one transaction for ~100,000 calls.

    Returns at once, with nothing done, while another process folds, unless ``wait``.
    """
    started = time.monotonic()
    batches = calls = 0
    while True:
        step = _fold_once(CALLS_AT_ONCE if limit is None else min(limit - calls, CALLS_AT_ONCE), wait=wait)
        batches, calls = batches + step.batches, calls + step.calls
        if step.is_empty or (limit is not None and calls >= limit):
            return FoldResult(batches, calls, time.monotonic() - started, step.is_empty)


@transaction.atomic
def _fold_once(limit: int, *, wait: bool) -> FoldResult:
    with connection.cursor() as cursor:
        if wait:
            lock(cursor)
        elif not _try(cursor, _LOCK):
            return FoldResult()
        taken, is_empty = _take(cursor, limit)
        if not taken:
            return FoldResult()
        check_zone()
        ids = [batch for batch, _, _, _ in taken]
        first = min(first_at for _, _, first_at, _ in taken)
        last = max(last_at for _, _, _, last_at in taken)
        _summarise(cursor, first, last)
        # The planner takes calls just written for few: it would rather read the day than ask its index,
        # and go through what is summed once for each row of another sum.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_nestloop = off")
        of_batches = {"batches": ids, "lowest": min(ids), "highest": max(ids), "first": first, "last": last}
        misplaced.put_right(cursor, rollup_sql.of_batches("e"), of_batches, first, last)
        cursor.execute(_OF_BATCHES, _grid() | of_batches)
        calls = int(cursor.fetchone()[0])
        cursor.execute("UPDATE ingest_batch SET folded_at = clock_timestamp() WHERE id = ANY(%s)", [ids])
    return FoldResult(len(ids), calls, is_empty=is_empty)


@transaction.atomic
def rebuild_day(day: date) -> int:
    """Recompute every rollup of one reporting day from its calls; returns how many there are.

    For corrections of single calls. Raises RawCallsDropped where retention has taken them.
    """
    zone = settings.REPORTING_TIME_ZONE
    first, last = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    with connection.cursor() as cursor:
        lock(cursor)
        lock_segments(cursor)
        check_zone()
        refuse_if_dropped(cursor, day)
        cursor.execute(rollup_sql.WITHOUT_DAY, {"day": day})
        for table in rollup_sql.DAY_TABLES:
            cursor.execute(f"DELETE FROM {table} WHERE day = %s", [day])
        for table in rollup_sql.HOUR_TABLES:
            cursor.execute(f"DELETE FROM {table} WHERE bucket >= %s AND bucket < %s", [first, last])
        cursor.execute(_OF_DAY, {**_grid(), "first": first, "last": last})
        calls = int(cursor.fetchone()[0])
        cursor.execute("INSERT INTO charge_due (day) VALUES (%s)", [day])
        cursor.execute("DELETE FROM duration_owner_span WHERE calls = 0")
    return calls


def compact(*, first: date, most: int, wait: bool = False) -> int:
    """Merge segments of users and tasks on days from ``first`` on, where a group has more than ``most``.

    Returns the number of groups merged. May run beside folds and reports. Leaves a table as it is while
    another process merges or a day is rebuilt, unless ``wait``.
    """
    merged = 0
    for table in rollup_sql.SEGMENT_TABLES:
        with transaction.atomic(), connection.cursor() as cursor:
            if wait:
                _wait_for(cursor, _SEGMENTS_LOCK)
            elif not _try(cursor, _SEGMENTS_LOCK):
                continue
            # Guessing few crowded groups, the planner would look each one up in the whole table.
            cursor.execute("SET LOCAL enable_nestloop = off")
            cursor.execute(rollup_sql.compaction(table), {"first": first, "most": most})
            merged += cursor.rowcount
    return merged


def check_zone() -> None:
    """The books keep the zone they were opened with: it decided what a day is. Raises otherwise."""
    name = settings.REPORTING_TIME_ZONE.key
    setting, _ = BooksSetting.objects.get_or_create(name=ZONE_SETTING, defaults={"value": name})
    if setting.value != name:
        raise ReportingZoneChanged(
            f"The books were opened in {setting.value} and cannot continue in {name}: set"
            f" REPORTING_TIME_ZONE={setting.value}."
        )


_OF_BATCHES = rollup_sql.statement(rollup_sql.OF_BATCHES)
_OF_DAY = rollup_sql.statement(rollup_sql.OF_DAY)


def lock(cursor: Any) -> None:
    """Let nobody fold or rebuild until the transaction ends, save its holder."""
    # Any: Django's cursor wrapper has no public type.
    _wait_for(cursor, _LOCK)


def lock_segments(cursor: Any) -> None:
    """Let nobody merge segments until the transaction ends. After ``lock``, where both are held."""
    _wait_for(cursor, _SEGMENTS_LOCK)


def _wait_for(cursor: Any, lock: str) -> None:
    cursor.execute(f"SELECT pg_advisory_xact_lock({lock})")


def _try(cursor: Any, lock: str) -> bool:
    cursor.execute(f"SELECT pg_try_advisory_xact_lock({lock})")
    return bool(cursor.fetchone()[0])


def _take(cursor: Any, limit: int) -> tuple[list[tuple[int, int, datetime, datetime]], bool]:
    """The oldest batches with together about ``limit`` calls, locked; and whether those are all."""
    cursor.execute(
        "SELECT id, accepted, first_at, last_at FROM ingest_batch WHERE folded_at IS NULL"
        " ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED",
        [_BATCHES_AT_ONCE],
    )
    taken: list[tuple[int, int, datetime, datetime]] = []
    calls = 0
    for batch in cursor.fetchall():
        if taken and calls >= limit:
            return taken, False
        taken.append(batch)
        calls += batch[1]
    return taken, len(taken) < _BATCHES_AT_ONCE


def _grid() -> dict[str, Any]:
    zone = settings.REPORTING_TIME_ZONE
    return {"width": _width(zone), "zone": zone.key}


@cache
def _width(zone: ZoneInfo) -> timedelta:
    return timedelta(minutes=bucket_minutes(zone))


def _summarise(cursor: Any, first: datetime, last: datetime) -> None:
    """Let the block index know the pages just written, or each fold would read them all again.

    Autovacuum does the same, but only about once a minute. For a few days at most: a batch of
    scattered old calls is found by reading. Where autovacuum is at work on the day it is left alone,
    for it would give way and begin again each second.
    """
    days = (last.date() - first.date()).days + 1
    if days > _DAYS_SUMMARISED:
        return
    cursor.execute(f"SET LOCAL lock_timeout = '{_SUMMARY_LOCK_TIMEOUT}'")
    for ago in range(days):
        suffix = f"{first.date() + timedelta(days=ago):%Y%m%d}"
        with suppress(OperationalError), transaction.atomic():
            cursor.execute(
                "SELECT brin_summarize_new_values(index) FROM to_regclass(%s) index WHERE index IS NOT NULL",
                [f"call_event_{suffix}_batch"],
            )
    cursor.execute("SET LOCAL lock_timeout = DEFAULT")


_SUMMARY_LOCK_TIMEOUT = "50ms"
_DAYS_SUMMARISED = 3


def refuse_if_dropped(cursor: Any, day: date) -> None:
    """Raises RawCallsDropped where retention has taken single calls of a reporting day."""
    zone = settings.REPORTING_TIME_ZONE
    first, last = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    cursor.execute(
        "SELECT count(*) FROM usage_hour WHERE bucket >= %s AND bucket < %s AND"
        " to_regclass('call_event_' || to_char(bucket AT TIME ZONE 'UTC', 'YYYYMMDD')) IS NULL",
        [first, last],
    )
    if cursor.fetchone()[0]:
        raise RawCallsDropped(f"Single calls of {day} were dropped by retention; its sums stay as they are.")
