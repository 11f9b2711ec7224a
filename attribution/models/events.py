"""What arrived: one immutable row a call, in day partitions, written by COPY only.

There are no foreign keys on events: the dictionaries they point into are never deleted from, and a
day can be dropped, or distributed over machines, without touching anything else.
"""

from __future__ import annotations

from django.db import models


class CallStatus(models.IntegerChoices):
    """How a call ended. The number is what the database stores."""

    SUCCESS = 0, "success"
    ERROR = 1, "error"
    TIMEOUT = 2, "timeout"
    CANCELLED = 3, "cancelled"
    REFUSED = 4, "refused"


class ResponseCache(models.IntegerChoices):
    """Whether the application answered from its own cache, without a call to the provider."""

    UNSTATED = 0, ""
    HIT = 1, "hit"
    MISS = 2, "miss"


# What an event leaves unsaid is stored as -1: a fixed width keeps COPY fast, and zero is a value.
NOT_GIVEN = -1


class IngestBatch(models.Model):
    """One durable write: its events carry its id, and the fold takes whole batches exactly once."""

    id = models.BigAutoField(primary_key=True)
    received_at = models.DateTimeField()
    accepted = models.IntegerField()
    duplicates = models.IntegerField(default=0)
    conflicts = models.IntegerField(default=0)
    rejected = models.IntegerField(default=0)
    content_dropped = models.IntegerField(default=0)  # fields with prompt or completion text
    # Bounds of occurred_at, so that the fold opens only the partitions it needs.
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    folded_at = models.DateTimeField(null=True)
    # The DataImport that it is part of: no foreign key, for the writer is never held up by it.
    import_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "ingest_batch"
        indexes = (
            # Serves the fold: the batches still to take, oldest first.
            models.Index(fields=["id"], name="ingest_batch_unfolded", condition=models.Q(folded_at=None)),
            # Serves the rates on Data health.
            models.Index(fields=["received_at"], name="ingest_batch_received"),
            # Serves the undoing of an import.
            models.Index(
                fields=["import_id"],
                name="ingest_batch_of_import",
                condition=models.Q(import_id__isnull=False),
            ),
        )


class CallEvent(models.Model):
    """One call as it arrived, metered: tokens are disjoint meters (``finops.core.meters``)."""

    occurred_at = models.DateTimeField()
    identity = models.UUIDField(primary_key=True)  # xxh3-128 of (source, event_id); unique in each day
    content_hash = models.BigIntegerField()  # tells a retry from a conflict
    batch_id = models.BigIntegerField()
    dimension_set_id = models.IntegerField()
    slot_id = models.IntegerField()
    customer_id = models.IntegerField()  # 0: none
    input = models.IntegerField()
    cache_read = models.IntegerField()
    cache_write = models.IntegerField()
    cache_write_1h = models.IntegerField()
    output = models.IntegerField()
    reasoning = models.IntegerField()
    duration_ms = models.IntegerField()  # -1: not given
    ttft_ms = models.IntegerField()  # -1: not given
    retrieval_tokens = models.IntegerField()  # -1: not given
    tool_calls = models.SmallIntegerField()
    attempt = models.SmallIntegerField()  # 1: first
    status = models.SmallIntegerField(choices=CallStatus)
    response_cache = models.SmallIntegerField(choices=ResponseCache)
    event_id = models.TextField()
    task_id = models.TextField(null=True)
    session_id = models.TextField(null=True)
    end_user = models.TextField(null=True)
    trace_id = models.TextField(null=True)
    # Everything rarer: parent_event_id, model_requested, error_type, reported_cost, tags.
    detail = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "call_event"


class CallUnit(models.Model):
    """One quantity of a call on a meter that few calls have: audio, images, searches, seconds."""

    occurred_at = models.DateTimeField()
    identity = models.UUIDField()
    batch_id = models.BigIntegerField()
    meter_id = models.SmallIntegerField()  # core.meters.Meter, or pricing.UnitMeter from 100 on
    quantity = models.DecimalField(max_digits=24, decimal_places=6)
    pk = models.CompositePrimaryKey("identity", "meter_id")

    class Meta:
        managed = False
        db_table = "call_unit"
