"""Who owns what from which day, and what that makes of every dimension set.

A change takes effect at the start of a reporting day and is known from the moment it is made. Rows
of ``attribution`` are superseded, never changed, so what was known at any time can be asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from django.db import connection, models, transaction

from attribution.models import (
    BusinessUnit,
    CostCentre,
    CostCentrePlacement,
    Feature,
    FeatureOwnership,
    Team,
    TeamPlacement,
    Tier,
)
from attribution.ownership_sql import REATTRIBUTE
from finops.accounts import audit
from finops.core.errors import FieldProblem, InvalidInput, NotFound

Named = TypeVar("Named", BusinessUnit, CostCentre, Team, Feature, Tier)
Move = TypeVar("Move", TeamPlacement, CostCentrePlacement, FeatureOwnership)

# Whoever changes ownership holds this lock alone; whoever adds dimension sets shares it. So a set is
# attributed either by the change (it was committed before) or by itself (it sees the change).
_LOCK = "hashtext('attribution.ownership')"


def attribute_new_sets(dimension_set_ids: Sequence[int]) -> None:
    """Attribute sets just inserted by the same transaction: known since ever.

    Call it in the transaction that creates the sets; that transaction should end soon, for it keeps
    ownership from changing meanwhile.
    """
    if not dimension_set_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
        _run(cursor, "ds.id = ANY(%(ids)s)", {"ids": list(dimension_set_ids)}, None)


def lock() -> datetime:
    """Let nobody else change ownership until the transaction ends; returns the knowledge time.

    The time is read after the lock was given, so that knowledge times follow the order of changes.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        cursor.execute("SELECT clock_timestamp()")
        known_from: datetime = cursor.fetchone()[0]
    return known_from


# Tagging rules give sets a team or a feature that they do not name.
_TOUCHED = """
    ds.team = ANY(%(teams)s) OR ds.key_team = ANY(%(teams)s) OR ds.feature = ANY(%(features)s)
    OR ds.id IN (
        SELECT dimension_set_id FROM attribution
        WHERE known_to IS NULL AND (team = ANY(%(teams)s) OR feature = ANY(%(features)s))
    )
"""


def reattribute(known_from: datetime, *, teams: Iterable[str] = (), features: Iterable[str] = ()) -> int:
    """Recompute the sets that these teams or features can touch; returns how many rows are new.

    One statement: rows that no longer hold are closed at ``known_from``, rows that still hold stay.
    Call it holding ``lock``.
    """
    teams = list(teams)
    touched = set(features)
    touched.update(
        FeatureOwnership.objects.filter(team__slug__in=teams).values_list("feature__slug", flat=True)
    )
    with connection.cursor() as cursor:
        return _run(cursor, _TOUCHED, {"teams": teams, "features": list(touched)}, known_from)


def reattribute_sets(known_from: datetime, where: str, parameters: dict[str, Any]) -> int:
    """Recompute the sets for which a condition on ``dimension_set ds`` holds; as ``reattribute`` does."""
    # Any: whatever the driver adapts
    with connection.cursor() as cursor:
        return _run(cursor, where, parameters, known_from)


def reattribute_all(known_from: datetime) -> int:
    """Recompute every set; returns how many rows are new (none, unless something was amiss)."""
    return reattribute_sets(known_from, "true", {})


def _run(cursor: Any, where: str, parameters: dict[str, Any], known_from: datetime | None) -> int:
    # Any: Django's cursor wrapper has no public type.
    cursor.execute(REATTRIBUTE.format(sets=where), {**parameters, "known_from": known_from})
    fresh: int = cursor.fetchone()[0]
    return fresh


@transaction.atomic
def place_team(
    team: str, cost_centre: str | None, *, effective_from: date | None = None, actor: str
) -> TeamPlacement:
    """From that reporting day (None: since ever) the team belongs to the cost centre (None: to none).

    It holds until the team's next move. Raises NotFound for an unknown team, InvalidInput for an
    unknown cost centre.
    """
    known_from = lock()
    subject = find(Team, team)
    target = _target(CostCentre, cost_centre, "cost_centre")
    placement, before = _move(TeamPlacement, "team", subject, "cost_centre", target, day=effective_from)
    _record(
        actor, "team.moved", subject, field="cost_centre", before=before, target=target, day=effective_from
    )
    reattribute(known_from, teams=[team])
    return placement


@transaction.atomic
def place_cost_centre(
    cost_centre: str, business_unit: str | None, *, effective_from: date | None = None, actor: str
) -> CostCentrePlacement:
    """From that reporting day (None: since ever) the cost centre belongs to the business unit."""
    known_from = lock()
    subject = find(CostCentre, cost_centre)
    target = _target(BusinessUnit, business_unit, "business_unit")
    placement, before = _move(
        CostCentrePlacement, "cost_centre", subject, "business_unit", target, day=effective_from
    )
    _record(
        actor,
        "cost_centre.moved",
        subject,
        field="business_unit",
        before=before,
        target=target,
        day=effective_from,
    )
    teams = TeamPlacement.objects.filter(cost_centre=subject).values_list("team__slug", flat=True)
    reattribute(known_from, teams=set(teams))
    return placement


@transaction.atomic
def own_feature(
    feature: str, team: str | None, *, effective_from: date | None = None, actor: str
) -> FeatureOwnership:
    """From that reporting day (None: since ever) the feature's untagged calls belong to the team."""
    known_from = lock()
    subject = find(Feature, feature)
    target = _target(Team, team, "owner_team")
    ownership, before = _move(FeatureOwnership, "feature", subject, "team", target, day=effective_from)
    _record(
        actor, "feature.moved", subject, field="owner_team", before=before, target=target, day=effective_from
    )
    reattribute(known_from, features=[feature])
    return ownership


def find(model: type[Named], slug: str) -> Named:
    """The registry row of that slug. Raises NotFound."""
    found = model._default_manager.filter(slug=slug).first()
    if found is None:
        raise NotFound(f'There is no {model._meta.verbose_name} "{slug}".')
    return found


def _target(model: type[Named], slug: str | None, field: str) -> Named | None:
    if slug is None:
        return None
    found = model._default_manager.filter(slug=slug).first()
    if found is None:
        message = f'There is no {model._meta.verbose_name} "{slug}".'
        raise InvalidInput(message, [FieldProblem(field, "unknown", message)])
    return found


def _move(
    history: type[Move],
    subject_field: str,
    subject: models.Model,
    target_field: str,
    target: models.Model | None,
    *,
    day: date | None,
) -> tuple[Move, str | None]:
    """Write the move; returns its row and the slug of what held on that day before."""
    moves = history._default_manager.filter(**{subject_field: subject}).select_related(target_field)
    earlier = [move for move in moves if move.valid_from is None or (day and move.valid_from <= day)]
    standing = max(earlier, key=lambda move: move.valid_from or date.min, default=None)
    held = getattr(standing, target_field) if standing else None
    if standing and standing.valid_from == day:
        setattr(standing, target_field, target)
        standing.save(update_fields=[target_field])
        return standing, held.slug if held else None
    if standing and held == target:
        return standing, held.slug if held else None
    row = history(**{subject_field: subject, target_field: target, "valid_from": day})
    row.save()
    return row, held.slug if held else None


def _record(
    actor: str,
    action: str,
    subject: Team | CostCentre | Feature,
    *,
    field: str,
    before: str | None,
    target: BusinessUnit | CostCentre | Team | None,
    day: date | None,
) -> None:
    audit.record(
        actor,
        action,
        subject_kind=str(subject._meta.verbose_name),
        subject=subject.slug,
        before={field: before},
        after={field: target.slug if target else None, "from": day.isoformat() if day else None},
    )
