"""Signing in, its limits, passwords, and what a session withstands."""

from __future__ import annotations

import re

import pytest
from django.conf import settings as configured
from django.core import mail
from django.core.cache import cache, caches
from django.test import Client
from pytest_django import Settings

from finops.accounts.models import AuditEntry, Role, User
from tests.accounts.conftest import PASSWORD, AddPerson

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def _no_limits_used(db: None) -> None:
    cache.clear()


@pytest.fixture
def ada(person: AddPerson) -> User:
    return person(Role.ADMIN, email="ada@example.com", password=PASSWORD)


def sign_in(client: Client, password: str = PASSWORD, email: str = "ada@example.com") -> int:
    return client.post(LOGIN, {"login": email, "password": password}).status_code


def test_the_right_password_leads_in_and_the_page_asked_for_comes_next(client: Client, ada: User) -> None:
    asked = client.get("/people/")
    assert asked["Location"] == "/accounts/login/?next=/people/"

    answer = client.post(
        asked["Location"], {"login": "Ada@Example.com", "password": PASSWORD, "next": "/people/"}
    )

    assert answer.status_code == 302
    assert answer["Location"] == "/people/"
    assert client.get("/people/").status_code == 200


def test_another_site_is_never_the_next_page(client: Client, ada: User) -> None:
    answer = client.post(
        LOGIN, {"login": "ada@example.com", "password": PASSWORD, "next": "https://evil.example/"}
    )

    assert answer["Location"] == "/"


def test_a_wrong_password_is_a_422_that_gives_nothing_away(client: Client, ada: User) -> None:
    known = client.post(LOGIN, {"login": "ada@example.com", "password": "wrong"})
    unknown = client.post(LOGIN, {"login": "bob@example.com", "password": "wrong"})

    assert known.status_code == unknown.status_code == 422
    summary = re.compile(r'<div class="banner banner-error.*?</div>', re.DOTALL)
    texts = [summary.search(answer.content.decode()) for answer in (known, unknown)]
    assert texts[0] is not None
    assert texts[1] is not None
    assert texts[0].group() == texts[1].group()


def test_the_sixth_wrong_password_is_a_429_page_even_with_the_right_one_next(ada: User) -> None:
    # Each attempt comes from a browser of its own; the count is in the database, for all processes.
    assert [sign_in(Client(), "wrong") for _ in range(5)] == [422] * 5

    sixth = Client().post(LOGIN, {"login": "ada@example.com", "password": "wrong"})

    assert sixth.status_code == 429
    assert sixth["Retry-After"] == "300"
    assert "Too many attempts" in sixth.content.decode()
    assert sign_in(Client()) == 429
    assert caches["default"].__class__.__name__ == "DatabaseCache"


def test_right_passwords_do_not_count(ada: User) -> None:
    assert [sign_in(Client()) for _ in range(6)] == [302] * 6


def test_a_session_gets_a_new_name_at_sign_in_and_ends_at_sign_out(client: Client, ada: User) -> None:
    client.cookies[configured.SESSION_COOKIE_NAME] = "chosen-by-somebody-else"
    sign_in(client)
    own = client.cookies[configured.SESSION_COOKIE_NAME].value
    assert own != "chosen-by-somebody-else"

    client.post("/accounts/logout/")

    thief = Client()
    thief.cookies[configured.SESSION_COOKIE_NAME] = own
    assert thief.get("/profile/").status_code == 302


def test_sign_out_by_address_asks_first(client: Client, ada: User) -> None:
    client.force_login(ada)

    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/profile/").status_code == 200


def test_a_deactivated_person_is_out_at_once_and_cannot_come_back(client: Client, ada: User) -> None:
    client.force_login(ada)
    User.objects.update(is_active=False)

    assert client.get("/profile/").status_code == 302
    assert sign_in(Client()) != 200
    assert Client().get("/profile/").status_code == 302


def test_sign_in_needs_the_csrf_token(ada: User) -> None:
    assert sign_in(Client(enforce_csrf_checks=True)) == 403


def test_a_foreign_host_name_is_refused(client: Client) -> None:
    assert client.get(LOGIN, headers={"host": "evil.example"}).status_code == 400


def test_cookies_are_http_only_and_same_site(client: Client, ada: User, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = True  # as BEHIND_TLS sets it
    sign_in(client)

    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["secure"]


def test_nobody_signs_up(client: Client) -> None:
    page = client.get("/accounts/signup/")
    answer = client.post(
        "/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    )

    assert "made by an administrator" in page.content.decode()
    assert "made by an administrator" in answer.content.decode()
    assert not User.objects.exists()


def test_a_password_is_changed_by_who_knows_the_old_one(client: Client, ada: User) -> None:
    elsewhere = Client()
    for each in (client, elsewhere):
        each.force_login(ada)
    new = "a much newer battery 7"

    refused = client.post(
        "/accounts/password/change/", {"oldpassword": "wrong", "password1": new, "password2": new}
    )
    changed = client.post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )

    assert refused.status_code == 422
    assert (changed.status_code, changed["Location"]) == (302, "/profile/")
    assert client.get("/profile/").status_code == 200
    assert elsewhere.get("/profile/").status_code == 302
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.actor, entry.after) == ("ada@example.com", {"password": "changed"})


def test_a_forgotten_password_is_set_by_a_mailed_link_to_our_own_address_once(
    client: Client, ada: User, settings: Settings
) -> None:
    settings.PUBLIC_URL = "https://costs.example.com"
    settings.ALLOWED_HOSTS = ["*"]
    client.post("/accounts/password/reset/", {"email": ada.email}, headers={"host": "evil.example"})

    links = re.findall(r"https?://\S+", str(mail.outbox[0].body))
    assert len(links) == 1
    assert links[0].startswith("https://costs.example.com/accounts/password/reset/key/")
    path = links[0].removeprefix("https://costs.example.com")
    form = client.get(path, follow=True)
    new = "a much newer battery 7"
    action = form.request["PATH_INFO"]
    assert client.post(action, {"password1": new, "password2": "other"}).status_code == 422
    assert client.post(action, {"password1": new, "password2": new}).status_code == 302
    assert sign_in(Client(), new) == 302
    assert "does not work any more" in Client().get(path, follow=True).content.decode()


def test_an_unknown_address_gets_the_same_answer_and_no_mail(client: Client, ada: User) -> None:
    known = client.post("/accounts/password/reset/", {"email": ada.email})
    unknown = client.post("/accounts/password/reset/", {"email": "bob@example.com"})

    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]
