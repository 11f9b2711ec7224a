"""Remembers how each task of the worker went, by Celery's signals; ``PagesConfig`` connects them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from celery.signals import task_postrun, task_prerun
from django.db import Error, connection, transaction

from finops.pages.models import JobRun

LONGEST_ERROR = 500

logger = logging.getLogger(__name__)
_started: dict[str, datetime] = {}


@task_prerun.connect
def note_start(task_id: str, **_: Any) -> None:  # Any: Celery's arguments
    """Only in memory: a run that never ends shows as one that is late."""
    _started[task_id] = datetime.now(UTC)


@task_postrun.connect
def note_end(task_id: str, task: Any, retval: Any, state: str, **_: Any) -> None:
    # Any: Celery's arguments; ``retval`` is the exception of a task that failed.
    """Write down how the run went; a database that is away is not the task's fault."""
    ended = datetime.now(UTC)
    error = f"{type(retval).__name__}: {retval}" if isinstance(retval, BaseException) else ""
    try:
        remember(
            task.name,
            started_at=_started.pop(task_id, ended),
            finished_at=ended,
            error=error or ("" if state == "SUCCESS" else state),
        )
    except Error as problem:
        logger.warning("the run of %s could not be noted: %s", task.name, problem)


@transaction.atomic
def remember(task: str, *, started_at: datetime, finished_at: datetime, error: str = "") -> None:
    """One row a task, replaced by each run."""
    with connection.cursor() as cursor:
        # Losing the last second of this in a crash costs nothing; waiting for the disk would.
        cursor.execute("SET LOCAL synchronous_commit TO off")
    ok = not error
    said = {"started_at": started_at, "finished_at": finished_at, "ok": ok, "error": error[:LONGEST_ERROR]}
    if ok:
        said["succeeded_at"] = finished_at
    JobRun.objects.bulk_create(
        [JobRun(task=task, **said)],
        update_conflicts=True,
        unique_fields=["task"],
        update_fields=list(said),
    )
