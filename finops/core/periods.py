"""Half-open periods in the reporting zone, and the buckets that usage is rolled up in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

_WHOLE_HOUR, _QUARTER = 60, 15


_SEVENTHS = (1, 8, 15, 22)


@dataclass(frozen=True, slots=True)
class Period:
    """Days from ``first`` up to, not including, ``end``, in the reporting zone."""

    first: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.first:
            raise ValueError("a period must not end before it starts")

    @classmethod
    def month(cls, year: int, month: int) -> Period:
        first = date(year, month, 1)
        return cls(first, (first + timedelta(days=32)).replace(day=1))

    @classmethod
    def month_of(cls, day: date) -> Period:
        return cls.month(day.year, day.month)

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    @property
    def is_whole_month(self) -> bool:
        return self == Period.month_of(self.first)

    def spans(self) -> Iterator[Period]:
        """What it is made of: whole months; in the others whole sevenths, days 1 to 7, 8 to 14, 15 to 21
        and 22 to 28; single days where neither fits.
        """
        day = self.first
        while day < self.end:
            month = Period.month_of(day)
            seven = Period(day, day + timedelta(days=7))
            if day == month.first and month.end <= self.end:
                span = month
            elif day.day in _SEVENTHS and seven.end <= self.end:
                span = seven
            else:
                span = Period(day, day + timedelta(days=1))
            yield span
            day = span.end

    def months(self) -> Iterator[date]:
        """The first day of each month that it touches."""
        month = self.first.replace(day=1)
        while month < self.end:
            yield month
            month = Period.month_of(month).end

    def before(self) -> Period:
        """What to compare with: the month before a whole month, else as many days just before."""
        if self.is_whole_month:
            return Period.month_of(self.first - timedelta(days=1))
        return Period(self.first - timedelta(days=self.days), self.first)

    def instants(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Start and end as aware UTC instants."""
        return midnight(self.first, zone), midnight(self.end, zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC (where a zone skips midnight, the first after it)."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """The reporting day an instant falls in."""
    return instant.astimezone(zone).date()


@cache
def bucket_minutes(zone: ZoneInfo) -> int:
    """Width of a rollup bucket so that no bucket straddles a local midnight.

    Sixty minutes where the zone's offsets are whole hours, else fifteen (Asia/Kolkata is at +5:30,
    Asia/Kathmandu at +5:45). Offsets are looked at from 2000 on, day by day.
    """
    start = datetime(2000, 1, 1, tzinfo=UTC)
    offsets = {(start + timedelta(days=n)).astimezone(zone).utcoffset() for n in range(0, 14_600, 7)}
    whole = all(offset is not None and offset % timedelta(hours=1) == timedelta() for offset in offsets)
    return _WHOLE_HOUR if whole else _QUARTER
