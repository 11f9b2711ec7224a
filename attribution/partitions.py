"""Day partitions of single calls: made ahead, dropped by retention. The books stay as they are."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction

DAYS_AHEAD = 3
# A drop must wait for readers of the day, and makes newcomers wait behind it: rather later than long.
_LOCK_TIMEOUT = "3s"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What one round did; a day that is busy or not folded yet is left for the next round."""

    made: int
    dropped: tuple[date, ...]
    left: tuple[date, ...]


def keep_partitions(now: datetime) -> Kept:
    """Make the partitions of yesterday to ``DAYS_AHEAD`` days from now, drop those past retention.

    A day is dropped when it ended ``RAW_RETENTION_DAYS`` ago and each of its calls is in the rollups.
    """
    today = now.astimezone(UTC).date()
    made = sum(_make(today + timedelta(days=n)) for n in range(-1, DAYS_AHEAD + 1))
    oldest = today - timedelta(days=settings.RAW_RETENTION_DAYS)
    outdated = [day for day in raw_days() if day < oldest]
    dropped = tuple(day for day in outdated if _drop(day))
    if dropped:
        _forget_batches_before(oldest)
    return Kept(made, dropped, tuple(day for day in outdated if day not in dropped))


def raw_days() -> list[date]:
    """UTC days whose single calls are there, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') FROM pg_inherits"
            " WHERE inhparent = 'call_event'::regclass ORDER BY 1"
        )
        return [day for (day,) in cursor.fetchall()]


def _make(day: date) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT ensure_call_partition(%s)", [day])
        return bool(cursor.fetchone()[0])


def _drop(day: date) -> bool:
    """Drop one day of single calls; False when it must wait."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if _is_pending(cursor, start, start + timedelta(days=1)):
                return False
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            for table in ("call_unit", "call_event"):
                cursor.execute(f"DROP TABLE IF EXISTS {table}_{day:%Y%m%d}")
    except OperationalError as error:
        logger.warning("the calls of a day past retention could not be dropped yet: %s", error)
        return False
    return True


def _is_pending(cursor: Any, start: datetime, end: datetime) -> bool:
    # Any: Django's cursor wrapper has no public type.
    cursor.execute(
        "SELECT EXISTS (SELECT FROM ingest_batch"
        " WHERE folded_at IS NULL AND first_at < %s AND last_at >= %s)",
        [end, start],
    )
    return bool(cursor.fetchone()[0])


def _forget_batches_before(day: date) -> None:
    """Batches none of whose calls is left tell nothing any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM ingest_batch WHERE folded_at IS NOT NULL AND last_at < %s",
            [datetime(day.year, day.month, day.day, tzinfo=UTC)],
        )
