"""API keys and sessions at the door."""

from __future__ import annotations

import statistics
import time
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from finops.accounts import key_memory
from finops.accounts.authentication import InvalidKey, authenticate_key, forget_keys
from finops.accounts.models import ApiKey, User, hash_secret
from finops.accounts.permissions import principal_of, requires
from finops.core.errors import Unavailable
from tests.accounts.conftest import AddKey

pytestmark = pytest.mark.django_db


class Who(APIView):
    permission_classes = (requires(read="view_costs", write="edit_prices"),)

    def get(self, request: Request) -> Response:
        return Response({"label": principal_of(request).label})

    def post(self, request: Request) -> Response:
        return Response({"got": serializers.DictField().run_validation(request.data)})


def ask(method: str = "GET", **headers: str) -> Response:
    """Who's answer to a request made by hand, rendered."""
    request = RequestFactory().generic(method, "/who", "{}", content_type="application/json", headers=headers)
    response = Who.as_view()(request)
    response.render()
    return response


def test_a_key_is_recognised_and_its_second_use_costs_no_query(
    key: AddKey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    row, secret = key("ingest")
    with django_assert_num_queries(2):  # the look-up, and the note of its use
        assert authenticate_key(f"Bearer {secret}") == row

    with django_assert_num_queries(0):
        assert authenticate_key(f"bearer {secret}") == row


@pytest.mark.parametrize("header", ["", "Basic dXNlcjpwdw==", "Token abc"])
def test_another_scheme_or_none_is_no_key_at_all(header: str) -> None:
    assert authenticate_key(header) is None


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer  two", "Bearer a b", "Bearer ключ", "Bearer " + "x" * 300]
)
def test_a_malformed_header_is_refused(header: str) -> None:
    with pytest.raises(InvalidKey, match="must read: Bearer"):
        authenticate_key(header)


def test_unknown_revoked_and_expired_keys_are_refused_with_their_reason(key: AddKey) -> None:
    now = timezone.now()
    _, revoked = key("read", revoked_at=now)
    _, expired = key("read", expires_at=now - timedelta(seconds=1))

    for secret, reason in (("fk_nobody", "unknown"), (revoked, "revoked"), (expired, "expired")):
        with pytest.raises(InvalidKey, match=reason):
            authenticate_key(f"Bearer {secret}")


def test_a_revocation_is_in_force_once_the_memory_is_over(key: AddKey) -> None:
    row, secret = key("read")
    authenticate_key(f"Bearer {secret}")
    ApiKey.objects.filter(pk=row.pk).update(revoked_at=timezone.now())

    assert authenticate_key(f"Bearer {secret}") == row
    with (
        patch("time.monotonic", lambda: time.perf_counter() + 1e9),
        pytest.raises(InvalidKey, match="revoked"),
    ):
        authenticate_key(f"Bearer {secret}")


def test_a_key_ends_at_its_expiry_though_it_is_remembered(key: AddKey) -> None:
    _, secret = key("read", expires_at=timezone.now() + timedelta(seconds=60))
    authenticate_key(f"Bearer {secret}")

    with (
        patch("time.time", lambda: timezone.now().timestamp() + 61),
        pytest.raises(InvalidKey, match="expired"),
    ):
        authenticate_key(f"Bearer {secret}")


def test_the_time_of_use_is_written_at_most_once_a_minute(key: AddKey) -> None:
    row, secret = key("read")

    def used_at() -> object:
        forget_keys()
        authenticate_key(f"Bearer {secret}")
        return ApiKey.objects.get(pk=row.pk).last_used_at

    first = used_at()
    assert first is not None
    assert used_at() == first
    ApiKey.objects.filter(pk=row.pk).update(last_used_at=timezone.now() - timedelta(seconds=61))
    assert used_at() > first  # type: ignore[operator]


def test_while_the_database_is_away_known_keys_stay_valid_for_a_week(key: AddKey) -> None:
    row, secret = key("read")
    authenticate_key(f"Bearer {secret}")
    at, days = time.monotonic(), 86_400

    with patch.object(ApiKey.objects, "filter", side_effect=OperationalError("away")):
        with patch("finops.accounts.authentication.time.monotonic", lambda: at + 6 * days):
            assert authenticate_key(f"Bearer {secret}") == row
        with (
            patch("finops.accounts.authentication.time.monotonic", lambda: at + 8 * days),
            pytest.raises(Unavailable),
        ):
            authenticate_key(f"Bearer {secret}")
        with pytest.raises(Unavailable):
            authenticate_key("Bearer fk_never_seen")


def test_a_process_that_starts_meanwhile_knows_the_keys_that_may_send(key: AddKey) -> None:
    row, secret = key("ingest", team="search", source="app")
    _, reading = key("read")
    for each in (secret, reading):
        authenticate_key(f"Bearer {each}")
    forget_keys()

    with patch.object(ApiKey.objects, "filter", side_effect=OperationalError("away")):
        found = authenticate_key(f"Bearer {secret}")
        assert found is not None
        assert [found.pk, found.name, found.team, found.source] == [row.pk, row.name, "search", "app"]
        with pytest.raises(Unavailable):
            authenticate_key(f"Bearer {reading}")


def test_a_kept_key_is_nothing_to_sign_in_with_and_cannot_be_forged(key: AddKey) -> None:
    _, secret = key("ingest")
    authenticate_key(f"Bearer {secret}")
    digest = hash_secret(secret)
    kept = key_memory._path(digest)
    assert secret not in kept.read_text() + kept.name
    assert digest not in kept.name
    assert kept.stat().st_mode & 0o077 == 0

    kept.write_text(kept.read_text()[:-1] + "x")
    assert key_memory.recall(digest) is None


def test_a_revoked_key_is_no_longer_kept(key: AddKey) -> None:
    row, secret = key("ingest")
    authenticate_key(f"Bearer {secret}")
    ApiKey.objects.filter(pk=row.pk).update(revoked_at=timezone.now())
    forget_keys()
    with pytest.raises(InvalidKey):
        authenticate_key(f"Bearer {secret}")
    assert key_memory.recall(hash_secret(secret)) is None


def test_a_warm_key_costs_less_than_fifty_microseconds(key: AddKey) -> None:
    _, secret = key("ingest")
    header = f"Bearer {secret}"
    authenticate_key(header)

    def once() -> float:
        started = time.perf_counter()
        authenticate_key(header)
        return time.perf_counter() - started

    assert statistics.median(once() for _ in range(2000)) < 50e-6


def test_no_credentials_are_a_401_with_a_challenge_and_a_problem_body() -> None:
    answer = ask()

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.data["title"] == "Unauthorized"
    assert answer.data["status"] == 401


def test_a_bad_key_is_a_401_that_says_so() -> None:
    answer = ask(authorization="Bearer fk_nobody")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'
    assert answer.data["detail"] == "This API key is unknown."


def test_a_key_without_the_scope_is_a_403_that_names_it(key: AddKey) -> None:
    _, secret = key("ingest")

    answer = ask(authorization=f"Bearer {secret}")

    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.data["detail"] == "This needs a key with the scope read; this one has: ingest."


def test_a_key_reads_with_read_writes_with_write_and_write_may_read_its_own(key: AddKey) -> None:
    reading, writing = key("read")[1], key("write")[1]

    assert ask(authorization=f"Bearer {reading}").data == {"label": "key: ci"}
    assert ask("POST", authorization=f"Bearer {reading}").status_code == 403
    assert ask("POST", authorization=f"Bearer {writing}").status_code == 200
    assert ask(authorization=f"Bearer {writing}").status_code == 200


def test_a_key_bound_to_a_team_changes_nothing_of_the_organisation(key: AddKey) -> None:
    _, secret = key("write", "admin", team="search")

    answer = ask("POST", authorization=f"Bearer {secret}")

    assert answer.status_code == 403
    assert answer.data["detail"] == "This needs a key bound to no team; this one is bound to search."


def test_a_session_may_ask_the_api_and_needs_the_csrf_token_to_write(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)

    refused = client.post("/api/v1/me", data="{}", content_type="application/json")
    client.get("/profile/")
    token = client.cookies["csrftoken"].value
    let_in = client.post(
        "/api/v1/me", data="{}", content_type="application/json", headers={"X-CSRFToken": token}
    )

    assert client.get("/api/v1/me").json()["label"] == "admin@example.com"
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]
    assert let_in.status_code == 405  # past the door: only GET is offered


def test_an_inactive_person_is_nobody(admin: User) -> None:
    client = Client()
    client.force_login(admin)
    User.objects.update(is_active=False)

    assert client.get("/api/v1/me").status_code == 401
