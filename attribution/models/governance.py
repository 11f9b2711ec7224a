"""Tagging rules, tags that costs are allocated by, what sources must say, and how often they did not."""

from __future__ import annotations

from django.db import models

from attribution.models.owners import Feature, Team, Tier


class TaggingRule(models.Model):
    """A rule by its name. What it says on which days are its versions."""

    name = models.CharField(max_length=128, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name


class TaggingRuleVersion(models.Model):
    """From ``valid_from`` (None: since ever) the rule says this, until its next version; known meanwhile.

    Never changed, except that ``known_to`` is set once when another version of the same day replaces it.
    """

    rule = models.ForeignKey(TaggingRule, models.PROTECT, related_name="versions")
    valid_from = models.DateField(null=True)
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True)
    made_by = models.CharField(max_length=254)
    is_active = models.BooleanField(default=True)  # False: retired from that day on
    position = models.IntegerField()  # lower comes first; equal ones in the order of the rules
    match = models.JSONField()  # field of a dimension set: the values it may have
    only_missing = models.BooleanField(default=True)
    team = models.ForeignKey(Team, models.PROTECT, null=True, related_name="+")
    feature = models.ForeignKey(Feature, models.PROTECT, null=True, related_name="+")
    tier = models.ForeignKey(Tier, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["rule", "valid_from"],
                condition=models.Q(known_to=None),
                nulls_distinct=False,
                name="a_rule_has_one_version_a_day",
            ),
        )


class AllocationKey(models.Model):
    """A tag key whose values become part of the dimension sets of calls that arrive while it is declared.

    Kept when it is dropped: the sets made meanwhile carry it for good.
    """

    key = models.CharField(max_length=64, unique=True)
    most_values = models.IntegerField()  # of one source; further ones are "(other)"
    declared_at = models.DateTimeField()
    declared_by = models.CharField(max_length=254)
    dropped_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("key",)

    def __str__(self) -> str:
        return self.key


class ContractMode(models.TextChoices):
    """What becomes of an event that lacks a required key, or has a value that is not allowed."""

    COUNT = "count", "Book it, and show how many there are"
    QUARANTINE = "quarantine", "Refuse it, and list it in the quarantine"


class SourceContract(models.Model):
    """What a source's events must say. Where it says nothing about a key, anything goes."""

    source = models.CharField(max_length=128, unique=True)
    mode = models.CharField(max_length=10, choices=ContractMode, default=ContractMode.COUNT)
    required = models.JSONField(default=list)  # keys
    allowed = models.JSONField(default=dict)  # key: its values
    aliases = models.JSONField(default=dict)  # key: {as sent: as kept}
    teams = models.JSONField(default=list)  # that it may claim; none: any
    owner = models.CharField(max_length=254, blank=True)  # whom to ask
    # The provider's account that is billed for calls that name none.
    account = models.CharField(max_length=128, default="", blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("source",)

    def __str__(self) -> str:
        return self.source


class ContractState(models.Model):
    """One row: counts the changes of contracts and allocation keys, so that every process learns of one."""

    version = models.BigIntegerField(default=0)


class Refusal(models.Model):
    """How many events of a key's source broke a rule on a UTC day, by field and code."""

    day = models.DateField()
    source = models.CharField(max_length=128)
    field = models.CharField(max_length=64)
    code = models.CharField(max_length=64)
    events = models.BigIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["day", "source", "field", "code"], name="refusals_are_counted_once_a_day"
            ),
        )
