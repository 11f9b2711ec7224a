"""Users and tasks of a day: the same ones however calls were folded, merged, rebuilt or interrupted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from attribution import registry, rollups
from attribution.models import TaskDay, UserDay
from attribution.reports import CostQuery, Granularity, costs
from attribution.verification import verify
from finops.core.periods import Period
from tests.attribution.factory import Call, book, dimension_set, price_slot
from tests.attribution.test_fold_killed import database_url, is_waiting

NOON = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)
DAY = date(2026, 10, 5)
TEAMS = ("chat", "search")
COMPACT = (
    "import django, datetime; django.setup(); from attribution import rollups;"
    " rollups.compact(first=datetime.date.min, most=1, wait=True)"
)

# Day, team, slot, user, task of a call; then whether to fold, to merge, to rebuild after it.
ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 1),
        st.integers(0, 1),
        st.integers(0, 3),
        st.integers(0, 3) | st.none(),
        st.booleans(),
        st.booleans(),
        st.sampled_from([True, False, False, False]),
    ),
    max_size=14,
)


@pytest.mark.django_db
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ARRIVALS)
def test_reports_count_the_users_and_tasks_of_the_calls(
    arrivals: list[tuple[int, int, int, int, int | None, bool, bool, bool]],
) -> None:
    with transaction.atomic():
        for team in TEAMS:
            registry.ensure_team(team, actor="ann")
        sets = [dimension_set(team=team) for team in TEAMS]
        slots = [price_slot(), price_slot(model="other")]
        seen: set[tuple[int, str, str, str | None]] = set()
        for day, team_number, slot, user, task, folds, merges, rebuilds in arrivals:
            task_id = None if task is None else f"t{task}"
            at = NOON + timedelta(days=day)
            book([Call(at, sets[team_number], slots[slot], end_user=f"u{user}", task_id=task_id)])
            seen.add((day, TEAMS[team_number], f"u{user}", task_id))
            if folds:
                rollups.fold()
            if merges:
                rollups.compact(first=DAY, most=1)
            if rebuilds:
                rollups.rebuild_day(at.date())
        rollups.fold()

        report = costs(
            CostQuery(
                period=Period(DAY, DAY + timedelta(days=2)),
                granularity=Granularity.DAY,
                group_by=("team",),
                measures=("active_users", "tasks"),
            )
        )
        assert {
            (group.key[0], bucket.start): (
                bucket.measures["active_users"],
                bucket.measures["tasks"],
            )
            for group in report.groups
            for bucket in group.buckets
            if bucket.measures["active_users"]
        } == {
            (team, DAY + timedelta(days=day)): (
                len({user for d, t, user, _ in seen if (d, t) == (day, team)}),
                len({task for d, t, _, task in seen if (d, t) == (day, team) and task}),
            )
            for day, team, _, _ in seen
        }
        assert (report.total["active_users"] or 0) == len({user for _, _, user, _ in seen})
        assert (report.total["tasks"] or 0) == len({task for *_, task in seen if task})
        assert verify().passed
        transaction.set_rollback(True)


@contextmanager
def beside(*work: Callable[[], object]) -> Iterator[list[threading.Thread]]:
    """Run each in a thread with a connection of its own; a failure of one is raised at the end."""
    failures: list[BaseException] = []

    def run(each: Callable[[], object]) -> None:
        try:
            each()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[each]) for each in work]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


def segmented(folds: int) -> None:
    """As many segments of one group, each with a user of its own and the task of all."""
    made = dimension_set(team="search"), price_slot()
    for n in range(folds):
        book([Call(NOON + timedelta(minutes=n), *made, end_user=f"u{n}", task_id="t")])
        rollups.fold(wait=True)


def counted() -> tuple[int, int]:
    """Calls and different users, by one statement each over what is committed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT coalesce(sum(calls), 0) FROM user_day),"
            " (SELECT count(DISTINCT key) FROM user_day, unnest(keys) key)"
        )
        calls, users = cursor.fetchone()
    return int(calls), int(users)


@pytest.mark.django_db(transaction=True)
def test_a_rebuild_waits_for_a_merge_and_leaves_nothing_of_it() -> None:
    segmented(3)
    late = threading.Event()

    def rebuild() -> None:
        late.wait(30)
        rollups.rebuild_day(DAY)

    with beside(rebuild) as threads, transaction.atomic():
        rollups.compact(first=DAY, most=1)
        late.set()
        threads[0].join(1)
        assert threads[0].is_alive()

    assert counted() == (3, 3)
    assert TaskDay.objects.aggregate(n=Sum("calls"))["n"] == 3
    assert verify().passed


@pytest.mark.django_db(transaction=True)
def test_a_merge_leaves_a_day_alone_that_is_being_rebuilt() -> None:
    segmented(3)
    merged: list[int] = []
    with transaction.atomic():
        rollups.rebuild_day(DAY)
        with beside(lambda: merged.append(rollups.compact(first=DAY, most=1))):
            pass

    assert merged == [0]
    assert counted() == (3, 3)


@pytest.mark.django_db(transaction=True)
def test_folds_merges_rebuilds_and_readers_at_once_keep_every_set_exact() -> None:
    made = dimension_set(team="search"), price_slot()
    for n in range(40):
        book([Call(NOON + timedelta(minutes=n), *made, end_user=f"u{n % 25}", task_id=f"t{n}")])
    seen: list[tuple[int, int]] = []

    def fold() -> None:
        for _ in range(40):
            rollups.fold(limit=1, wait=True)

    def merge() -> None:
        for _ in range(30):
            rollups.compact(first=DAY, most=1, wait=True)

    def rebuild() -> None:
        for _ in range(4):
            rollups.rebuild_day(DAY)

    def read() -> None:
        seen.extend(counted() for _ in range(60))

    with beside(fold, merge, merge, rebuild, read):
        pass

    assert counted() == (40, 25)
    # A call once counted stays so for every reader, and none is ever counted twice.
    assert seen == sorted(seen)
    assert all(calls <= 40 and users == min(calls, 25) for calls, users in seen)
    assert verify().passed


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_middle_of_a_merge_has_merged_nothing() -> None:
    segmented(3)
    before = sorted(UserDay.objects.values_list("id", "calls", "keys"))
    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "finops.settings"}

    with transaction.atomic():
        # The last segment is held: the merge comes to it with its work begun, and waits.
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM user_day WHERE id = %s FOR UPDATE", [before[-1][0]])
        worker = subprocess.Popen([sys.executable, "-c", COMPACT], env=environment)
        deadline = time.monotonic() + 30
        while not is_waiting():
            assert worker.poll() is None, "the merge ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        worker.kill()
        worker.wait()

    with transaction.atomic(), connection.cursor() as cursor:
        rollups._wait_for(cursor, rollups._SEGMENTS_LOCK)
    assert sorted(UserDay.objects.values_list("id", "calls", "keys")) == before
    assert rollups.compact(first=DAY, most=1) == 2
    assert UserDay.objects.count() == 1
    assert counted() == (3, 3)


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/Los_Angeles"])
def test_books_whose_first_day_was_dropped_in_part_still_hold(settings: Settings, zone: str) -> None:
    settings.REPORTING_TIME_ZONE = ZoneInfo(zone)
    made = dimension_set(team="search"), price_slot()
    book(Call(NOON + timedelta(hours=6 * n), *made, end_user=f"u{n}", task_id="t") for n in range(12))
    rollups.fold()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE call_event_20261005, call_unit_20261005")

    named = {check.name: check for check in verify().checks}

    ones = named["users of calls are those of the days"]
    assert (ones.checked > 0, ones.failed) == (True, 0)
    UserDay.objects.filter(day=DAY + timedelta(days=2)).update(keys=[1])
    named = {check.name: check for check in verify().checks}
    assert named["users of calls are those of the days"].failed
