"""The tasks do their one thing, and the schedule names tasks that exist."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from attribution import partitions, tasks
from attribution.models import UsageDay, Verification
from finops.celery import app
from finops.pipeline import SCHEDULE
from tests.attribution.factory import Call, book, dimension_set, price_slot


def test_every_scheduled_task_exists_and_does_not_pile_up() -> None:
    app.loader.import_default_modules()

    for entry in SCHEDULE.values():
        assert entry["task"] in app.tasks
        assert entry["options"]["expires"] > 0


@pytest.mark.django_db
def test_tasks_are_safe_to_run_twice() -> None:
    book([Call(datetime(2026, 10, 5, tzinfo=UTC), dimension_set(), price_slot(), {"input": 3})])

    steps: tuple[Any, ...] = (  # Any: Celery's task proxies
        tasks.fold_batches,
        tasks.audit_identities,
        tasks.verify_books,
        tasks.keep_partitions,
    )
    for step in (*steps, *steps):
        step()

    assert UsageDay.objects.get().input == 3
    assert [run.passed for run in Verification.objects.all()] == [True, True]
    assert partitions.raw_days()
