"""Who may enter: people are added, changed and deactivated here, each time with an audit line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.urls import reverse

from finops.accounts import audit
from finops.accounts.models import Role, TeamMembership, User
from finops.core.errors import Conflict, FieldProblem, InvalidInput

# Whoever changes who is an administrator waits here, so that the last one cannot be lost in a race.
_PEOPLE_LOCK = 0x0F10_0001


@transaction.atomic
def add_person(
    email: str,
    *,
    role: str,
    actor: str,
    name: str = "",
    teams: Iterable[str] = (),
    password: str | None = None,
) -> User:
    """A new person; without a password they can enter once they have set one by link.

    Raises InvalidInput listing every problem, Conflict when the e-mail address is taken.
    """
    email = email.strip().lower()
    person = User(email=email, name=name.strip(), role=role)
    _check(person, password)
    if User.objects.filter(email__iexact=email).exists():
        raise Conflict(f"There is a person with the e-mail address {email} already.")
    person.set_password(password)
    person.save()
    _join(person, teams)
    audit.record(actor, "person.added", subject_kind="person", subject=email, after=_facts(person))
    return person


@transaction.atomic
def change_person(
    person_id: int,
    *,
    actor: str,
    role: str | None = None,
    name: str | None = None,
    teams: Iterable[str] | None = None,
    password: str | None = None,
    active: bool | None = None,
) -> User:
    """Change what is given, leave the rest; nothing is written when nothing changes.

    A new password ends the person's sessions. Raises InvalidInput, and Conflict when this would
    leave nobody who is an active administrator.
    """
    _lock_people()
    person = User.objects.select_for_update().get(pk=person_id)
    before = _facts(person)
    if role is not None:
        person.role = role
    if name is not None:
        person.name = name.strip()
    if active is not None:
        person.is_active = active
    _check(person, password)
    changed = {}
    if password is not None and not person.check_password(password):
        person.set_password(password)
        changed = {"password": "changed"}
    person.save(update_fields=["role", "name", "is_active", "password"])
    if teams is not None:
        _join(person, teams)
    after = {**_facts(person), **changed}
    if _administers(before) and not _administers(after):
        _check_an_administrator_is_left()
    if after != before:
        action = _action(before, after)
        audit.record(actor, action, subject_kind="person", subject=person.email, before=before, after=after)
    return person


@transaction.atomic
def change_profile(person: User, *, name: str, theme: str, shortcuts_enabled: bool) -> None:
    """What people set for themselves; an audit line only when something changed."""
    before = _profile(person)
    person.name, person.theme, person.shortcuts_enabled = name.strip(), theme, shortcuts_enabled
    after = _profile(person)
    if after == before:
        return
    person.save(update_fields=["name", "theme", "shortcuts_enabled"])
    audit.record(
        person.email,
        "person.profile_changed",
        subject_kind="person",
        subject=person.email,
        before=before,
        after=after,
    )


@transaction.atomic
def set_password(person: User, password: str, *, actor: str) -> None:
    """A new password, checked by the caller; it ends the person's other sessions."""
    person.set_password(password)
    person.save(update_fields=["password"])
    audit.record(
        actor,
        "person.changed",
        subject_kind="person",
        subject=person.email,
        before={},
        after={"password": "changed"},
    )


def password_link(person: User) -> str:
    """The path at which this person, once, sets a new password.

    It ends with its use, with their next sign-in, and after PASSWORD_RESET_TIMEOUT seconds.
    """
    return reverse(
        "account_reset_password_from_key",
        kwargs={"uidb36": user_pk_to_url_str(person), "key": default_token_generator.make_token(person)},
    )


def note_password_link(person: User, *, actor: str) -> None:
    """The audit line of somebody being given a link that lets them in."""
    audit.record(actor, "person.password_link_made", subject_kind="person", subject=person.email)


def team_names(person: User) -> list[str]:
    """The person's teams now, in order; one query."""
    return sorted(person.memberships.values_list("team", flat=True))


def password_problems(password: str, person: User) -> list[str]:
    """What is wrong with a password for this person; empty when nothing is."""
    try:
        validate_password(password, person)
    except ValidationError as error:
        return list(error.messages)
    return []


def _check(person: User, password: str | None) -> None:
    problems = []
    try:
        validate_email(person.email)
    except ValidationError:
        problems.append(FieldProblem("email", "invalid", f"Not an e-mail address: {person.email}."))
    if person.role not in Role.values:
        known = ", ".join(Role.values)
        problems.append(FieldProblem("role", "invalid", f"No such role: {person.role}. Known: {known}."))
    if password is not None:
        problems += [
            FieldProblem("password", "invalid", text) for text in password_problems(password, person)
        ]
    if problems:
        raise InvalidInput(" ".join(problem.message for problem in problems), problems)


def _join(person: User, teams: Iterable[str]) -> None:
    wanted, have = set(teams), set(person.memberships.values_list("team", flat=True))
    person.memberships.filter(team__in=have - wanted).delete()
    TeamMembership.objects.bulk_create(TeamMembership(user=person, team=team) for team in wanted - have)


def _lock_people() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PEOPLE_LOCK])


def _administers(facts: dict[str, Any]) -> bool:
    return bool(facts["active"]) and facts["role"] == Role.ADMIN


def _check_an_administrator_is_left() -> None:
    if not User.objects.filter(role=Role.ADMIN, is_active=True).exists():
        raise Conflict("Somebody has to stay an active administrator: make another one first.")


def _action(before: dict[str, Any], after: dict[str, Any]) -> str:
    if before["active"] != after["active"]:
        return "person.activated" if after["active"] else "person.deactivated"
    return "person.changed"


def _profile(person: User) -> dict[str, Any]:  # Any: JSON
    return {"name": person.name, "theme": person.theme, "shortcuts_enabled": person.shortcuts_enabled}


def _facts(person: User) -> dict[str, Any]:  # Any: JSON
    """What the audit log remembers of a person: never a password, nor the hash of it."""
    return {
        "email": person.email,
        "name": person.name,
        "role": person.role,
        "teams": team_names(person),
        "active": person.is_active,
    }
