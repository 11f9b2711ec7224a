"""The table of roles, scopes and capabilities, and who sees which teams."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from finops.accounts.authentication import Unauthenticated
from finops.accounts.models import ApiKey, Role, Scope, User
from finops.accounts.permissions import (
    ORGANISATION_WIDE,
    ROLE_CAPABILITIES,
    SCOPE_OF,
    Capability,
    principal_of,
    principal_of_key,
    principal_of_person,
)
from finops.core.errors import NotAllowed
from tests.accounts.conftest import AddKey, AddPerson

A, F, P, L, E, V = Role.ADMIN, Role.FINANCE, Role.PLATFORM, Role.LEAD, Role.ENGINEER, Role.VIEWER

# What each role may, as the roles of the handbook say it.
TABLE: dict[Capability, set[Role]] = {
    Capability.VIEW_COSTS: {A, F, P, L, E, V},
    Capability.VIEW_CONTRACTED_PRICES: {A, F, P, L, V},
    Capability.SEND_EVENTS: {A, P},
    Capability.REPLAY_QUARANTINE: {A, F, P},
    Capability.IMPORT_FILES: {A, F, P},
    Capability.RECORD_OUTCOMES: {A, F, P},
    Capability.EDIT_PRICES: {A, F, P},
    Capability.EDIT_OWNERSHIP: {A, F, P},
    Capability.PROPOSE_OWNERSHIP: {A, F, P, L},
    Capability.EDIT_BUDGETS: {A, F, L},
    Capability.APPROVE_BUDGETS: {A, F},
    Capability.HANDLE_ALERTS: {A, F, P, L, E},
    Capability.EDIT_ALERT_RULES: {A, F, P, L},
    Capability.EDIT_CHANNELS: {A, P},
    Capability.CLOSE_PERIODS: {A, F},
    Capability.USE_GATEWAY: {A, P},
    Capability.EDIT_POOLS: {A, P},
    Capability.MANAGE_OWN_KEYS: {A, P, L, E},
    Capability.VIEW_ALL_KEYS: {A, F, P, V},
    Capability.MANAGE_KEYS: {A, P},
    Capability.MANAGE_PEOPLE: {A},
    Capability.VIEW_AUDIT: {A, F, P, V},
}


def test_each_role_may_what_the_table_says() -> None:
    found = {
        capability: {role for role in Role if capability in ROLE_CAPABILITIES[role]}
        for capability in Capability
    }

    assert found == TABLE


def test_every_capability_has_a_scope() -> None:
    assert set(SCOPE_OF) == set(Capability)


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_may_what_its_scope_gives(scope: Scope) -> None:
    caller = principal_of_key(ApiKey(pk=1, name="ci", scopes=[scope]))

    expected = {one for one, needed in SCOPE_OF.items() if scope in (needed, Scope.ADMIN)}
    assert caller.capabilities == expected
    assert caller.may(scope)
    assert caller.visible_teams is None


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_of_a_team_sees_that_team_and_changes_nothing_for_all(scope: Scope) -> None:
    caller = principal_of_key(ApiKey(pk=1, name="ci", scopes=[scope], team="search"))

    assert caller.visible_teams == frozenset({"search"})
    assert caller.sees("search")
    assert not caller.sees("support")
    assert not caller.sees(None)
    assert not caller.capabilities & ORGANISATION_WIDE


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "without_team", "with_team"),
    [
        (A, None, None),
        (F, None, None),
        (P, None, None),
        (V, None, {"search"}),
        (L, set(), {"search"}),
        (E, set(), {"search"}),
    ],
)
def test_who_sees_which_teams(
    person: AddPerson,
    teams: list[str],
    role: Role,
    without_team: set[str] | None,
    with_team: set[str] | None,
) -> None:
    alone = principal_of_person(person(role, email="alone@example.com"))
    member = principal_of_person(person(role, "search", email="member@example.com"))

    assert alone.visible_teams == without_team
    assert member.visible_teams == with_team


@pytest.mark.django_db
def test_a_viewer_of_some_teams_reads_neither_all_keys_nor_the_audit_log(
    person: AddPerson, teams: list[str]
) -> None:
    viewer = principal_of_person(person(V, "search"))

    assert viewer.capabilities == {Capability.VIEW_COSTS, Capability.VIEW_CONTRACTED_PRICES}


@pytest.mark.django_db
def test_a_refusal_names_the_roles_or_the_scope_that_may(engineer: User) -> None:
    with pytest.raises(NotAllowed, match=r"needs edit_prices \(roles: admin, finance, platform\).*engineer"):
        principal_of_person(engineer).require("edit_prices")

    with pytest.raises(NotAllowed, match="a key with the scope write; this one has: read"):
        principal_of_key(ApiKey(pk=1, name="ci", scopes=["read"])).require("edit_prices")


@pytest.mark.django_db
def test_a_plain_view_knows_a_key_by_its_header_and_a_stranger_not_at_all(key: AddKey) -> None:
    row, secret = key("read")
    known = RequestFactory().get("/", headers={"authorization": f"Bearer {secret}"})
    stranger = RequestFactory().get("/")
    stranger.user = None  # type: ignore[assignment]

    assert principal_of(known).identity == f"key {row.pk}"
    with pytest.raises(Unauthenticated):
        principal_of(stranger)


@pytest.mark.django_db
def test_a_plain_view_takes_a_session_for_writing_only_after_the_csrf_check(admin: User) -> None:
    request = RequestFactory().post("/")
    request.user = admin
    with pytest.raises(Unauthenticated):
        principal_of(request)

    request.csrf_processing_done = True  # type: ignore[attr-defined]  # as the middleware notes it
    assert principal_of(request).label == "admin@example.com"
