"""People and keys that the tests of accounts share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from attribution import registry
from finops.accounts.authentication import forget_keys
from finops.accounts.models import ApiKey, Role, User
from finops.accounts.people import add_person
from finops.core import outage

PASSWORD = "correct horse 42 battery"
AddPerson = Callable[..., User]
AddKey = Callable[..., tuple[ApiKey, str]]


@pytest.fixture(autouse=True)
def _forgotten_keys() -> Iterator[None]:
    forget_keys()
    outage.forget()
    yield
    outage.forget()
    forget_keys()


@pytest.fixture
def teams(db: None) -> list[str]:
    for slug in ("search", "support"):
        registry.ensure_team(slug, actor="test")
    return ["search", "support"]


@pytest.fixture
def person(db: None) -> AddPerson:
    """Adds a person of a role; their password is PASSWORD only when asked for: hashing is slow."""

    def add(role: str, *teams: str, email: str = "", password: str | None = None) -> User:
        address = email or f"{role}@example.com"
        return add_person(address, role=role, teams=teams, actor="test", password=password)

    return add


@pytest.fixture
def admin(person: AddPerson) -> User:
    return person(Role.ADMIN)


@pytest.fixture
def lead(person: AddPerson, teams: list[str]) -> User:
    return person(Role.LEAD, "search")


@pytest.fixture
def engineer(person: AddPerson, teams: list[str]) -> User:
    return person(Role.ENGINEER, "search")


@pytest.fixture
def colleague(person: AddPerson, teams: list[str]) -> User:
    return person(Role.ENGINEER, "search", email="colleague@example.com")


@pytest.fixture
def outsider(person: AddPerson, teams: list[str]) -> User:
    return person(Role.ENGINEER, "support", email="outsider@example.com")


@pytest.fixture
def key(db: None) -> AddKey:
    """Issues a key of these scopes; answers the row and the secret."""

    def issue(*scopes: str, **fields: object) -> tuple[ApiKey, str]:
        return ApiKey.issue(str(fields.pop("name", "ci")), list(scopes), **fields)

    return issue
