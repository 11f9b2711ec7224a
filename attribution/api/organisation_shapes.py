"""The shapes of the organisation: what is said of a name, and how it stands."""

from __future__ import annotations

from datetime import date
from typing import Any

from rest_framework import serializers

from attribution.models import BusinessUnit, CostCentre, Feature, RegistryState, Team, Tier
from attribution.organisation import Move, history, on, today
from attribution.registry import LONGEST_NAME, LONGEST_SLUG
from pricing.shapes import InstantField, Strict

_EFFECTIVE_FROM = (
    "First reporting day it holds. Left out: since ever for the first placement, else from today;"
    " null: since ever."
)


class NameBody(Strict):
    """A name; one that is there already is changed."""

    slug = serializers.CharField(max_length=LONGEST_SLUG)
    name = serializers.CharField(max_length=LONGEST_NAME, required=False)


class TeamBody(NameBody):
    """A team and where it belongs. A cost centre or business unit not there yet is made."""

    cost_centre = serializers.CharField(max_length=LONGEST_SLUG, required=False, allow_null=True)
    business_unit = serializers.CharField(max_length=LONGEST_SLUG, required=False, allow_null=True)
    effective_from = serializers.DateField(required=False, allow_null=True, help_text=_EFFECTIVE_FROM)


class CostCentreBody(NameBody):
    """A cost centre and the business unit it belongs to."""

    business_unit = serializers.CharField(max_length=LONGEST_SLUG, required=False, allow_null=True)
    effective_from = serializers.DateField(required=False, allow_null=True, help_text=_EFFECTIVE_FROM)


class FeatureBody(NameBody):
    """A feature and the team that owns it: its calls without a team tag are that team's."""

    owner_team = serializers.CharField(max_length=LONGEST_SLUG, required=False, allow_null=True)
    team = serializers.CharField(
        max_length=LONGEST_SLUG, required=False, allow_null=True, help_text="The same as owner_team."
    )
    effective_from = serializers.DateField(required=False, allow_null=True, help_text=_EFFECTIVE_FROM)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "team" in attrs:
            team = attrs.pop("team")
            if attrs.setdefault("owner_team", team) != team:
                raise serializers.ValidationError({"team": "team and owner_team say different things."})
        return attrs


class SpanShape(serializers.Serializer[dict[str, Any]]):
    """Reporting days, half-open; null leaves an end open."""

    valid_from = serializers.DateField(allow_null=True)
    valid_to = serializers.DateField(allow_null=True)


class TeamMoveShape(SpanShape):
    cost_centre = serializers.CharField(allow_null=True)


class CostCentreMoveShape(SpanShape):
    business_unit = serializers.CharField(allow_null=True)


class FeatureMoveShape(SpanShape):
    owner_team = serializers.CharField(allow_null=True)


class NameShape(serializers.Serializer[Any]):
    """A name of the organisation."""

    slug = serializers.CharField()
    name = serializers.CharField()


class TeamShape(NameShape):
    """A team, and where it belongs today."""

    cost_centre = serializers.CharField(allow_null=True)
    business_unit = serializers.CharField(allow_null=True)


class TeamDetailShape(TeamShape):
    history = TeamMoveShape(many=True, help_text="The cost centres it belongs to, over time.")


class CostCentreShape(NameShape):
    """A cost centre, and the business unit it belongs to today."""

    business_unit = serializers.CharField(allow_null=True)


class CostCentreDetailShape(CostCentreShape):
    history = CostCentreMoveShape(many=True, help_text="The business units it belongs to, over time.")


class TierShape(NameShape):
    """A tier; ``new`` came with events and waits for review."""

    state = serializers.ChoiceField(choices=RegistryState.choices)
    first_seen_at = InstantField(allow_null=True)


class FeatureShape(TierShape):
    """A feature, and the team that owns it today."""

    owner_team = serializers.CharField(allow_null=True)


class FeatureDetailShape(FeatureShape):
    history = FeatureMoveShape(many=True, help_text="The teams that own it, over time.")


def team_json(team: Team) -> dict[str, Any]:
    """From a team with its placements and those of their cost centres fetched."""
    moves, day = history(team.placements.all()), today()
    centres = {
        place.cost_centre.slug: place.cost_centre for place in team.placements.all() if place.cost_centre
    }
    current = on(day, moves)
    unit = on(day, history(centres[current].placements.all())) if current else None
    return {
        "slug": team.slug,
        "name": team.name,
        "cost_centre": current,
        "business_unit": unit,
        "history": _moves(moves, "cost_centre"),
    }


def cost_centre_json(centre: CostCentre) -> dict[str, Any]:
    """From a cost centre with its placements fetched."""
    moves = history(centre.placements.all())
    return {
        "slug": centre.slug,
        "name": centre.name,
        "business_unit": on(today(), moves),
        "history": _moves(moves, "business_unit"),
    }


def business_unit_json(unit: BusinessUnit) -> dict[str, Any]:
    """A business unit."""
    return {"slug": unit.slug, "name": unit.name}


def tier_json(tier: Tier) -> dict[str, Any]:
    """A tier."""
    return dict(TierShape(tier).data)


def feature_json(feature: Feature) -> dict[str, Any]:
    """From a feature with its ownerships fetched."""
    moves = history(feature.ownerships.all())
    return {
        **TierShape(feature).data,
        "owner_team": on(today(), moves),
        "history": _moves(moves, "owner_team"),
    }


def _moves(moves: list[Move], target: str) -> list[dict[str, str | None]]:
    return [
        {"valid_from": _day(move.valid_from), "valid_to": _day(move.valid_to), target: move.target}
        for move in moves
    ]


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
