"""Profile, People, API keys and Audit log as people use them."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from finops.accounts import audit
from finops.accounts.authentication import authenticate_key
from finops.accounts.models import ApiKey, AuditEntry, Role, User
from finops.accounts.views.audit import Difference, differences
from tests.accounts.conftest import AddKey, AddPerson

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Browse:
    return Browse()


class Browse:
    """Signs in as somebody."""

    def __call__(self, user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client


def text(response: Any) -> str:  # Any: the test response of the stubs is private
    return str(response.content.decode())


def key_form(**fields: object) -> dict[str, object]:
    return {
        "name": "ci",
        "scopes": ["ingest"],
        "team": "",
        "source": "",
        "expires": "",
        "once": uuid.uuid4(),
    } | fields


PAGES = ("/profile/", "/people/", "/people/add/", "/keys/", "/keys/create/", "/audit/")


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_sent_to_sign_in(client: Client, page: str) -> None:
    assert client.get(page)["Location"] == f"/accounts/login/?next={page}"


@pytest.mark.parametrize("page", PAGES)
def test_pages_hold_no_inline_style_or_script_and_say_who_may_frame_them(
    browser: Browse, admin: User, page: str
) -> None:
    answer = browser(admin).get(page)

    assert answer.status_code == 200
    assert not re.search(r"\sstyle=|<style|\son\w+=|<script(?![^>]*\ssrc=)", text(answer))
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert text(answer).count("<h1") == 1


@pytest.mark.parametrize(
    ("page", "role", "status"),
    [
        ("/people/", Role.ADMIN, 200),
        *(("/people/", role, 403) for role in Role if role != Role.ADMIN),
        *(("/audit/", role, 200) for role in (Role.ADMIN, Role.FINANCE, Role.PLATFORM, Role.VIEWER)),
        *(("/audit/", role, 403) for role in (Role.LEAD, Role.ENGINEER)),
        *(("/keys/", role, 200) for role in Role),
        *(("/keys/create/", role, 200) for role in (Role.ADMIN, Role.PLATFORM, Role.LEAD, Role.ENGINEER)),
        *(("/keys/create/", role, 403) for role in (Role.FINANCE, Role.VIEWER)),
        *(("/profile/", role, 200) for role in Role),
    ],
)
def test_pages_are_for_the_roles_of_the_table(
    browser: Browse, person: AddPerson, page: str, role: Role, status: int
) -> None:
    assert browser(person(role)).get(page).status_code == status


def test_a_refused_page_names_the_role_that_may(browser: Browse, engineer: User) -> None:
    assert "roles: admin" in text(browser(engineer).get("/people/"))


@pytest.fixture
def crowd(person: AddPerson, key: AddKey, teams: list[str]) -> None:
    for n in range(5):
        maker = person(Role.ENGINEER, "search", "support", email=f"e{n}@example.com")
        key("read", team="search", created_by=maker)


# The session, the person, and what the page shows: however many people and keys there are.
@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(
    ("page", "queries"), [("/people/", 5), ("/keys/", 4), ("/audit/", 4), ("/profile/", 2)]
)
def test_pages_ask_a_fixed_number_of_queries(
    browser: Browse, admin: User, page: str, queries: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = browser(admin)

    with django_assert_num_queries(queries):
        client.get(page)


def test_the_theme_is_set_on_the_page_by_the_server(browser: Browse, engineer: User) -> None:
    client = browser(engineer)
    assert "data-theme" not in text(client.get("/profile/"))

    answer = client.post("/profile/", {"name": "Eve", "theme": "dark"})

    assert answer.status_code == 302
    page = text(client.get("/profile/"))
    assert 'data-theme="dark"' in page
    assert "keys.js" not in page
    assert "Your profile was saved." in page


def test_an_unknown_theme_is_a_422_with_a_linked_summary(browser: Browse, engineer: User) -> None:
    answer = browser(engineer).post("/profile/", {"theme": "neon"})

    assert answer.status_code == 422
    assert '<a href="#id_theme">Appearance</a>' in text(answer)


def test_a_person_is_added_and_enters_by_the_link(browser: Browse, admin: User, teams: list[str]) -> None:
    answer = browser(admin).post(
        "/people/add/", {"email": "New@example.com", "role": "lead", "teams": ["search"], "name": "New"}
    )

    new = User.objects.get(email="new@example.com")
    assert (new.role, new.team_slugs) == ("lead", frozenset({"search"}))
    link = re.search(r'data-copy="(http://testserver[^"]+)"', text(answer))
    assert link is not None
    assert "no-store" in answer["Cache-Control"]
    newcomer = Client()
    form = newcomer.get(link.group(1).removeprefix("http://testserver"), follow=True)
    secret = "a much newer battery 7"
    newcomer.post(form.request["PATH_INFO"], {"password1": secret, "password2": secret})
    assert User.objects.get(pk=new.pk).check_password(secret)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"email": "nobody"}, "#id_email"),
        ({"email": "admin@example.com"}, "already"),
        ({"role": "boss"}, "#id_role"),
        ({"role": "lead", "teams": []}, "Choose at least one"),
        ({"role": "viewer", "teams": ["no-such-team"]}, "#id_teams"),
    ],
)
def test_a_person_who_cannot_be_is_a_422(
    browser: Browse, admin: User, fields: dict[str, object], problem: str
) -> None:
    answer = browser(admin).post("/people/add/", {"email": "new@example.com", "role": "viewer"} | fields)

    assert answer.status_code == 422
    assert problem in text(answer)
    assert User.objects.count() == 1


def test_role_and_teams_are_changed(browser: Browse, admin: User, engineer: User) -> None:
    answer = browser(admin).post(f"/people/{engineer.pk}/", {"role": "lead", "teams": ["support"]})

    assert answer.status_code == 302
    changed = User.objects.get(pk=engineer.pk)
    assert (changed.role, changed.team_slugs) == ("lead", frozenset({"support"}))


def test_the_last_administrator_is_kept_by_the_form_too(browser: Browse, admin: User) -> None:
    answer = browser(admin).post(f"/people/{admin.pk}/", {"role": "viewer"})

    assert answer.status_code == 422
    assert "Somebody has to stay" in text(answer)


def test_somebody_is_deactivated_once_confirmed_and_may_be_activated_again(
    browser: Browse, admin: User, engineer: User, key: AddKey
) -> None:
    made, _ = key("read", team="search", created_by=engineer, name="left-behind")
    client = browser(admin)
    asked = client.get(f"/people/{engineer.pk}/deactivate/")
    assert "left-behind" in text(asked)
    assert User.objects.get(pk=engineer.pk).is_active

    client.post(f"/people/{engineer.pk}/deactivate/")
    assert not User.objects.get(pk=engineer.pk).is_active
    client.post(f"/people/{engineer.pk}/activate/")
    assert User.objects.get(pk=engineer.pk).is_active
    assert made in ApiKey.objects.active()


def test_nobody_deactivates_themselves(browser: Browse, admin: User, person: AddPerson) -> None:
    person(Role.ADMIN, email="second@example.com")

    assert browser(admin).post(f"/people/{admin.pk}/deactivate/").status_code == 422
    assert User.objects.get(pk=admin.pk).is_active


def test_a_key_is_shown_once_with_a_line_to_try_it(browser: Browse, admin: User) -> None:
    client = browser(admin)

    answer = client.post("/keys/create/", key_form(scopes=["ingest", "read"]))

    secret = re.search(r'data-copy="(fk_[^"]+)"', text(answer))
    assert secret is not None
    assert "no-store" in answer["Cache-Control"]
    key = authenticate_key(f"Bearer {secret.group(1)}")
    assert key is not None
    assert (key.created_by, key.scopes) == (admin, ["ingest", "read"])
    assert "curl -sS http://testserver/api/v1/events" in text(answer)
    listed = text(client.get("/keys/"))
    assert key.prefix in listed
    assert secret.group(1) not in listed


def test_sending_the_form_twice_makes_one_key(browser: Browse, admin: User) -> None:
    client, form = browser(admin), key_form()
    client.post("/keys/create/", form)

    again = client.post("/keys/create/", form, follow=True)

    assert "made its key already" in text(again)
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": ""}, "#id_name"),
        ({"scopes": []}, "#id_scopes"),
        ({"scopes": ["write"]}, "#id_scopes"),
        ({"team": ""}, "#id_team"),
        ({"team": "support"}, "#id_team"),
        ({"expires": "9999"}, "#id_expires"),
    ],
)
def test_an_engineer_makes_keys_for_their_own_team_only(
    browser: Browse, engineer: User, fields: dict[str, object], problem: str
) -> None:
    client = browser(engineer)

    refused = client.post("/keys/create/", key_form(**({"team": "search"} | fields)))

    assert refused.status_code == 422
    assert problem in text(refused)
    assert not ApiKey.objects.exists()
    assert client.post("/keys/create/", key_form(team="search")).status_code == 200
    assert ApiKey.objects.get().team == "search"


def test_without_a_team_there_is_no_form_but_a_reason(browser: Browse, person: AddPerson) -> None:
    client = browser(person(Role.ENGINEER))

    assert "You belong to no team yet" in text(client.get("/keys/create/"))
    assert client.post("/keys/create/", key_form()).status_code == 422


def test_a_key_is_rotated_with_a_grace(browser: Browse, engineer: User, key: AddKey) -> None:
    old, _ = key("ingest", team="search", created_by=engineer)

    answer = browser(engineer).post(f"/keys/{old.pk}/rotate/", {"grace": "2"})

    old.refresh_from_db()
    assert "works until" in text(answer)
    assert old.expires_at is not None
    assert ApiKey.objects.get(rotated_from=old).team == "search"
    assert browser(engineer).post(f"/keys/{old.pk}/rotate/", {"grace": "2"}).status_code == 422


def test_a_key_is_revoked_once_confirmed(browser: Browse, engineer: User, key: AddKey) -> None:
    row, _ = key("ingest", team="search", created_by=engineer)
    client = browser(engineer)
    assert client.get(f"/keys/{row.pk}/revoke/").status_code == 200

    answer = client.post(f"/keys/{row.pk}/revoke/", follow=True)

    assert "was revoked" in text(answer)
    assert "No active key yet" in text(answer)
    assert "Revoked" in text(client.get("/keys/?show=all"))
    assert client.post(f"/keys/{row.pk}/revoke/").status_code == 422


@pytest.mark.parametrize("action", ["rotate", "revoke"])
def test_others_keys_are_not_there(browser: Browse, outsider: User, key: AddKey, action: str) -> None:
    row, _ = key("ingest", team="search")

    assert browser(outsider).post(f"/keys/{row.pk}/{action}/", {"grace": "0"}).status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None


def test_platform_does_not_rotate_a_key_that_may_more(
    browser: Browse, person: AddPerson, key: AddKey
) -> None:
    row, _ = key("admin")

    assert browser(person(Role.PLATFORM)).post(f"/keys/{row.pk}/rotate/", {"grace": "0"}).status_code == 403
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("page", ["/profile/", "/people/add/", "/keys/create/"])
def test_every_form_needs_the_csrf_token(admin: User, page: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)

    assert client.post(page, {"name": "x"}).status_code == 403


def test_the_audit_log_is_filtered_by_its_url(browser: Browse, admin: User) -> None:
    audit.record(
        "eve@example.com", "price.superseded", subject_kind="price", subject="gpt-x", before={}, after={}
    )
    client = browser(admin)

    assert "gpt-x" in text(client.get("/audit/?actor=eve&action=price.&kind=price&subject=gpt"))
    assert "No change matches" in text(client.get("/audit/?actor=mallory"))
    assert "No change matches" in text(client.get("/audit/?until=2020-01-01"))
    assert "gpt-x" in text(client.get("/audit/?since=2020-01-01"))


@pytest.mark.parametrize("query", ["since=soon", "before=yesterday", "since=2026-02-01&until=2026-01-01"])
def test_a_filter_that_cannot_be_read_is_a_400(browser: Browse, admin: User, query: str) -> None:
    answer = browser(admin).get(f"/audit/?{query}")

    assert answer.status_code == 400
    assert "Show all" in text(answer)


def test_the_audit_log_is_read_page_by_page_without_gap_or_repetition(browser: Browse, admin: User) -> None:
    AuditEntry.objects.all().delete()
    for n in range(120):
        audit.record("a@example.com", "thing.made", subject_kind="thing", subject=f"thing-{n:03}")
    client, url, seen = browser(admin), "/audit/?kind=thing", []

    while url:
        page = text(client.get(url))
        seen += re.findall(r">(thing-\d+)</a>", page)
        older = re.search(r'rel="next" href="(\?[^"]+)"', page)
        url = "/audit/" + older.group(1).replace("&amp;", "&") if older else ""

    assert seen == [f"thing-{n:03}" for n in reversed(range(120))]


def test_differences_are_what_changed_in_words() -> None:
    found = differences(
        {"role": "lead", "teams": ["a"], "name": ""}, {"role": "lead", "teams": [], "active": True}
    )

    assert found == [
        Difference("active", None, "yes"),
        Difference("name", "none", None),
        Difference("teams", "a", "none"),
    ]


def test_of_something_new_only_what_it_has_is_shown() -> None:
    assert differences(None, {"name": "ci", "team": "", "scopes": ["read", "write"]}) == [
        Difference("name", None, "ci"),
        Difference("scopes", None, "read, write"),
    ]
