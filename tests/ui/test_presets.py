"""Periods by name, on days where calendars bite."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.periods import Period
from finops.ui import presets

TODAY = date(2026, 11, 24)


def read(text: str) -> Period:
    return days(*text.split())


def days(first: str, end: str) -> Period:
    return Period(date.fromisoformat(first), date.fromisoformat(end))


@pytest.mark.parametrize(
    ("name", "whole", "so_far", "before"),
    [
        ("today", "2026-11-24 2026-11-25", "2026-11-24 2026-11-25", "2026-11-23 2026-11-24"),
        ("yesterday", "2026-11-23 2026-11-24", "2026-11-23 2026-11-24", "2026-11-22 2026-11-23"),
        ("last-7-days", "2026-11-18 2026-11-25", "2026-11-18 2026-11-25", "2026-11-11 2026-11-18"),
        ("this-month", "2026-11-01 2026-12-01", "2026-11-01 2026-11-25", "2026-10-01 2026-10-25"),
        ("last-month", "2026-10-01 2026-11-01", "2026-10-01 2026-11-01", "2026-09-01 2026-10-01"),
        ("this-quarter", "2026-10-01 2027-01-01", "2026-10-01 2026-11-25", "2026-07-01 2026-08-25"),
        ("last-quarter", "2026-07-01 2026-10-01", "2026-07-01 2026-10-01", "2026-04-01 2026-07-01"),
        ("last-13-months", "2025-11-01 2026-12-01", "2025-11-01 2026-11-25", "2024-10-01 2025-10-25"),
        ("2026-02", "2026-02-01 2026-03-01", "2026-02-01 2026-03-01", "2026-01-01 2026-02-01"),
    ],
)
def test_presets_on_a_day_in_november(name: str, whole: str, so_far: str, before: str) -> None:
    span = presets.span(name, TODAY)

    assert span is not None
    assert (span.whole, span.so_far, span.before()) == (read(whole), read(so_far), read(before))


def test_thirty_days_of_march_are_compared_with_all_of_february() -> None:
    span = presets.span("this-month", date(2026, 3, 30))

    assert span is not None
    assert span.before() == days("2026-02-01", "2026-03-01")


def test_the_same_days_last_year_of_a_leap_day() -> None:
    span = presets.span("custom", date(2028, 3, 5), days("2028-02-29", "2028-03-01"))

    assert span is not None
    assert span.last_year() == days("2027-02-28", "2027-03-01")


def test_custom_days_step_by_their_length_and_custom_months_by_months() -> None:
    some_days = presets.span("custom", TODAY, days("2026-10-05", "2026-10-12"))
    two_months = presets.span("custom", TODAY, days("2026-01-01", "2026-03-01"))

    assert some_days is not None
    assert two_months is not None
    assert some_days.shifted(1) == days("2026-10-12", "2026-10-19")
    assert two_months.shifted(-1) == days("2025-11-01", "2026-01-01")


def test_names_that_are_none_are_refused() -> None:
    assert presets.span("fortnight", TODAY) is None
    assert presets.span("2026-13", TODAY) is None
    assert presets.span("custom", TODAY) is None


@given(st.dates(date(2001, 1, 1), date(2099, 1, 1)), st.sampled_from(list(presets.PRESETS)))
def test_every_preset_is_found_again_by_its_days(today: date, name: str) -> None:
    span = presets.span(name, today)
    assert span is not None

    again_name, custom = presets.name_of(span.whole, today)
    again = presets.span(again_name, today, custom)

    assert again is not None
    assert again.whole == span.whole
    assert span.so_far.end <= today + timedelta(days=1)
    assert span.before().end <= span.whole.first


@given(st.dates(date(2001, 1, 31), date(2099, 1, 1)), st.integers(-300, 300))
def test_adding_months_keeps_the_day_or_takes_the_months_last(day: date, months: int) -> None:
    moved = presets.add_months(day, months)

    assert presets.month_distance(day, moved) == months
    assert moved.day == day.day or (moved + timedelta(days=1)).day == 1
