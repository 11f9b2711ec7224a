"""Which sources are quiet for longer than they use to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

DAYS = 14
# A pause is out of the ordinary when it is half as long again as the longest one of these days.
TIMES_THE_LONGEST = 1.5
LEAST_PAUSE = timedelta(hours=2)
_BUCKET = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """One source over the last ``DAYS`` days, to the hour."""

    source: str
    last_bucket: datetime
    longest_pause: timedelta | None  # None: it sent in one hour only, so there is no rhythm

    @property
    def late_from(self) -> datetime | None:
        """From when on its silence is out of the ordinary; None: nothing can be said."""
        if self.longest_pause is None:
            return None
        return self.last_bucket + _BUCKET + max(LEAST_PAUSE, self.longest_pause * TIMES_THE_LONGEST)

    def is_late(self, now: datetime) -> bool:
        return self.late_from is not None and now > self.late_from


def rhythms() -> dict[str, Rhythm]:
    """By source, of all who sent in the last ``DAYS`` days. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_RHYTHMS, {"days": DAYS})
        return {row[0]: Rhythm(*row) for row in cursor.fetchall()}


_RHYTHMS = """
    SELECT source, max(bucket), max(pause)
    FROM (
        SELECT source, bucket, bucket - lag(bucket) OVER (PARTITION BY source ORDER BY bucket) AS pause
        FROM (
            SELECT DISTINCT arrived.source, used.bucket
            FROM usage_hour used
            JOIN dimension_set arrived ON arrived.id = used.dimension_set_id
            WHERE used.bucket >= now() - make_interval(days => %(days)s) AND used.bucket <= now()
        ) active
    ) paused
    GROUP BY source ORDER BY source
"""
