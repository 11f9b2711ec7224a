"""The life of an API key: made, rotated, revoked, each with its line in the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from finops.accounts import audit
from finops.accounts.models import ApiKey, ApiKeyQuerySet, Role, Scope, User
from finops.accounts.permissions import ROLE_SCOPES, Capability, Principal, principal_of_person
from finops.core.errors import Conflict, FieldProblem, InvalidInput, NotAllowed

GRACES = (timedelta(0), timedelta(hours=24), timedelta(days=7))
LONGEST_NAME = 128


@transaction.atomic
def create_key(
    name: str,
    scopes: Iterable[str],
    *,
    actor: str,
    team: str = "",
    source: str = "",
    created_by: User | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is shown once and never to be had again.

    Raises InvalidInput listing every problem with its name, scopes, source or expiry.
    """
    asked = list(scopes)
    _check(name, asked, source=source, expires_at=expires_at)
    in_order = [scope.value for scope in Scope if scope in asked]
    key, secret = ApiKey.issue(
        name, in_order, team=team, source=source, created_by=created_by, expires_at=expires_at
    )
    audit.record(actor, "api_key.created", subject_kind="api_key", subject=_title(key), after=_facts(key))
    return key, secret


@transaction.atomic
def rotate_key(key_id: int, *, actor: str, grace: timedelta) -> tuple[ApiKey, str]:
    """A successor with the same name, scopes, team and source; the old key works until ``grace`` is over.

    The successor keeps the old key's expiry date, and whose it is. Raises Conflict when the old key
    is not active, or has been rotated before.
    """
    old = ApiKey.objects.select_for_update().get(pk=key_id)
    now = timezone.now()
    _check_active(old, now)
    if ApiKey.objects.active().filter(rotated_from=old).exists():
        raise Conflict(f"The key {old.name} ({old.prefix}) has been rotated before: rotate its successor.")
    before = _facts(old)
    key, secret = ApiKey.issue(
        old.name,
        old.scopes,
        team=old.team,
        source=old.source,
        created_by=old.created_by,
        expires_at=old.expires_at,
        rotated_from=old,
    )
    if grace:
        old.expires_at = min(filter(None, (old.expires_at, now + grace)))
    else:
        old.revoked_at = now
    old.save(update_fields=["expires_at", "revoked_at"])
    after = {**_facts(old), "successor": _title(key)}
    audit.record(
        actor, "api_key.rotated", subject_kind="api_key", subject=_title(old), before=before, after=after
    )
    return key, secret


@transaction.atomic
def revoke_key(key_id: int, *, actor: str) -> ApiKey:
    """End a key at once (every process knows within seconds). Raises Conflict when it is not active."""
    key = ApiKey.objects.select_for_update().get(pk=key_id)
    now = timezone.now()
    _check_active(key, now)
    before = _facts(key)
    key.revoked_at = now
    key.save(update_fields=["revoked_at"])
    audit.record(
        actor,
        "api_key.revoked",
        subject_kind="api_key",
        subject=_title(key),
        before=before,
        after=_facts(key),
    )
    return key


def keys_visible_to(user: User) -> ApiKeyQuerySet:
    """For most roles all keys; for a lead those of their teams, for an engineer those of them they made."""
    person = principal_of_person(user)
    keys = ApiKey.objects.select_related("created_by")
    if person.may(Capability.VIEW_ALL_KEYS):
        return keys
    if not person.may(Capability.MANAGE_OWN_KEYS):
        return keys.none()
    mine = keys.filter(team__in=user.team_slugs)
    return mine if user.role == Role.LEAD else mine.filter(created_by=user)


def may_create(person: Principal) -> bool:
    """Whether a person may make keys: for any team, or for one of their own."""
    if person.may(Capability.MANAGE_KEYS):
        return True
    return person.may(Capability.MANAGE_OWN_KEYS) and bool(person.visible_teams)


def may_rotate(person: Principal, key: ApiKey) -> bool:
    """Whoever rotates holds the new secret, so they must hold every scope of it themselves."""
    return may_revoke(person, key) and set(key.scopes) <= person.scopes


def may_revoke(person: Principal, key: ApiKey) -> bool:
    """Any key for those who manage keys; for the rest those that ``keys_visible_to`` gave them."""
    return person.may(Capability.MANAGE_KEYS) or (
        person.may(Capability.MANAGE_OWN_KEYS) and key.team != "" and person.sees(key.team)
    )


def check_may_hand_out(person: Principal, scopes: Sequence[str], team: str) -> None:
    """Raises NotAllowed when a person asks for a key that can more than they can."""
    beyond = [scope for scope in scopes if scope not in person.scopes]
    if beyond:
        raise NotAllowed(f"Your role ({person.role}) may not hand out: {', '.join(beyond)}.")
    if not person.may(Capability.MANAGE_KEYS) and not (team and person.sees(team)):
        raise NotAllowed("Your keys are bound to one of your teams.")


def scopes_of_role(role: str) -> list[Scope]:
    """What a person of this role may hand out, in the order of the list."""
    return [scope for scope in Scope if scope in ROLE_SCOPES[role]]


def _check(name: str, scopes: list[str], *, source: str, expires_at: datetime | None) -> None:
    problems = []
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        problems.append(("name", f"A name of 1 to {LONGEST_NAME} printable characters."))
    unknown = [scope for scope in scopes if scope not in Scope.values]
    if unknown:
        problems.append(("scopes", f"No such scope: {', '.join(unknown)}. Known: {', '.join(Scope.values)}."))
    elif not scopes:
        problems.append(("scopes", "At least one scope."))
    if len(source) > LONGEST_NAME or not source.isprintable():
        problems.append(("source", f"At most {LONGEST_NAME} printable characters."))
    if expires_at is not None and expires_at <= timezone.now():
        problems.append(("expires_at", "Must be in the future."))
    if problems:
        fields = [FieldProblem(field, "invalid", message) for field, message in problems]
        raise InvalidInput(" ".join(message for _, message in problems), fields)


def _check_active(key: ApiKey, now: datetime) -> None:
    if key.revoked_at is not None:
        raise Conflict(
            f"The key {key.name} ({key.prefix}) was revoked on {key.revoked_at:%d %b %Y %H:%M} UTC."
        )
    if key.expires_at is not None and key.expires_at <= now:
        raise Conflict(f"The key {key.name} ({key.prefix}) expired on {key.expires_at:%d %b %Y %H:%M} UTC.")


def _title(key: ApiKey) -> str:
    return f"{key.name} ({key.prefix})"


def _facts(key: ApiKey) -> dict[str, Any]:  # Any: JSON
    """What the audit log remembers of a key: never its secret, nor the hash of it."""
    return {
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "team": key.team,
        "source": key.source,
        "expires_at": _moment(key.expires_at),
        "revoked_at": _moment(key.revoked_at),
    }


def _moment(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
