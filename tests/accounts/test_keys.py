"""The life of an API key, and who may do what with one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from finops.accounts import keys
from finops.accounts.authentication import InvalidKey, authenticate_key, forget_keys
from finops.accounts.models import ApiKey, AuditEntry, Role, User, hash_secret
from finops.accounts.permissions import principal_of_person
from finops.core.errors import Conflict, InvalidInput, NotAllowed
from tests.accounts.conftest import AddKey, AddPerson

pytestmark = pytest.mark.django_db
AT_ONCE, A_DAY, A_WEEK = keys.GRACES


def works(secret: str) -> bool:
    forget_keys()
    try:
        return authenticate_key(f"Bearer {secret}") is not None
    except InvalidKey:
        return False


def test_only_the_hash_of_a_new_key_is_stored_and_the_audit_log_has_neither() -> None:
    key, secret = keys.create_key("ci", ["read", "ingest"], actor="me@example.com", team="search")

    stored = ApiKey.objects.get()
    entry = AuditEntry.objects.get()
    assert stored.secret_hash == hash_secret(secret)
    assert stored.scopes == ["ingest", "read"]
    assert works(secret)
    assert (entry.actor, entry.action, entry.subject) == (
        "me@example.com",
        "api_key.created",
        f"ci ({key.prefix})",
    )
    assert entry.before is None
    assert entry.after == {
        "name": "ci",
        "prefix": key.prefix,
        "scopes": ["ingest", "read"],
        "team": "search",
        "source": "",
        "expires_at": None,
        "revoked_at": None,
    }
    assert secret not in str(entry.after)
    assert stored.secret_hash not in str(entry.after)


def test_everything_wrong_with_a_key_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as refusal:
        keys.create_key(
            " ", ["reed"], actor="me", source="x" * 200, expires_at=timezone.now() - timedelta(days=1)
        )

    assert [problem.field for problem in refusal.value.problems] == ["name", "scopes", "source", "expires_at"]
    assert not ApiKey.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(("grace", "still_works"), [(AT_ONCE, False), (A_DAY, True), (A_WEEK, True)])
def test_a_rotated_key_works_until_its_grace_is_over(
    key: AddKey, grace: timedelta, still_works: bool
) -> None:
    old, old_secret = key("ingest", "read", team="search", source="web", name="search-prod")

    new, new_secret = keys.rotate_key(old.pk, actor="me", grace=grace)

    assert works(new_secret)
    assert works(old_secret) is still_works
    assert (new.name, new.scopes, new.team, new.source) == (
        "search-prod",
        ["ingest", "read"],
        "search",
        "web",
    )
    assert new.rotated_from == old
    ApiKey.objects.filter(pk=old.pk, revoked_at=None).update(expires_at=timezone.now())
    assert not works(old_secret)
    assert AuditEntry.objects.get().action == "api_key.rotated"


def test_a_rotation_never_makes_a_key_live_longer(key: AddKey) -> None:
    soon = timezone.now() + timedelta(hours=1)
    old, _ = key("read", expires_at=soon)

    new, _ = keys.rotate_key(old.pk, actor="me", grace=A_WEEK)

    old.refresh_from_db()
    assert old.expires_at == soon
    assert new.expires_at == soon


def test_a_key_is_rotated_once_and_an_ended_one_not_at_all(key: AddKey) -> None:
    old, _ = key("read")
    keys.rotate_key(old.pk, actor="me", grace=A_DAY)
    revoked, _ = key("read", revoked_at=timezone.now())

    for ended in (old, revoked):
        with pytest.raises(Conflict):
            keys.rotate_key(ended.pk, actor="me", grace=A_DAY)


def test_a_revoked_key_ends_and_cannot_be_revoked_again(key: AddKey) -> None:
    row, secret = key("read")

    keys.revoke_key(row.pk, actor="me@example.com")

    assert not works(secret)
    entry = AuditEntry.objects.get()
    assert entry.action == "api_key.revoked"
    assert entry.before is not None
    assert entry.after is not None
    assert entry.before["revoked_at"] is None
    assert entry.after["revoked_at"] is not None
    with pytest.raises(Conflict, match="was revoked on"):
        keys.revoke_key(row.pk, actor="me@example.com")


def test_who_sees_which_keys(key: AddKey, person: AddPerson, teams: list[str]) -> None:
    engineer = person(Role.ENGINEER, "search")
    colleague = person(Role.ENGINEER, "search", email="colleague@example.com")
    outsider = person(Role.ENGINEER, "support", email="outsider@example.com")
    shared, _ = key("read", name="shared")
    own, _ = key("read", name="own", team="search", created_by=engineer)
    foreign, _ = key("read", name="foreign", team="support", created_by=outsider)

    def seen(user: User) -> set[ApiKey]:
        return set(keys.keys_visible_to(user))

    for role in (Role.ADMIN, Role.FINANCE, Role.PLATFORM, Role.VIEWER):
        assert seen(person(role)) == {shared, own, foreign}
    assert seen(person(Role.LEAD, "search")) == {own}
    assert seen(engineer) == {own}
    assert seen(colleague) == set()
    assert seen(outsider) == {foreign}


def test_who_leaves_a_team_loses_its_keys(key: AddKey, engineer: User) -> None:
    key("read", team="search", created_by=engineer)
    engineer.memberships.all().delete()

    assert not keys.keys_visible_to(User.objects.get(pk=engineer.pk)).exists()


def test_nobody_hands_out_or_rotates_more_than_they_hold(
    key: AddKey, engineer: User, person: AddPerson
) -> None:
    platform = principal_of_person(person(Role.PLATFORM))
    engineering = principal_of_person(engineer)
    powerful, _ = key("admin")

    keys.check_may_hand_out(platform, ["write"], "")
    keys.check_may_hand_out(engineering, ["ingest", "read"], "search")
    for maker, scopes, team in (
        (platform, ["admin"], ""),
        (platform, ["finance"], ""),
        (engineering, ["write"], "search"),
        (engineering, ["ingest"], ""),
        (engineering, ["ingest"], "support"),
    ):
        with pytest.raises(NotAllowed):
            keys.check_may_hand_out(maker, scopes, team)
    assert not keys.may_rotate(platform, powerful)
    assert keys.may_revoke(platform, powerful)
