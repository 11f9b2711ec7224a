"""Instants as whole microseconds since 1970, the resolution that the database keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from attribution.ingest.schema import Event

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
_MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime | int) -> int:
    """Of an aware time, or of epoch milliseconds."""
    return instant * 1000 if isinstance(instant, int) else (instant - EPOCH) // _MICROSECOND


def microseconds_of(events: Sequence[Event]) -> np.ndarray:
    """``occurred_at`` of each event, as int64: a whole column at once where all are told the same way."""
    times = [event.occurred_at for event in events]
    kinds = set(map(type, times))
    if kinds == {int}:
        return np.array(times, dtype=np.int64) * 1000
    if kinds == {datetime}:
        # A double holds a time of our era to a quarter of a microsecond, so rounding is exact.
        seconds = [time.timestamp() for time in times if isinstance(time, datetime)]
        return np.rint(np.array(seconds, dtype=np.float64) * 1e6).astype(np.int64)
    return np.array([microseconds(time) for time in times], dtype=np.int64)


def instant(at_us: int) -> datetime:
    """The aware UTC time of that many microseconds."""
    return EPOCH + timedelta(microseconds=at_us)
