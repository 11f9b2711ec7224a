"""The jobs of the schedule: when each last ran, and whether it is late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from celery.schedules import crontab, maybe_schedule

from finops.pages.models import JobRun
from finops.ui import formats

NAMES = {
    "fold": "Counting calls into the books",
    "charges": "Charging commitments, credits and taxes",
    "prices": "Moving calls to narrower price slots",
    "recent_segments": "Merging users and tasks of the last days",
    "segments": "Merging users and tasks of all days",
    "spans": "Booking the calls of spans",
    "old_spans": "Forgetting old spans",
    "imports": "Going on with imports of files",
    "provider_reports": "Reading the reports of providers",
    "partitions": "Making days for calls, dropping old ones",
    "identities": "Looking for calls sent twice",
    "leftovers": "Forgetting old answers and sessions",
    "verify": "Verifying the books",
    "price_proposals": "Comparing prices with the library",
}
# How long after it is due a job counts as late: a busy worker is not an alarm.
GRACE_EVERY_FEW_SECONDS, GRACE_AT_A_TIME = timedelta(seconds=30), timedelta(minutes=10)
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")  # as cron counts


@dataclass(frozen=True, slots=True)
class Job:
    """One job; ``last`` is None while it never ran to its end."""

    name: str
    often: str
    last: JobRun | None
    is_late: bool

    @property
    def state(self) -> str:
        if self.last is not None and not self.last.ok:
            return "Failed"
        if self.is_late:
            return "Late"
        return "On time" if self.last is not None else "Not run yet"

    @property
    def level(self) -> str:
        return {"Failed": "bad", "Late": "bad", "On time": "ok"}.get(self.state, "warn")

    @property
    def milliseconds(self) -> float | None:
        """How long the last run took."""
        return (
            (self.last.finished_at - self.last.started_at) / timedelta(milliseconds=1) if self.last else None
        )


def jobs(now: datetime) -> list[Job]:
    """All of the schedule, in its order. One query."""
    runs = {run.task: run for run in JobRun.objects.all()}
    return [
        _job(key, entry, runs.get(entry["task"]), now)
        for key, entry in (current_app.conf.beat_schedule or {}).items()
    ]


def _job(key: str, entry: Mapping[str, Any], last: JobRun | None, now: datetime) -> Job:
    # Any: Celery's own shapes of an entry and of its schedule.
    rhythm: Any = maybe_schedule(entry["schedule"])
    is_at_a_time = isinstance(rhythm, crontab)
    grace = GRACE_AT_A_TIME if is_at_a_time else GRACE_EVERY_FEW_SECONDS
    late = last is not None and now - _due(rhythm, last.started_at) > grace
    often = _times(rhythm) if is_at_a_time else _interval(rhythm.run_every)
    return Job(NAMES.get(key, key), often, last, late)


def _due(rhythm: Any, last: datetime) -> datetime:  # Any: Celery's schedules share no typed base
    """When it should run next after a run that began at ``last``."""
    if isinstance(rhythm, crontab):
        start, wait, _ = rhythm.remaining_delta(last)
        due: datetime = start + wait
        return due
    return last + timedelta(seconds=rhythm.run_every.total_seconds())


def _interval(every: timedelta) -> str:
    seconds = every.total_seconds()
    return "every second" if seconds == 1 else f"every {formats.duration(seconds)}"


def _times(rhythm: Any) -> str:  # Any: the stubs know no fields of a crontab
    if len(rhythm.hour) == 24 and len(rhythm.minute) > 1:
        return f"every {formats.duration(3600 / len(rhythm.minute))}"
    if len(rhythm.hour) == 24:
        return "every hour"
    if len(rhythm.hour) > 1:
        return f"{len(rhythm.hour)} times a day"
    day = _WEEKDAYS[min(rhythm.day_of_week)] if len(rhythm.day_of_week) == 1 else "day"
    return f"every {day} at {min(rhythm.hour):02d}:{min(rhythm.minute):02d} UTC"
