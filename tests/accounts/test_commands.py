"""The commands ``api_key`` and ``user``: what stdout holds, what is refused."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from attribution.models import Team
from finops.accounts.authentication import authenticate_key
from finops.accounts.models import ApiKey, AuditEntry, User
from finops.accounts.people import team_names
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def test_stdout_holds_the_key_and_nothing_else() -> None:
    out, err = run("api_key", "ci", "--scope", "read", "--scope", "ingest", "--source", "web")

    secret = out.removesuffix("\n")
    key = authenticate_key(f"Bearer {secret}")
    assert key is not None
    assert (key.name, key.scopes, key.team, key.source) == ("ci", ["ingest", "read"], "", "web")
    assert key.expires_at is None
    assert "ci (ingest, read)" in err
    assert secret not in err
    assert AuditEntry.objects.get().actor == "command"


def test_a_key_may_expire_and_an_unknown_team_is_registered() -> None:
    run("api_key", "ci", "--scope", "ingest", "--team", "search", "--expires", "30")

    key = ApiKey.objects.get()
    assert key.team == "search"
    assert Team.objects.filter(slug="search").exists()
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("ci", "--scope", "reed"),
            "No such scope: reed. Known: ingest, read, write, finance, gateway, admin.",
        ),
        (("ci",), "--scope"),
        ((" ", "--scope", "read"), "A name of 1 to 128"),
        (("ci", "--scope", "read", "--team", "a\nb"), "team|slug|name|character"),
        (("ci", "--scope", "read", "--expires", "0"), "1 to 36500 days"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("api_key", *arguments)

    assert not ApiKey.objects.exists()
    assert not Team.objects.exists()


def test_a_person_is_made_once_and_then_changed() -> None:
    made, _ = run("user", "Ada@example.com", "--role", "lead", "--team", "search", "--password", PASSWORD)
    same, _ = run("user", "ada@example.com", "--role", "lead", "--team", "search", "--password", PASSWORD)
    entries = AuditEntry.objects.filter(subject_kind="person").count()
    run("user", "ada@example.com", "--role", "finance")

    ada = User.objects.get()
    assert (made, same) == ("Added ada@example.com, team lead.\n", "Updated ada@example.com, team lead.\n")
    assert entries == 1
    assert ada.role == "finance"
    assert ada.check_password(PASSWORD)
    assert team_names(ada) == ["search"]


def test_a_person_who_was_deactivated_may_enter_again() -> None:
    run("user", "ada@example.com", "--role", "viewer")
    User.objects.update(is_active=False)

    run("user", "ada@example.com", "--role", "viewer")

    assert User.objects.get().is_active


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ada@example.com", "--role", "boss", "--password", PASSWORD), "No such role: boss. Known: admin"),
        (("ada", "--role", "viewer", "--password", PASSWORD), "Not an e-mail address: ada"),
        (("ada@example.com", "--role", "viewer", "--password", "short"), "too short"),
        (("ada@example.com", "--role", "viewer", "--password", "password123"), "too common"),
    ],
)
def test_a_person_is_refused_with_the_reason(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("user", *arguments)

    assert not User.objects.exists()
