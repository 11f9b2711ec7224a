"""Puts the demo company's organisation into the registry, through the same functions as people do."""

from __future__ import annotations

from datetime import date

from attribution import ownership, registry
from attribution.models import BusinessUnit, CostCentre, Feature, FeatureOwnership, Team, TeamPlacement, Tier
from finops.demo import company
from finops.demo.story import MOVED

ACTOR = "command: demo"


def create_organisation(moved_on: date) -> None:
    """Business units, cost centres, teams, tiers and features with their owners.

    Whatever exists is left as it is, so a second run changes nothing. ``moved_on`` is the first day
    on which ``translation`` belongs to its new team.
    """
    _create_units()
    _create_teams()
    known = set(Tier.objects.values_list("slug", flat=True))
    for tier in company.TIERS:
        if tier not in known:
            registry.create_tier(tier, name=company.TIER_NAMES[tier], actor=ACTOR)
    _create_features()
    feature, _, new_owner = MOVED
    ownership.own_feature(feature, new_owner, effective_from=moved_on, actor=ACTOR)


def _create_units() -> None:
    known = set(BusinessUnit.objects.values_list("slug", flat=True))
    for slug, name in company.BUSINESS_UNITS.items():
        if slug not in known:
            registry.create_business_unit(slug, name=name, actor=ACTOR)
    known = set(CostCentre.objects.values_list("slug", flat=True))
    for slug, (name, unit) in company.COST_CENTRES.items():
        if slug not in known:
            registry.create_cost_centre(slug, name=name, actor=ACTOR)
            ownership.place_cost_centre(slug, unit, actor=ACTOR)


def _create_teams() -> None:
    known = set(Team.objects.values_list("slug", flat=True))
    placed = set(TeamPlacement.objects.values_list("team__slug", flat=True))
    for slug, (name, cost_centre) in company.TEAMS.items():
        if slug not in known:
            registry.create_team(slug, name=name, actor=ACTOR)
        if slug not in placed:
            ownership.place_team(slug, cost_centre, actor=ACTOR)


def _create_features() -> None:
    known = set(Feature.objects.values_list("slug", flat=True))
    owned = set(FeatureOwnership.objects.values_list("feature__slug", flat=True))
    for feature in company.FEATURES:
        if feature.slug not in known:
            registry.create_feature(feature.slug, name=feature.name, actor=ACTOR)
        if feature.slug not in owned:
            ownership.own_feature(feature.slug, feature.team, actor=ACTOR)
