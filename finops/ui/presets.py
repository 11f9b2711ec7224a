"""Periods by name: what "this month" is on a given day, what it is compared with, what lies beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from finops.core.periods import Period

DEFAULT = "this-month"
CUSTOM = "custom"
_DAY = timedelta(days=1)
_MONTH_NAME = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Span:
    """A period as chosen: ``whole`` as the calendar has it, ``so_far`` without the days to come."""

    name: str
    whole: Period
    today: date
    step: str = "days"  # what "previous" steps by: days, months

    @property
    def so_far(self) -> Period:
        tomorrow = self.today + _DAY
        if self.whole.first >= tomorrow:
            return self.whole
        return Period(self.whole.first, min(self.whole.end, tomorrow))

    @property
    def is_running(self) -> bool:
        """Whether today is part of it, so that its last day is not over."""
        return self.whole.first <= self.today < self.whole.end

    def shifted(self, steps: int) -> Period:
        """The neighbour of ``whole``: so many calendar months or days along, of the same kind."""
        if self.step == "months":
            months = month_distance(self.whole.first, self.whole.end) * steps
            return Period(add_months(self.whole.first, months), add_months(self.whole.end, months))
        move = timedelta(days=self.whole.days * steps)
        return Period(self.whole.first + move, self.whole.end + move)

    def before(self) -> Period:
        """The period before, cut to as many days as this one has so far."""
        previous = self.shifted(-1)
        if self.so_far == self.whole:
            return previous
        return Period(previous.first, min(previous.end, previous.first + timedelta(days=self.so_far.days)))

    def last_year(self) -> Period:
        """The same days a year earlier."""
        return Period(add_months(self.so_far.first, -12), add_months(self.so_far.end, -12))


def span(name: str, today: date, custom: Period | None = None) -> Span | None:
    """The period of that name on ``today``; None for a name that is none.

    Names: those of ``PRESETS``, ``custom`` with its days, and a month such as ``2026-10``.
    """
    if name == CUSTOM:
        return None if custom is None else _custom(custom, today)
    if found := _MONTH_NAME.fullmatch(name):
        return Span(name, Period.month(int(found[1]), int(found[2])), today, "months")
    if preset := PRESETS.get(name):
        _, step, days = preset
        return Span(name, days(today), today, step)
    return None


def name_of(period: Period, today: date) -> tuple[str, Period | None]:
    """How a period is written in a URL: by its preset, its month, or its days."""
    for name, (_, step, days) in PRESETS.items():
        if step == "months" and days(today) == period:
            return name, None
    if period.is_whole_month:
        return f"{period.first:%Y-%m}", None
    return CUSTOM, period


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last day."""
    index = day.year * 12 + day.month - 1 + months
    first = date(index // 12, index % 12 + 1, 1)
    following = date((index + 1) // 12, (index + 1) % 12 + 1, 1)
    return first.replace(day=min(day.day, (following - first).days))


def month_distance(first: date, end: date) -> int:
    return (end.year - first.year) * 12 + end.month - first.month


def _custom(period: Period, today: date) -> Span:
    whole_months = period.first.day == 1 and period.end.day == 1 and period.days > 0
    return Span(CUSTOM, period, today, "months" if whole_months else "days")


def _last_days(days: int) -> Callable[[date], Period]:
    return lambda today: Period(today - timedelta(days=days - 1), today + _DAY)


def _months(first: int, count: int) -> Callable[[date], Period]:
    """``count`` whole months from ``first`` months after the current one."""

    def days(today: date) -> Period:
        start = add_months(today.replace(day=1), first)
        return Period(start, add_months(start, count))

    return days


def _quarter(offset: int) -> Callable[[date], Period]:
    def days(today: date) -> Period:
        start = add_months(today.replace(day=1), -((today.month - 1) % 3) + 3 * offset)
        return Period(start, add_months(start, 3))

    return days


# Name in URLs -> what a person reads, what it steps by, and its days on a given day.
PRESETS: dict[str, tuple[str, str, Callable[[date], Period]]] = {
    "today": ("Today", "days", _last_days(1)),
    "yesterday": ("Yesterday", "days", lambda today: Period(today - _DAY, today)),
    "last-7-days": ("Last 7 days", "days", _last_days(7)),
    "last-30-days": ("Last 30 days", "days", _last_days(30)),
    "last-90-days": ("Last 90 days", "days", _last_days(90)),
    "this-month": ("This month", "months", _months(0, 1)),
    "last-month": ("Last month", "months", _months(-1, 1)),
    "this-quarter": ("This quarter", "months", _quarter(0)),
    "last-quarter": ("Last quarter", "months", _quarter(-1)),
    "last-13-months": ("Last 13 months", "months", _months(-12, 13)),
}
