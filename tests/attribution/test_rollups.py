"""Folding adds each acknowledged call to each rollup exactly once."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from attribution import rollup_sql, rollups
from attribution.models import (
    BooksSetting,
    CustomerDay,
    CustomerUnitDay,
    DurationDay,
    DurationOwnerDay,
    DurationOwnerSpan,
    IngestBatch,
    TaskDay,
    UnitDay,
    UnitHour,
    UsageDay,
    UsageHour,
    UserDay,
)
from attribution.models.events import CallStatus
from finops.core.meters import Meter
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)
DAY = date(2026, 10, 5)
TABLES = (
    UsageHour,
    UsageDay,
    CustomerDay,
    UnitHour,
    UnitDay,
    CustomerUnitDay,
    DurationDay,
    DurationOwnerDay,
    DurationOwnerSpan,
)
SEGMENTS = (UserDay, TaskDay)


@pytest.fixture
def made() -> tuple[int, int]:
    """A dimension set and a price slot."""
    return dimension_set(team="search"), price_slot()


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every rollup; of segments what they are together."""
    rows = {model.__name__: sorted(model.objects.values_list()) for model in TABLES}
    return rows | {model.__name__: united(model) for model in SEGMENTS}


def united(model: type[UserDay | TaskDay]) -> list[tuple[Any, ...]]:
    """Calls and different ones by group."""
    groups: dict[tuple[Any, ...], tuple[int, set[int]]] = {}
    for day, of_set, slot, calls, keys in model.objects.values_list(
        "day", "dimension_set_id", "slot_id", "calls", "keys"
    ):
        before, ones = groups.get((day, of_set, slot), (0, set()))
        groups[day, of_set, slot] = before + calls, ones | set(keys)
    return sorted((*group, calls, tuple(sorted(ones))) for group, (calls, ones) in groups.items())


def test_one_fold_fills_every_table(made: tuple[int, int]) -> None:
    book(
        [
            Call(NOON, *made, {"input": 10, "output": 2}, end_user="u", task_id="t", duration_ms=99),
            Call(
                NOON + timedelta(minutes=20),
                *made,
                {"input": 1, "cache_read": 5, "reasoning": 3},
                {Meter.AUDIO_INPUT: "7"},
                customer="acme",
                status=CallStatus.TIMEOUT,
                attempt=2,
                tool_calls=4,
                end_user="u",
                duration_ms=99,
            ),
            Call(
                NOON + timedelta(hours=1),
                *made,
                {"cache_write": 6, "cache_write_1h": 8},
                status=CallStatus.REFUSED,
            ),
        ]
    )

    result = rollups.fold()

    assert (result.batches, result.calls, result.is_empty) == (1, 3, True)
    hour = ("bucket", *rollup_sql.SUMS)
    assert list(UsageHour.objects.order_by("bucket").values_list(*hour)) == [
        (NOON.replace(minute=0), 2, 1, 1, 4, 11, 5, 0, 0, 2, 3),
        (NOON.replace(hour=13, minute=0), 1, 0, 0, 0, 0, 0, 6, 8, 0, 0),
    ]
    assert list(UsageDay.objects.values_list("day", *hour[1:])) == [(DAY, 3, 1, 1, 4, 11, 5, 6, 8, 2, 3)]
    assert list(CustomerDay.objects.values_list("day", "calls", "input", "cache_read")) == [(DAY, 1, 1, 5)]
    assert [(row.meter_id, int(row.quantity)) for row in UnitHour.objects.all()] == [(7, 7)]
    assert [(row.meter_id, int(row.quantity)) for row in UnitDay.objects.all()] == [(7, 7)]
    assert [(row.meter_id, int(row.quantity)) for row in CustomerUnitDay.objects.all()] == [(7, 7)]
    # 16 x log2(99 + 1) = 106.3
    assert list(DurationDay.objects.values_list("step", "calls")) == [(106, 2)]
    assert list(DurationOwnerDay.objects.values_list("dimension_set_id", "step", "calls")) == [
        (made[0], 106, 2)
    ]
    assert list(UserDay.objects.values_list("day", "calls")) == [(DAY, 2)]
    assert list(TaskDay.objects.values_list("day", "calls")) == [(DAY, 1)]


@pytest.mark.parametrize(
    ("duration_ms", "step"), [(0, 0), (1, 16), (3, 32), (7, 48), (1023, 160), (2**30 - 1, 480)]
)
def test_a_power_of_two_begins_a_step(made: tuple[int, int], duration_ms: int, step: int) -> None:
    book([Call(NOON, *made, duration_ms=duration_ms)])

    rollups.fold()

    assert DurationDay.objects.get().step == step


def test_folding_again_adds_nothing_and_a_late_call_goes_to_its_own_hour(made: tuple[int, int]) -> None:
    book([Call(NOON, *made, {"input": 10})])
    rollups.fold()
    before = everything()

    assert rollups.fold().calls == 0
    assert everything() == before

    book([Call(NOON, *made, {"input": 5}), Call(NOON + timedelta(days=3), *made, {"input": 1})])
    rollups.fold()

    assert [row.input for row in UsageDay.objects.order_by("day")] == [15, 1]
    assert [row.calls for row in UsageHour.objects.order_by("bucket")] == [2, 1]


def test_a_limit_leaves_the_rest_for_the_next_fold(made: tuple[int, int]) -> None:
    for n in range(4):
        book([Call(NOON + timedelta(minutes=n), *made, {"input": 1})] * 1)

    first = rollups.fold(limit=2)
    second = rollups.fold()

    assert (first.calls, first.is_empty, second.calls, second.is_empty) == (2, False, 2, True)
    assert UsageDay.objects.get().calls == 4


def test_a_fold_that_dies_has_done_nothing(made: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    book([Call(NOON, *made, {"input": 10})])
    monkeypatch.setattr(rollups, "_OF_BATCHES", rollups._OF_BATCHES + " WHERE 1 / (calls - calls) = 1")

    with pytest.raises(Exception, match="division by zero"), transaction.atomic():
        rollups.fold()
    assert not any(everything().values())
    assert IngestBatch.objects.filter(folded_at=None).count() == 1

    monkeypatch.undo()
    assert rollups.fold().calls == 1


@pytest.mark.parametrize(
    ("zone", "instant", "day", "bucket"),
    [
        ("UTC", "2026-10-31T23:59:59Z", "2026-10-31", "2026-10-31T23:00:00Z"),
        ("Asia/Kolkata", "2026-10-31T18:29:59Z", "2026-10-31", "2026-10-31T18:15:00Z"),
        ("Asia/Kolkata", "2026-10-31T18:30:00Z", "2026-11-01", "2026-10-31T18:30:00Z"),
        ("America/Los_Angeles", "2026-11-01T06:59:59Z", "2026-10-31", "2026-11-01T06:00:00Z"),
        ("America/Los_Angeles", "2026-11-01T09:30:00Z", "2026-11-01", "2026-11-01T09:00:00Z"),
        ("Europe/Lisbon", "2026-03-28T23:59:59Z", "2026-03-28", "2026-03-28T23:00:00Z"),
        ("Europe/Lisbon", "2026-03-29T23:00:00Z", "2026-03-30", "2026-03-29T23:00:00Z"),
    ],
)
def test_a_day_is_one_of_the_reporting_zone(  # noqa: PLR0917
    settings: Settings, made: tuple[int, int], zone: str, instant: str, day: str, bucket: str
) -> None:
    settings.REPORTING_TIME_ZONE = ZoneInfo(zone)
    book([Call(datetime.fromisoformat(instant), *made, {"input": 1})])

    rollups.fold()

    assert UsageDay.objects.get().day.isoformat() == day
    assert UsageHour.objects.get().bucket == datetime.fromisoformat(bucket)
    assert rollups.rebuild_day(date.fromisoformat(day)) == 1


def test_the_books_keep_the_zone_they_were_opened_with(settings: Settings, made: tuple[int, int]) -> None:
    book([Call(NOON, *made)])
    rollups.fold()
    assert BooksSetting.objects.get(name=rollups.ZONE_SETTING).value == "UTC"

    settings.REPORTING_TIME_ZONE = ZoneInfo("Asia/Kolkata")
    book([Call(NOON, *made)])

    with pytest.raises(rollups.ReportingZoneChanged, match="REPORTING_TIME_ZONE=UTC"):
        rollups.fold()


def test_rebuilding_a_day_gives_the_same_rows_and_leaves_unfolded_calls_out(made: tuple[int, int]) -> None:
    book(
        [
            Call(
                NOON + timedelta(minutes=37 * n),
                *made,
                {"input": n, "output": 1},
                {Meter.IMAGE_INPUT: str(n + 1)},
                customer="acme" if n % 2 else "",
                end_user=f"u{n % 3}",
                task_id=f"t{n % 4}",
                duration_ms=n * 10,
            )
            for n in range(60)
        ]
    )
    rollups.fold()
    before = everything()
    book([Call(NOON, *made, {"input": 1000})])

    assert rollups.rebuild_day(DAY) > 0
    assert everything() == before
    UsageDay.objects.all().update(input=1)
    UsageHour.objects.all().delete()
    for n in range(3):
        rollups.rebuild_day(DAY + timedelta(days=n))
    assert everything() == before


def test_a_day_whose_calls_were_dropped_is_not_rebuilt(made: tuple[int, int]) -> None:
    book([Call(NOON, *made, {"input": 10})])
    rollups.fold()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE call_event_20261005, call_unit_20261005")

    with pytest.raises(rollups.RawCallsDropped):
        rollups.rebuild_day(DAY)
    assert UsageDay.objects.get().input == 10


@pytest.mark.django_db(transaction=True)
def test_a_day_that_is_being_vacuumed_is_folded_all_the_same() -> None:
    made = dimension_set(team="search"), price_slot()
    book([Call(NOON, *made, {"input": 1})])
    locked, done = threading.Event(), threading.Event()

    def vacuum() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE call_event_20261005 IN SHARE UPDATE EXCLUSIVE MODE")
            locked.set()
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=vacuum)
    thread.start()
    locked.wait(30)
    try:
        assert rollups.fold().calls == 1
    finally:
        done.set()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_folds_at_the_same_time_count_every_call_once() -> None:
    made = dimension_set(team="search"), price_slot()
    for n in range(30):
        book([Call(NOON + timedelta(minutes=n), *made, {"input": 1}) for _ in range(5)])
    failures: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(10):
                rollups.fold(limit=10)
        except Exception as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rollups.fold(wait=True)

    assert not failures
    assert UsageDay.objects.get().input == 150
    assert not IngestBatch.objects.filter(folded_at=None).exists()


@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans(), st.booleans()), max_size=12))
def test_compacting_between_folds_changes_no_set(
    made: tuple[int, int], arrivals: list[tuple[int, int, bool, bool]]
) -> None:
    """Whatever is folded together, and whenever segments are merged, the union is that of the calls."""
    with transaction.atomic():
        users: set[str] = set()
        calls = 0
        for user, task, folds, compacts in arrivals:
            book([Call(NOON, *made, end_user=f"u{user}", task_id=f"t{task}")])
            users, calls = users | {f"u{user}"}, calls + 1
            if folds:
                rollups.fold()
            if compacts:
                rollups.compact(first=DAY, most=1)
        rollups.fold()
        rollups.compact(first=DAY, most=1)

        assert UserDay.objects.count() == bool(arrivals)
        for _, _, _, counted, keys in united(UserDay):
            assert counted == calls
            assert len(keys) == len(users)
        transaction.set_rollback(True)
