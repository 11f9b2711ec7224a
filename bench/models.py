"""The table of the Django reference: one row an event, as the ORM would have it by default."""

from __future__ import annotations

import uuid

from django.db import models


class PlainEvent(models.Model):
    """An event with its names as text, a UUID key, and an index for each usual question."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    source = models.CharField(max_length=128)
    event_id = models.CharField(max_length=128)
    occurred_at = models.DateTimeField(db_index=True)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=256)
    operation = models.CharField(max_length=128, blank=True)
    team = models.CharField(max_length=128, blank=True, db_index=True)
    feature = models.CharField(max_length=128, blank=True, db_index=True)
    tier = models.CharField(max_length=128, blank=True)
    environment = models.CharField(max_length=128, blank=True)
    workflow = models.CharField(max_length=128, blank=True)
    step = models.CharField(max_length=128, blank=True)
    prompt_version = models.CharField(max_length=128, blank=True)
    release = models.CharField(max_length=128, blank=True)
    customer = models.CharField(max_length=128, blank=True)
    end_user = models.CharField(max_length=128, blank=True)
    session_id = models.CharField(max_length=128, blank=True)
    task_id = models.CharField(max_length=128, blank=True)
    trace_id = models.CharField(max_length=128, blank=True)
    status = models.CharField(max_length=16)
    response_cache = models.CharField(max_length=8, blank=True)
    attempt = models.PositiveSmallIntegerField(default=1)
    tool_calls = models.PositiveSmallIntegerField(default=0)
    duration_ms = models.PositiveIntegerField(null=True)
    ttft_ms = models.PositiveIntegerField(null=True)
    retrieval_tokens = models.PositiveIntegerField(null=True)
    input_tokens = models.PositiveIntegerField(default=0)
    cache_read_tokens = models.PositiveIntegerField(default=0)
    cache_write_tokens = models.PositiveIntegerField(default=0)
    cache_write_1h_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    reasoning_tokens = models.PositiveIntegerField(default=0)

    objects: models.Manager[PlainEvent] = models.Manager()

    class Meta:
        app_label = "bench"
        constraints = (
            models.UniqueConstraint(fields=["source", "event_id"], name="plain_event_is_kept_once"),
        )

    def __str__(self) -> str:
        return f"{self.source} {self.event_id}"
