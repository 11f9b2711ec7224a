"""Daily windows at which a price differs: peak and off-peak hours, in UTC, with weekdays and holidays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_DAY, _MINUTE = 86_400, 60
_EPOCH = date(1970, 1, 1).toordinal()
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0
_EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Windows of the day, half-open, in seconds; a price with a schedule applies inside them only."""

    name: str
    windows: tuple[tuple[int, int], ...]
    days: frozenset[int] = _EVERY_DAY  # Monday is 0
    closed: frozenset[int] = frozenset()  # days since 1970 on which the windows do not apply

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Self:  # Any: as the JSON column has it
        """Read a schedule as the price book stores it.

        Raises ValueError for a window that is malformed, empty or past midnight.
        """
        windows = tuple((_seconds(start), _seconds(end)) for start, end in stored["windows"])
        if not windows or any(start >= end for start, end in windows):
            raise ValueError("a window must end after it starts; split one that passes midnight")
        days = frozenset(stored.get("days", _EVERY_DAY))
        if not days <= _EVERY_DAY:
            raise ValueError("days are numbered from 0 (Monday) to 6")
        closed = frozenset(date.fromisoformat(day).toordinal() - _EPOCH for day in stored.get("except", ()))
        return cls(stored["name"], windows, days, closed)

    def contains(self, seconds: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these instants (Unix seconds) lie inside a window."""
        weekdays, closed = _tables(self)
        day = seconds // _DAY
        second = seconds - day * _DAY
        inside = np.zeros(len(seconds), dtype=np.bool_)
        for start, end in self.windows:
            inside |= (second >= start) & (second < end)
        if self.days != _EVERY_DAY:
            inside &= weekdays[(day + _EPOCH_WEEKDAY) % 7]
        if self.closed:
            inside &= closed[np.searchsorted(closed, day) % len(closed)] != day
        return inside

    def holds_at(self, second: int) -> bool:
        """Whether this instant (Unix seconds) lies inside a window."""
        return bool(self.contains(np.array([second], dtype=np.int64))[0])


@lru_cache(maxsize=256)
def _tables(schedule: Schedule) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which weekdays the windows apply on, and the days they do not, sorted."""
    weekdays = np.array([day in schedule.days for day in range(7)], dtype=np.bool_)
    return weekdays, np.array(sorted(schedule.closed), dtype=np.int64)


def _seconds(clock: str) -> int:
    hours, minutes = clock.split(":")
    second = (int(hours) * 60 + int(minutes)) * _MINUTE
    if len(clock) != 5 or not 0 <= second <= _DAY:
        raise ValueError(f"{clock!r} is not a time of the day such as 16:30")
    return second
