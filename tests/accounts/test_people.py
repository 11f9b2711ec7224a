"""People are added, changed and deactivated, each time with an audit line."""

from __future__ import annotations

import pytest

from finops.accounts.models import AuditEntry, Role, Theme, User
from finops.accounts.people import add_person, change_person, change_profile, team_names
from finops.core.errors import Conflict, InvalidInput
from tests.accounts.conftest import PASSWORD, AddPerson

pytestmark = pytest.mark.django_db


def last_entry() -> AuditEntry:
    entry = AuditEntry.objects.first()
    assert entry is not None
    return entry


def test_a_new_person_is_audited_without_the_password() -> None:
    add_person(
        " Ada@Example.COM ", role="lead", teams=["search"], actor="boss@example.com", password=PASSWORD
    )

    ada = User.objects.get()
    assert ada.email == "ada@example.com"
    assert ada.check_password(PASSWORD)
    entry = last_entry()
    assert (entry.actor, entry.action, entry.subject) == (
        "boss@example.com",
        "person.added",
        "ada@example.com",
    )
    assert entry.after == {
        "email": "ada@example.com",
        "name": "",
        "role": "lead",
        "teams": ["search"],
        "active": True,
    }


def test_everything_wrong_with_a_person_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as refusal:
        add_person("nobody", role="boss", actor="me", password="12345")

    assert {problem.field for problem in refusal.value.problems} == {"email", "role", "password"}


def test_an_address_is_taken_whatever_its_case(admin: User) -> None:
    with pytest.raises(Conflict):
        add_person("ADMIN@example.com", role="viewer", actor="me")


def test_a_change_of_role_and_teams_says_before_and_after(engineer: User, admin: User) -> None:
    change_person(engineer.pk, role=Role.LEAD, teams=["support"], actor="admin@example.com")

    entry = last_entry()
    assert entry.action == "person.changed"
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["role"], entry.after["role"]) == ("engineer", "lead")
    assert (entry.before["teams"], entry.after["teams"]) == (["search"], ["support"])
    assert team_names(engineer) == ["support"]


def test_nothing_is_audited_when_nothing_changes(engineer: User) -> None:
    before = AuditEntry.objects.count()

    change_person(engineer.pk, role="engineer", teams=["search"], active=True, actor="me")

    assert AuditEntry.objects.count() == before


def test_a_new_password_is_audited_as_a_fact_only(engineer: User) -> None:
    change_person(engineer.pk, password=PASSWORD, actor="me")

    entry = last_entry()
    assert entry.after is not None
    assert entry.after["password"] == "changed"
    assert PASSWORD not in str(entry.after)


def test_the_last_administrator_stays_one(admin: User, person: AddPerson) -> None:
    for change in ({"role": "viewer"}, {"active": False}):
        with pytest.raises(Conflict, match="Somebody has to stay"):
            change_person(admin.pk, actor="me", **change)
    person(Role.ADMIN, email="second@example.com")

    change_person(admin.pk, active=False, actor="me")

    assert last_entry().action == "person.deactivated"


def test_what_people_set_for_themselves_is_audited_once(engineer: User) -> None:
    for _ in range(2):
        change_profile(engineer, name="Eve", theme=Theme.DARK, shortcuts_enabled=False)

    entry = AuditEntry.objects.get(action="person.profile_changed")
    assert entry.before == {"name": "", "theme": "system", "shortcuts_enabled": True}
    assert entry.after == {"name": "Eve", "theme": "dark", "shortcuts_enabled": False}
