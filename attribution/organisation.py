"""The organisation as it stands on a day, and changes to it as a person says them in one go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Final

from django.conf import settings
from django.db import transaction

from attribution import ownership, registry
from attribution.models import (
    BusinessUnit,
    CostCentre,
    CostCentrePlacement,
    Feature,
    FeatureOwnership,
    RegistryState,
    Team,
    TeamPlacement,
    Tier,
)
from finops.core.errors import InvalidInput


class Unsaid(Enum):
    """Tells "nothing was said" from an explicit nothing."""

    UNSAID = "unsaid"


UNSAID: Final = Unsaid.UNSAID
Said = str | None | Unsaid
DaySaid = date | None | Unsaid


@dataclass(frozen=True, slots=True)
class Move:
    """From ``valid_from`` (None: since ever) to before ``valid_to`` (None: open) it belongs to ``target``."""

    valid_from: date | None
    valid_to: date | None
    target: str | None


def today() -> date:
    """The reporting day it is now."""
    return datetime.now(settings.REPORTING_TIME_ZONE).date()


def history(moves: Iterable[TeamPlacement | CostCentrePlacement | FeatureOwnership]) -> list[Move]:
    """The moves of one subject in order, each up to the next."""
    ordered = sorted(moves, key=lambda move: move.valid_from or date.min)
    ends = [*(move.valid_from for move in ordered[1:]), None]
    return [Move(move.valid_from, end, _target_of(move)) for move, end in zip(ordered, ends, strict=False)]


def on(day: date, moves: Sequence[Move]) -> str | None:
    """Where a subject with this history belongs on that day."""
    standing = [move for move in moves if move.valid_from is None or move.valid_from <= day]
    return standing[-1].target if standing else None


def _target_of(move: TeamPlacement | CostCentrePlacement | FeatureOwnership) -> str | None:
    if isinstance(move, TeamPlacement):
        return move.cost_centre.slug if move.cost_centre else None
    if isinstance(move, CostCentrePlacement):
        return move.business_unit.slug if move.business_unit else None
    return move.team.slug if move.team else None


@transaction.atomic
def put_team(
    slug: str,
    *,
    actor: str,
    name: str | None = None,
    cost_centre: Said = UNSAID,
    business_unit: Said = UNSAID,
    effective_from: DaySaid = UNSAID,
) -> bool:
    """Make the team, or change what is said of it; True when it is new.

    A cost centre or business unit that is not there yet is made too. Unless a day is said, a first
    placement holds since ever and a move from today on. ``business_unit`` is where the cost centre
    belongs. Raises InvalidInput.
    """
    team = Team.objects.filter(slug=slug).first()
    if team is None:
        registry.create_team(slug, name=name, actor=actor)
    elif name:
        registry.rename(Team, slug, name, actor=actor)
    if cost_centre is not UNSAID:
        day = _day(effective_from, TeamPlacement.objects.filter(team__slug=slug).exists())
        if cost_centre is not None:
            _ensure(CostCentre, cost_centre, actor)
        ownership.place_team(slug, cost_centre, effective_from=day, actor=actor)
    if business_unit is not UNSAID:
        centre = cost_centre if cost_centre is not UNSAID else _current_cost_centre(slug)
        if centre is None:
            message = "A business unit is one of a cost centre: say the team's cost centre too."
            raise InvalidInput.field("business_unit", "no_cost_centre", message)
        put_cost_centre(centre, business_unit=business_unit, effective_from=effective_from, actor=actor)
    return team is None


@transaction.atomic
def put_cost_centre(
    slug: str,
    *,
    actor: str,
    name: str | None = None,
    business_unit: Said = UNSAID,
    effective_from: DaySaid = UNSAID,
) -> bool:
    """Make the cost centre, or change what is said of it; True when it is new."""
    is_new = not CostCentre.objects.filter(slug=slug).exists()
    if is_new:
        registry.create_cost_centre(slug, name=name, actor=actor)
    elif name:
        registry.rename(CostCentre, slug, name, actor=actor)
    if business_unit is not UNSAID:
        day = _day(effective_from, CostCentrePlacement.objects.filter(cost_centre__slug=slug).exists())
        if business_unit is not None:
            _ensure(BusinessUnit, business_unit, actor)
        ownership.place_cost_centre(slug, business_unit, effective_from=day, actor=actor)
    return is_new


@transaction.atomic
def put_business_unit(slug: str, *, actor: str, name: str | None = None) -> bool:
    """Make the business unit, or rename it; True when it is new."""
    is_new = not BusinessUnit.objects.filter(slug=slug).exists()
    if is_new:
        registry.create_business_unit(slug, name=name, actor=actor)
    elif name:
        registry.rename(BusinessUnit, slug, name, actor=actor)
    return is_new


@transaction.atomic
def put_feature(
    slug: str,
    *,
    actor: str,
    name: str | None = None,
    owner_team: Said = UNSAID,
    effective_from: DaySaid = UNSAID,
) -> bool:
    """Make the feature, or change what is said of it, and confirm its name; True when it is new."""
    is_new = not Feature.objects.filter(slug=slug).exists()
    if is_new:
        registry.create_feature(slug, name=name, actor=actor)
    else:
        registry.confirm(Feature, slug, actor=actor)
        if name:
            registry.rename(Feature, slug, name, actor=actor)
    if owner_team is not UNSAID:
        day = _day(effective_from, FeatureOwnership.objects.filter(feature__slug=slug).exists())
        ownership.own_feature(slug, owner_team, effective_from=day, actor=actor)
    return is_new


@transaction.atomic
def put_tier(slug: str, *, actor: str, name: str | None = None) -> bool:
    """Make the tier, or rename it, and confirm its name; True when it is new."""
    is_new = not Tier.objects.filter(slug=slug).exists()
    if is_new:
        registry.create_tier(slug, name=name, actor=actor)
    else:
        registry.confirm(Tier, slug, actor=actor)
        if name:
            registry.rename(Tier, slug, name, actor=actor)
    return is_new


def waiting_for_review() -> int:
    """How many feature and tier names came with events and nobody has looked at."""
    return sum(model._default_manager.filter(state=RegistryState.NEW).count() for model in (Feature, Tier))


def _day(said: DaySaid, has_history: bool) -> date | None:
    if said is not UNSAID:
        return said
    return today() if has_history else None


def _current_cost_centre(team: str) -> str | None:
    moves = TeamPlacement.objects.filter(team__slug=team).select_related("cost_centre")
    return on(today(), history(moves))


def _ensure(model: type[CostCentre | BusinessUnit], slug: str, actor: str) -> None:
    if model._default_manager.filter(slug=slug).exists():
        return
    if model is CostCentre:
        registry.create_cost_centre(slug, actor=actor)
    else:
        registry.create_business_unit(slug, actor=actor)
