"""What calls arrived with, dictionary-encoded, and whom that is attributed to over time."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class DimensionSet(models.Model):
    """One combination of the low-cardinality dimensions that calls arrive with; '' is not given.

    Never changed: what a combination means to the organisation is ``Attribution``.
    """

    id = models.AutoField(primary_key=True)
    hash = models.UUIDField(unique=True)  # xxh3-128 of the fields below
    source = models.TextField()
    api_key = models.TextField()  # the key's name
    key_team = models.TextField()  # the team the key was bound to when the call arrived
    team = models.TextField()
    feature = models.TextField()
    tier = models.TextField()
    environment = models.TextField()
    workflow = models.TextField()
    step = models.TextField()
    prompt_version = models.TextField()
    release = models.TextField()
    operation = models.TextField()
    tags = models.JSONField(default=dict)  # only tags declared as allocation keys
    first_seen_at = models.DateTimeField()

    class Meta:
        db_table = "dimension_set"


class Attribution(models.Model):
    """Whom a dimension set belongs to during some days, as known during some time.

    Days are reporting days, half-open; None leaves an end open. A row is never changed except that
    ``known_to`` is set once when newer knowledge supersedes it.
    """

    id = models.AutoField(primary_key=True)
    dimension_set = models.ForeignKey(DimensionSet, models.PROTECT, related_name="attributions")
    valid_from = models.DateField(null=True)
    valid_to = models.DateField(null=True)
    known_from = models.DateTimeField(null=True)
    known_to = models.DateTimeField(null=True)
    team = models.TextField(null=True)  # None: unattributed, visibly
    cost_centre = models.TextField(null=True)
    business_unit = models.TextField(null=True)
    feature = models.TextField(null=True)
    tier = models.TextField(null=True)
    rule = models.TextField()  # how the team was found, or why it was not

    class Meta:
        db_table = "attribution"
        indexes = (
            # Serves every report: today's knowledge of a set.
            models.Index(
                fields=["dimension_set"],
                name="attribution_current",
                condition=models.Q(known_to=None),
            ),
        )


class Customer(models.Model):
    """A customer's name, once; customers are too many to be part of a dimension set."""

    id = models.AutoField(primary_key=True)
    name = models.TextField(unique=True)

    class Meta:
        db_table = "customer"


class DimensionOverflow(models.Model):
    """A source that sent more distinct values of a dimension than are kept: the rest are "(other)"."""

    source = models.TextField()
    dimension = models.TextField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    calls = models.BigIntegerField(default=0)
    examples = ArrayField(models.TextField(), default=list)

    class Meta:
        db_table = "dimension_overflow"
        constraints = (
            models.UniqueConstraint(fields=["source", "dimension"], name="overflow_is_kept_once_a_dimension"),
        )
