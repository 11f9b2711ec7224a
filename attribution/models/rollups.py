"""Sums over calls, by dimension set and price slot: the quantities that the books price.

Every table is keyed by what decides owner and price, so that a cost is always
quantity x unit price and is never stored. No rows with nothing in them.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class UsageFields(models.Model):
    """What is summed over calls. Tokens are disjoint meters."""

    dimension_set_id = models.IntegerField()
    slot_id = models.IntegerField()
    calls = models.IntegerField()
    errors = models.IntegerField()  # status error or timeout
    retries = models.IntegerField()  # attempt above 1
    tool_calls = models.IntegerField()
    input = models.BigIntegerField()
    cache_read = models.BigIntegerField()
    cache_write = models.BigIntegerField()
    cache_write_1h = models.BigIntegerField()
    output = models.BigIntegerField()
    reasoning = models.BigIntegerField()

    class Meta:
        abstract = True


class UsageHour(UsageFields):
    """By hour (or quarter hour: ``periods.bucket_minutes``); ``bucket`` is its first instant."""

    bucket = models.DateTimeField()
    pk = models.CompositePrimaryKey("bucket", "dimension_set_id", "slot_id")

    class Meta:
        db_table = "usage_hour"


class UsageDay(UsageFields):
    """By reporting day."""

    day = models.DateField()
    pk = models.CompositePrimaryKey("day", "dimension_set_id", "slot_id")

    class Meta:
        db_table = "usage_day"


class CustomerDay(UsageFields):
    """By reporting day and customer; calls without a customer are not here."""

    day = models.DateField()
    customer_id = models.IntegerField()
    pk = models.CompositePrimaryKey("day", "customer_id", "dimension_set_id", "slot_id")

    class Meta:
        db_table = "customer_day"


class UnitFields(models.Model):
    """Quantities on the meters that few calls have."""

    dimension_set_id = models.IntegerField()
    slot_id = models.IntegerField()
    meter_id = models.SmallIntegerField()
    quantity = models.DecimalField(max_digits=30, decimal_places=6)

    class Meta:
        abstract = True


class UnitHour(UnitFields):
    bucket = models.DateTimeField()
    pk = models.CompositePrimaryKey("bucket", "dimension_set_id", "slot_id", "meter_id")

    class Meta:
        db_table = "unit_hour"


class UnitDay(UnitFields):
    day = models.DateField()
    pk = models.CompositePrimaryKey("day", "dimension_set_id", "slot_id", "meter_id")

    class Meta:
        db_table = "unit_day"


class CustomerUnitDay(UnitFields):
    day = models.DateField()
    customer_id = models.IntegerField()
    pk = models.CompositePrimaryKey("day", "customer_id", "dimension_set_id", "slot_id", "meter_id")

    class Meta:
        db_table = "customer_unit_day"


class DurationDay(models.Model):
    """Histogram of call durations: ``step`` = floor(16 x log2(ms + 1)), so a step is 4.4 % wide.

    Histograms of any groups merge by adding; a percentile is interpolated inside its step.
    """

    day = models.DateField()
    dimension_set_id = models.IntegerField()
    slot_id = models.IntegerField()
    step = models.SmallIntegerField()
    calls = models.IntegerField()
    pk = models.CompositePrimaryKey("day", "dimension_set_id", "slot_id", "step")

    class Meta:
        db_table = "duration_day"


class DurationOwnerDay(models.Model):
    """The same histogram without slots, and with one dimension set standing for all of one owner.

    Sets that agree in what decides the owner (team, feature, tier, the key's team) are attributed
    alike at all times; the first of them stands for all. Serves percentiles by team, feature or tier.
    """

    day = models.DateField()
    dimension_set_id = models.IntegerField()
    step = models.SmallIntegerField()
    calls = models.IntegerField()
    pk = models.CompositePrimaryKey("day", "dimension_set_id", "step")

    class Meta:
        db_table = "duration_owner_day"


class DurationOwnerSpan(models.Model):
    """The same by whole months and by sevenths of them (days 1 to 7, 8 to 14, 15 to 21, 22 to 28).

    For long periods, of which only the edges then need single days: see ``periods.Period.spans``.
    """

    first_day = models.DateField()
    end_day = models.DateField()  # the first that is not in it
    dimension_set_id = models.IntegerField()
    step = models.SmallIntegerField()
    calls = models.IntegerField()
    pk = models.CompositePrimaryKey("first_day", "end_day", "dimension_set_id", "step")

    class Meta:
        db_table = "duration_owner_span"


class SegmentFields(models.Model):
    """Which different ones a group of calls named, exactly: 64-bit hashes of their names.

    Each fold adds a segment a group and never changes one; segments of a group overlap until they are
    compacted, and their union is the group's set at all times.
    """

    day = models.DateField(db_index=True)
    dimension_set_id = models.IntegerField()
    slot_id = models.IntegerField()
    calls = models.IntegerField()  # that named one
    keys = ArrayField(models.BigIntegerField())

    class Meta:
        abstract = True


class UserDay(SegmentFields):
    """The end users served."""

    class Meta:
        db_table = "user_day"


class TaskDay(SegmentFields):
    """The tasks worked on."""

    class Meta:
        db_table = "task_day"


class BooksSetting(models.Model):
    """What the books were opened with and must keep: the reporting zone decides what a day is."""

    name = models.CharField(max_length=64, primary_key=True)
    value = models.TextField()

    class Meta:
        db_table = "books_setting"


class Verification(models.Model):
    """One run of ``verify_books``: what was checked and what did not hold."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    checks = models.JSONField(default=list)  # [{"name", "checked", "failed", "examples"}]
    passed = models.BooleanField(null=True)

    class Meta:
        db_table = "verification"
        ordering = ("-started_at",)
