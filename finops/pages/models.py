"""What the screens remember themselves."""

from __future__ import annotations

from django.db import models


class JobRun(models.Model):
    """The last run of one task of the worker. One row a task: the counting runs every second."""

    task = models.TextField(primary_key=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    ok = models.BooleanField()
    error = models.TextField(blank=True)  # kind and message of what ended it; empty when it went well
    succeeded_at = models.DateTimeField(null=True)  # when it last went well

    class Meta:
        db_table = "job_run"

    def __str__(self) -> str:
        return self.task
