"""Tagging rules: what an administrator says of calls, over what the calls say of themselves."""

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
