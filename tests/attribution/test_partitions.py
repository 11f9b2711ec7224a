"""Days of single calls are made ahead and dropped by retention; the books stay."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from django.db import connection
from pytest_django import Settings

from attribution import partitions, rollups
from attribution.models import CallEvent, IngestBatch, UsageDay
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 10, 20, 12, tzinfo=UTC)


@pytest.mark.usefixtures("_no_days")
def test_days_from_yesterday_to_three_ahead_are_made_once() -> None:
    assert partitions.keep_partitions(NOW).made == 5
    assert partitions.keep_partitions(NOW).made == 0
    assert partitions.raw_days() == [date(2026, 10, day) for day in range(19, 24)]


@pytest.mark.usefixtures("_no_days")
def test_calls_past_retention_leave_and_their_sums_stay(settings: Settings) -> None:
    settings.RAW_RETENTION_DAYS = 10
    made = dimension_set(), price_slot()
    book([Call(NOW - timedelta(days=11), *made, {"input": 5})])
    book([Call(NOW - timedelta(days=10), *made, {"input": 7})])
    rollups.fold()

    kept = partitions.keep_partitions(NOW)

    assert kept.dropped == (date(2026, 10, 9),)
    assert CallEvent.objects.count() == 1
    assert [row.input for row in UsageDay.objects.order_by("day")] == [5, 7]
    assert IngestBatch.objects.count() == 1


@pytest.mark.usefixtures("_no_days")
def test_a_day_with_calls_still_to_be_folded_waits(settings: Settings) -> None:
    settings.RAW_RETENTION_DAYS = 10
    book([Call(NOW - timedelta(days=11), dimension_set(), price_slot())])

    kept = partitions.keep_partitions(NOW)

    assert (kept.dropped, kept.left) == ((), (date(2026, 10, 9),))
    rollups.fold()
    assert partitions.keep_partitions(NOW).dropped == (date(2026, 10, 9),)


@pytest.mark.django_db(transaction=True)
def test_two_first_writers_of_a_day_make_its_partition_once() -> None:
    parameters = connection.get_connection_params()
    ensure = "SELECT ensure_call_partition('2019-03-01')"
    with (
        psycopg.connect(**parameters) as first,
        psycopg.connect(**parameters) as second,
        ThreadPoolExecutor(1) as pool,
    ):
        try:
            assert first.execute(ensure).fetchone() == (True,)
            waiting = pool.submit(lambda: second.execute(ensure).fetchone())
            while not first.execute(
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = %s",
                [second.info.backend_pid],
            ).fetchone():
                time.sleep(0.01)
            first.commit()

            assert waiting.result() == (False,)
        finally:
            second.rollback()
            first.execute("DROP TABLE IF EXISTS call_event_20190301, call_unit_20190301")
