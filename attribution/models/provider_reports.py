"""What providers say was used and what they charge, and what of it was booked as calls nobody told us of."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class ProviderPull(models.Model):
    """One report of a provider: how far it was read, and how the last run went."""

    provider = models.CharField(max_length=32)
    report = models.CharField(max_length=32)
    pulled_to = models.DateTimeField(null=True)  # every bucket that ends by then was read; moved by schedule
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)  # of the last run that went well
    rows = models.IntegerField(default=0)  # of the last run
    problem = models.TextField(blank=True)  # of the last run; empty: none

    class Meta:
        db_table = "provider_pull"
        ordering = ("provider", "report")
        constraints = (
            models.UniqueConstraint(fields=["provider", "report"], name="a_report_is_pulled_once"),
        )


class ProviderUsage(models.Model):
    """One row of a usage report, as last read. Its bucket is a UTC day."""

    provider = models.CharField(max_length=32)
    report = models.CharField(max_length=32)
    row_id = models.CharField(max_length=32)  # of the bucket and every name of the row
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    project = models.CharField(max_length=128, blank=True)  # OpenAI's project, Anthropic's workspace
    api_key = models.CharField(max_length=128, blank=True)  # its id, never the key
    model = models.CharField(max_length=256, blank=True)
    requests = models.BigIntegerField(null=True)  # Anthropic says none
    usage = models.JSONField()  # counts under their wire names
    event = models.JSONField()  # what an event of this row says besides
    raw = models.JSONField()
    problem = models.TextField(blank=True)  # why it cannot be read
    first_seen_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)  # the provider does not report it any more

    class Meta:
        db_table = "provider_usage"
        constraints = (
            models.UniqueConstraint(fields=["provider", "report", "row_id"], name="usage_is_reported_once"),
        )
        indexes = (models.Index(fields=["provider", "starts_at"], name="provider_usage_day"),)


class ProviderCost(models.Model):
    """One line of a cost report, as last read."""

    provider = models.CharField(max_length=32)
    report = models.CharField(max_length=32)
    row_id = models.CharField(max_length=32)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    project = models.CharField(max_length=128, blank=True)
    line = models.TextField(blank=True)  # OpenAI's line item, Anthropic's description
    amount = models.DecimalField(max_digits=60, decimal_places=30)  # in whole units of the currency
    currency = models.CharField(max_length=3)
    raw = models.JSONField()
    first_seen_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "provider_cost"
        constraints = (
            models.UniqueConstraint(fields=["provider", "report", "row_id"], name="cost_is_reported_once"),
        )
        indexes = (models.Index(fields=["provider", "starts_at"], name="provider_cost_day"),)


class ProviderReportChange(models.Model):
    """What a row said before it said something else; ``after`` is None where it is gone."""

    provider = models.CharField(max_length=32)
    report = models.CharField(max_length=32)
    row_id = models.CharField(max_length=32)
    seen_at = models.DateTimeField()
    before = models.JSONField()
    after = models.JSONField(null=True)

    class Meta:
        db_table = "provider_report_change"
        indexes = (models.Index(fields=["provider", "report", "row_id"], name="provider_report_change_row"),)


class ProviderMapping(models.Model):
    """Whose keys these are: calls made with them come from these sources, or nobody tells us of them."""

    provider = models.CharField(max_length=32)
    name = models.CharField(max_length=128)
    api_keys = ArrayField(models.CharField(max_length=128), default=list)
    projects = ArrayField(models.CharField(max_length=128), default=list)
    sources = ArrayField(models.CharField(max_length=128), default=list)
    names = models.JSONField(default=dict)  # team, feature, ... of what is booked
    book_from = models.DateField()  # the first UTC day to book
    is_active = models.BooleanField(default=True)

    class Meta:
        db_table = "provider_mapping"
        ordering = ("provider", "name")
        constraints = (models.UniqueConstraint(fields=["provider", "name"], name="a_mapping_has_one_name"),)


class DayState(models.TextChoices):
    """What became of a mapping's day."""

    BOOKING = "booking", "Decided, being booked"
    BOOKED = "booked", "Booked"
    HELD = "held", "Not booked"


class ProviderDay(models.Model):
    """The remainder of one mapping on one UTC day: booked once, or held with the reason."""

    mapping = models.ForeignKey(ProviderMapping, models.PROTECT, related_name="days")
    day = models.DateField()
    state = models.CharField(max_length=8, choices=DayState)
    reason = models.TextField(blank=True)
    events = models.JSONField(default=list)  # what is booked, to the letter
    # Of what is booked now and what would be, by the counts that differ.
    difference = models.JSONField(default=dict)
    doubt = models.TextField(blank=True, db_default="")  # why it would not be booked now, where it was
    decided_at = models.DateTimeField()
    checked_at = models.DateTimeField()

    class Meta:
        db_table = "provider_day"
        constraints = (models.UniqueConstraint(fields=["mapping", "day"], name="a_day_is_booked_once"),)
