"""Spans of model calls between their arrival and the books, and what their attributes are called."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models


class Fate(models.IntegerChoices):
    """What became of a span. The number is what the database stores."""

    WAITING = 0, "waiting for what is inside it"
    LINK = 1, "no call: says only which span is inside which"
    BOOKING = 2, "a call of its own, not written yet"
    BOOKED = 3, "in the books"
    CONTAINER = 4, "repeats the calls inside it"
    REPEATED = 5, "repeated by a span around it that was booked before"
    REFUSED = 6, "breaks a rule that was new when it was written"


class OtlpSpan(models.Model):
    """One span as acknowledged, remembered for a day so that a late relative finds it."""

    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    parent_id = models.BigIntegerField(null=True)
    received_at = models.DateTimeField()
    fate = models.SmallIntegerField(choices=Fate)
    has_usage = models.BooleanField()
    input_tokens = models.IntegerField(db_default=0)
    output_tokens = models.IntegerField(db_default=0)
    is_embedding = models.BooleanField(db_default=False)
    # What a call says, as a number, to know a repetition from a conflict.
    content = models.BigIntegerField(null=True)
    # The same for spans that may tell of one call without being inside each other: see ``settling``.
    likeness = models.BigIntegerField(null=True)
    # The provider's id of the answer, as a number. It tells no call from another: see ``RepeatedAnswer``.
    answer = models.BigIntegerField(null=True)
    is_innermost = models.BooleanField()  # made by the provider's own SDK
    started_us = models.BigIntegerField()
    ended_us = models.BigIntegerField()
    # Under which key it came.
    api_key = models.TextField()
    key_team = models.TextField()
    # JSON: our names as the span says them, for the calls inside too, and as its resource does.
    said = models.TextField(null=True)
    event = models.BinaryField(null=True)  # msgpack; until it is in the books
    pk = models.CompositePrimaryKey("trace_id", "span_id")

    class Meta:
        db_table = "otlp_span"
        indexes = (
            # Serves settling: what still waits, oldest first.
            models.Index(
                fields=["received_at"],
                name="otlp_span_unsettled",
                condition=models.Q(fate__in=[Fate.WAITING, Fate.BOOKING]),
            ),
            # Serves forgetting.
            BrinIndex(fields=["received_at"], name="otlp_span_received", autosummarize=True),
            # Serves settling: two spans of one call in different places.
            models.Index(
                fields=["likeness"], name="otlp_span_alike", condition=models.Q(likeness__isnull=False)
            ),
        )


class RepeatedAnswer(models.Model):
    """Calls of a source that were booked on a UTC day although another has the same answer and usage.

    Both are in the books, for each has a span of its own: it is a warning to whoever instrumented the source.
    """

    day = models.DateField()
    source = models.TextField()
    calls = models.BigIntegerField()
    examples = ArrayField(models.TextField())  # the id of such a call and of the other, with a space between
    last_at = models.DateTimeField()

    class Meta:
        db_table = "repeated_answer"
        constraints = (
            models.UniqueConstraint(fields=["day", "source"], name="repeated_answers_are_counted_once_a_day"),
        )


class SpanAttribute(models.Model):
    """An attribute that holds one of our names, as mapped by a person; looked at after our own."""

    name = models.CharField(max_length=32)  # ours: team, feature, ...
    attribute = models.CharField(max_length=256)
    position = models.SmallIntegerField(default=0)

    class Meta:
        db_table = "span_attribute"
        ordering = ("position", "id")
        constraints = (models.UniqueConstraint(fields=["name", "attribute"], name="span_attribute_once"),)
