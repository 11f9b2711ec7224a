"""The organisation: business units, cost centres, teams, features, tiers, each move with its day.

A move is one row with the first reporting day it holds; it holds until the next row of the same
subject. So two can never overlap, and history is what is already there.
"""

from __future__ import annotations

from django.db import models


class RegistryState(models.TextChoices):
    """A name that events brought in waits for a person's look; either way its cost is counted."""

    NEW = "new", "New, to be reviewed"
    CONFIRMED = "confirmed", "Confirmed"


class BusinessUnit(models.Model):
    """The top of the hierarchy."""

    slug = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=200)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class CostCentre(models.Model):
    """What finance books to; ``slug`` is its number or code."""

    slug = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=200)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class Team(models.Model):
    """Who spends. The slug is what events and keys say, and never changes."""

    slug = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class Feature(models.Model):
    """What the cost buys. New names in events appear here for review."""

    slug = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=RegistryState, default=RegistryState.CONFIRMED)
    first_seen_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class Tier(models.Model):
    """Which kind of customer was served."""

    slug = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=RegistryState, default=RegistryState.CONFIRMED)
    first_seen_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class TeamPlacement(models.Model):
    """From ``valid_from`` (None: since ever) the team belongs to this cost centre (None: to none)."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="placements")
    cost_centre = models.ForeignKey(CostCentre, models.PROTECT, null=True, related_name="+")
    valid_from = models.DateField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["team", "valid_from"], name="team_moves_once_a_day", nulls_distinct=False
            ),
        )


class CostCentrePlacement(models.Model):
    """From ``valid_from`` the cost centre belongs to this business unit."""

    cost_centre = models.ForeignKey(CostCentre, models.PROTECT, related_name="placements")
    business_unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    valid_from = models.DateField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["cost_centre", "valid_from"],
                name="cost_centre_moves_once_a_day",
                nulls_distinct=False,
            ),
        )


class FeatureOwnership(models.Model):
    """From ``valid_from`` the feature's untagged calls belong to this team (None: to none)."""

    feature = models.ForeignKey(Feature, models.PROTECT, related_name="ownerships")
    team = models.ForeignKey(Team, models.PROTECT, null=True, related_name="+")
    valid_from = models.DateField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["feature", "valid_from"],
                name="feature_moves_once_a_day",
                nulls_distinct=False,
            ),
        )
