"""The five kinds of name that Ownership sets up, and what differs between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from attribution import organisation, ownership, registry
from attribution.models import BusinessUnit, CostCentre, Feature, RegistryState, Team, Tier
from attribution.organisation import Move
from attribution.views.names import NOTHING, Names

Model = type[Team] | type[CostCentre] | type[BusinessUnit] | type[Feature] | type[Tier]


@dataclass(frozen=True, slots=True)
class Placing:
    """Where a kind belongs: ``dimension`` is that of the owner, ``history`` the model's way to its moves."""

    label: str
    dimension: str
    target: Model
    history: str
    move: Callable[..., Any]
    verb: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. ``dimension`` is its own in the reports; ``tab`` the tab that lists it."""

    slug: str
    title: str
    plural: str
    dimension: str
    tab: str
    model: Model
    create: Callable[..., Any]
    rename: Callable[..., Any]
    placing: Placing | None = None
    # Says that a name which events brought in is right; None where only people make names.
    confirm: Callable[..., Any] | None = None

    @property
    def is_reviewed(self) -> bool:
        """Whether events bring in names of this kind."""
        return self.confirm is not None

    @property
    def audit_kind(self) -> str:
        """What the audit log calls it."""
        return str(self.model._meta.verbose_name)


KINDS: Mapping[str, Kind] = {
    kind.slug: kind
    for kind in (
        Kind(
            slug="team",
            title="Team",
            plural="teams",
            dimension="team",
            tab="teams",
            model=Team,
            create=registry.create_team,
            rename=partial(registry.rename, Team),
            placing=Placing(
                "Cost centre",
                "cost_centre",
                CostCentre,
                "placements__cost_centre",
                ownership.place_team,
                "belongs to",
            ),
        ),
        Kind(
            slug="feature",
            title="Feature",
            plural="features",
            dimension="feature",
            tab="features",
            model=Feature,
            create=registry.create_feature,
            rename=partial(registry.rename, Feature),
            placing=Placing("Owner", "team", Team, "ownerships__team", ownership.own_feature, "is owned by"),
            confirm=partial(registry.confirm, Feature),
        ),
        Kind(
            slug="tier",
            title="Tier",
            plural="tiers",
            dimension="tier",
            tab="tiers",
            model=Tier,
            create=registry.create_tier,
            rename=partial(registry.rename, Tier),
            confirm=partial(registry.confirm, Tier),
        ),
        Kind(
            slug="cost-centre",
            title="Cost centre",
            plural="cost centres",
            dimension="cost_centre",
            tab="cost-centres",
            model=CostCentre,
            create=registry.create_cost_centre,
            rename=partial(registry.rename, CostCentre),
            placing=Placing(
                "Business unit",
                "business_unit",
                BusinessUnit,
                "placements__business_unit",
                ownership.place_cost_centre,
                "belongs to",
            ),
        ),
        Kind(
            slug="business-unit",
            title="Business unit",
            plural="business units",
            dimension="business_unit",
            tab="cost-centres",
            model=BusinessUnit,
            create=registry.create_business_unit,
            rename=partial(registry.rename, BusinessUnit),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Owned:
    """One name, where it belongs today, since when (None: ever), and its whole history."""

    kind: Kind
    entry: Any  # one of five models that share slug and name, not a base class
    target: str | None
    since: date | None
    moves: Sequence[Move]

    @property
    def is_new(self) -> bool:
        return getattr(self.entry, "state", None) == RegistryState.NEW

    @property
    def coming(self) -> Move | None:
        """The next move, where one is planned."""
        later = [move for move in self.moves if move.valid_from and move.valid_from > organisation.today()]
        return later[0] if later else None

    @property
    def page(self) -> str:
        """Its page of costs, "" where it has none: a page's address has no place for a slash."""
        has_page = self.kind.slug in ("team", "feature", "tier") and "/" not in self.entry.slug
        return f"attribution:{self.kind.slug}" if has_page else ""


def owned(kind: Kind, slug: str | None = None) -> list[Owned]:
    """All of a kind, or the one of that slug, as they stand today. At most three queries."""
    rows = kind.model._default_manager.all()
    if slug is not None:
        rows = rows.filter(slug=slug)
    if kind.placing:
        rows = rows.prefetch_related(kind.placing.history)
    return [_as_it_stands(kind, entry) for entry in rows]


def nothing(kind: Kind) -> str:
    """How it reads that one of this kind belongs nowhere."""
    assert kind.placing is not None
    return "Nobody" if kind.placing.dimension == "team" else NOTHING[kind.placing.dimension]


def label_of(names: Names, kind: Kind, target: str | None) -> str:
    """Where one of this kind belongs, in words."""
    assert kind.placing is not None
    return nothing(kind) if target is None else names.label(kind.placing.dimension, target)


def _as_it_stands(kind: Kind, entry: Any) -> Owned:  # Any: as above
    moves: list[Move] = []
    if kind.placing:
        relation = kind.placing.history.partition("__")[0]
        moves = organisation.history(getattr(entry, relation).all())
    today = organisation.today()
    standing = [move for move in moves if move.valid_from is None or move.valid_from <= today]
    last = standing[-1] if standing else None
    return Owned(kind, entry, last.target if last else None, last.valid_from if last else None, moves)
