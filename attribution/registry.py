"""The names of the organisation: teams are made by people, features and tiers may come with events."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from django.db import IntegrityError, connection, models, transaction

from attribution import ownership
from attribution.models import BusinessUnit, CostCentre, Feature, RegistryState, Team, Tier
from finops.accounts import audit
from finops.core.errors import Conflict, FieldProblem, InvalidInput

LONGEST_SLUG = 128
LONGEST_NAME = 200

Entry = TypeVar("Entry", BusinessUnit, CostCentre, Team, Feature, Tier)
Reviewed = TypeVar("Reviewed", Feature, Tier)


def register_names(features: Iterable[str], tiers: Iterable[str], at: datetime) -> None:
    """Put feature and tier names that events brought in into the registry, for review.

    Known names are left alone. Runs inside the caller's transaction; the order of the names is
    fixed, so that two writers cannot wait for each other.
    """
    for model, names in ((Feature, features), (Tier, tiers)):
        slugs = sorted({name for name in names if name})
        if slugs:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {model._meta.db_table} (slug, name, state, first_seen_at)"
                    " SELECT slug, slug, %s, %s FROM unnest(%s::text[]) slug ORDER BY slug"
                    " ON CONFLICT (slug) DO NOTHING",
                    [RegistryState.NEW.value, at, slugs],
                )


def ensure_team(slug: str, *, actor: str, name: str | None = None) -> Team:
    """The team of that slug, made if it is not there; then events tagged with it become its own."""
    return Team.objects.filter(slug=slug).first() or create_team(slug, name=name, actor=actor)


@transaction.atomic
def create_team(slug: str, *, actor: str, name: str | None = None) -> Team:
    """A new team; earlier calls tagged with its slug are its own from now on. Raises Conflict."""
    known_from = ownership.lock()
    team = _create(Team, slug, name, actor, {})
    ownership.reattribute(known_from, teams=[slug])
    return team


@transaction.atomic
def create_cost_centre(slug: str, *, actor: str, name: str | None = None) -> CostCentre:
    """A new cost centre, in no business unit yet. Raises Conflict."""
    return _create(CostCentre, slug, name, actor, {})


@transaction.atomic
def create_business_unit(slug: str, *, actor: str, name: str | None = None) -> BusinessUnit:
    """A new business unit. Raises Conflict."""
    return _create(BusinessUnit, slug, name, actor, {})


@transaction.atomic
def create_feature(slug: str, *, actor: str, name: str | None = None) -> Feature:
    """A new feature, confirmed, without owner. Raises Conflict."""
    return _create(Feature, slug, name, actor, {"state": RegistryState.CONFIRMED})


@transaction.atomic
def create_tier(slug: str, *, actor: str, name: str | None = None) -> Tier:
    """A new tier, confirmed. Raises Conflict."""
    return _create(Tier, slug, name, actor, {"state": RegistryState.CONFIRMED})


@transaction.atomic
def rename(model: type[Entry], slug: str, name: str, *, actor: str) -> Entry:
    """Change the name people read; the slug stays for good. Raises NotFound, InvalidInput."""
    entry = ownership.find(model, slug)
    before, entry.name = entry.name, _checked_name(name, slug)
    if before != entry.name:
        entry.save(update_fields=["name"])
        _record(actor, "renamed", entry, {"name": before}, {"name": entry.name})
    return entry


@transaction.atomic
def confirm(model: type[Reviewed], slug: str, *, actor: str) -> Reviewed:
    """Say that a name which events brought in is a good one. Raises NotFound."""
    entry = ownership.find(model, slug)
    if entry.state != RegistryState.CONFIRMED:
        before, entry.state = entry.state, RegistryState.CONFIRMED
        entry.save(update_fields=["state"])
        _record(actor, "confirmed", entry, {"state": before}, {"state": entry.state})
    return entry


def _create(model: type[Entry], slug: str, name: str | None, actor: str, fields: dict[str, Any]) -> Entry:
    _check_slug(slug)
    entry = model(slug=slug, name=_checked_name(name, slug), **fields)
    try:
        with transaction.atomic():
            entry.save(force_insert=True)
    except IntegrityError as error:
        message = f'There is already a {_kind(entry)} "{slug}".'
        raise Conflict(message, [FieldProblem("slug", "taken", message)]) from error
    _record(actor, "created", entry, None, {"slug": slug, "name": entry.name})
    return entry


def _check_slug(slug: str) -> None:
    printable = all(not unicodedata.category(letter).startswith("C") for letter in slug)
    if not slug or len(slug) > LONGEST_SLUG or slug != slug.strip() or not printable:
        raise InvalidInput.field(
            "slug", "invalid", f"A slug is 1 to {LONGEST_SLUG} printable characters, no spaces around it."
        )


def _checked_name(name: str | None, slug: str) -> str:
    chosen = (name or slug).strip()
    if not chosen or len(chosen) > LONGEST_NAME:
        raise InvalidInput.field("name", "invalid", f"A name is 1 to {LONGEST_NAME} characters.")
    return chosen


def _kind(entry: models.Model) -> str:
    return str(entry._meta.verbose_name)


def _record(
    actor: str,
    change: str,
    entry: BusinessUnit | CostCentre | Team | Feature | Tier,
    before: dict[str, Any] | None,
    after: dict[str, Any],
) -> None:
    action = f"{_kind(entry).replace(' ', '_')}.{change}"
    audit.record(actor, action, subject_kind=_kind(entry), subject=entry.slug, before=before, after=after)
