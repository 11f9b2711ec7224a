"""Imports of files: who, what, how far, and what came of it, so that one can be undone as a whole."""

from __future__ import annotations

from django.db import models


class ImportState(models.TextChoices):
    """Where an import is on its way."""

    DRAFT = "draft", "Not started"
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    UNDONE = "undone", "Undone"


class DataImport(models.Model):
    """One file, imported once. Its batches carry its id (``IngestBatch.import_id``)."""

    created_at = models.DateTimeField(auto_now_add=True)
    made_by = models.CharField(max_length=254, blank=True)  # empty: by a command
    state = models.CharField(max_length=10, choices=ImportState, default=ImportState.DRAFT)
    file_name = models.CharField(max_length=255)
    is_uploaded = models.BooleanField(default=False)  # the file is ours to read again, and to delete
    file_bytes = models.BigIntegerField(default=0)
    file_format = models.CharField(max_length=20)
    # How it is to be read: columns, constants, source, assume_utc.
    options = models.JSONField(default=dict)
    position = models.BigIntegerField(default=0)  # bytes read
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    records = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    conflicts = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    # Bounds of occurred_at of what was accepted: batches are forgotten with the days of their calls.
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True)
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.file_name} ({self.pk})"

    @property
    def is_moving(self) -> bool:
        """Whether it will change by itself."""
        return self.state in (ImportState.WAITING, ImportState.RUNNING)

    @property
    def progress(self) -> int:
        """Per cent of the file read; compressed or not, it is the file's own bytes that count."""
        return min(100, self.position * 100 // self.file_bytes) if self.file_bytes else 0


class ReportPeriod(models.Model):
    """A period of a provider's usage report that an imported row has booked, so that nothing else does."""

    identity = models.UUIDField(primary_key=True)  # of the row's event
    # None: a row of the quarantine that somebody replayed.
    made_by = models.ForeignKey(DataImport, models.CASCADE, null=True, db_column="import_id")
    provider = models.TextField()
    model = models.TextField()
    project = models.TextField(blank=True)  # OpenAI's project, Anthropic's workspace; empty: not said
    api_key = models.TextField(blank=True)  # its id, never the key; empty: not said
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        db_table = "report_period"
        indexes = (models.Index(fields=["provider", "model", "starts_at"], name="report_period_lookup"),)
