"""Periods of whole days, and what they are made of."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from finops.core.periods import Period


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 500))
def test_spans_follow_each_other_without_a_gap_and_never_leave_a_month(first: date, days: int) -> None:
    period = Period(first, first + timedelta(days=days))
    spans = list(period.spans())

    assert sum(span.days for span in spans) == days
    assert [span.first for span in spans] == [period.first, *(span.end for span in spans)][: len(spans)]
    for span in spans:
        assert span.is_whole_month or span.days in (1, 7)
        assert (span.end - timedelta(days=1)).month == span.first.month
