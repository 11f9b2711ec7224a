"""A POST sent again with its Idempotency-Key creates once."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from finops.accounts.idempotency import KEPT_FOR, forget_old_answers, idempotent
from finops.accounts.models import ApiKey, AuditEntry, IdempotentAnswer
from finops.accounts.tasks import forget_leftovers
from finops.core.errors import InvalidInput
from tests.accounts.conftest import AddKey


class Things(APIView):
    """Creates an audit line, as something that can be counted; ``slow`` and ``wrong`` on request."""

    @idempotent
    def post(self, request: Request) -> Response:
        assert isinstance(request.data, dict)
        AuditEntry.objects.create(
            actor="t", action="thing.made", subject_kind="thing", subject=request.data["name"]
        )
        time.sleep(request.data.get("slow", 0))
        if request.data.get("wrong") == "raised":
            raise InvalidInput.field("name", "invalid", "No such name.")
        if request.data.get("wrong") == "answered":
            return Response({"title": "no"}, 409)
        made = AuditEntry.objects.filter(action="thing.made").count()
        return Response({"made": made, "cost": "0.10"}, 201, headers={"Location": f"/things/{made}"})


def post(secret: str, body: object, idempotency_key: str | None = "k-1", path: str = "/things") -> Response:
    headers = {"authorization": f"Bearer {secret}"}
    if idempotency_key is not None:
        headers["idempotency-key"] = idempotency_key
    request = RequestFactory().post(path, json.dumps(body), content_type="application/json", headers=headers)
    response = Things.as_view()(request)
    response.render()
    return response


def made() -> int:
    return AuditEntry.objects.filter(action="thing.made").count()


@pytest.mark.django_db
def test_a_repetition_gets_the_first_answer(key: AddKey) -> None:
    _, secret = key("write")

    first = post(secret, {"name": "a", "slow": 0})
    again = post(secret, {"slow": 0, "name": "a"})

    assert made() == 1
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.data, again["Location"]) == (
        201,
        {"made": 1, "cost": "0.10"},
        "/things/1",
    )


@pytest.mark.django_db
def test_the_same_key_with_another_body_is_refused(key: AddKey) -> None:
    _, secret = key("write")
    post(secret, {"name": "a"})

    other = post(secret, {"name": "b"})

    assert other.status_code == 422
    assert other["Content-Type"] == "application/problem+json"
    assert "another body" in other.data["detail"]
    assert made() == 1


@pytest.mark.django_db
def test_keys_are_apart_by_caller_and_path_and_without_one_nothing_is_kept(key: AddKey) -> None:
    (_, mine), (_, theirs) = key("write"), key("write")

    post(mine, {"name": "a"})
    post(theirs, {"name": "a"})
    post(mine, {"name": "a"}, path="/others")
    post(mine, {"name": "a"}, idempotency_key=None)

    assert made() == 4
    assert IdempotentAnswer.objects.count() == 3


@pytest.mark.django_db
@pytest.mark.parametrize(("wrong", "status"), [("raised", 400), ("answered", 409)])
def test_a_refusal_leaves_nothing_behind_so_that_a_corrected_request_may_follow(
    key: AddKey, wrong: str, status: int
) -> None:
    _, secret = key("write")

    assert post(secret, {"name": "a", "wrong": wrong}).status_code == status
    assert made() == 0
    assert post(secret, {"name": "a"}).status_code == 201
    assert made() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("bad", ["", "x" * 256, "käse", "a\tb"])
def test_a_malformed_key_is_a_400(key: AddKey, bad: str) -> None:
    answer = post(key("write")[1], {"name": "a"}, idempotency_key=bad)

    assert answer.status_code == 400
    assert answer.data["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.django_db(transaction=True)
def test_four_at_once_create_one(key: AddKey) -> None:
    _, secret = key("write")
    answers: list[Response] = []

    def send() -> None:
        answers.append(post(secret, {"name": "a", "slow": 0.2}))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert made() == 1
    assert [answer.status_code for answer in answers] == [201] * 4
    assert [answer.data for answer in answers] == [{"made": 1, "cost": "0.10"}] * 4
    assert sum("Idempotent-Replayed" in answer for answer in answers) == 3


@pytest.mark.django_db(transaction=True)
def test_when_the_first_fails_a_waiting_one_takes_its_turn(key: AddKey) -> None:
    _, secret = key("write")
    statuses: list[int] = []

    def send(body: dict[str, object], after: float) -> None:
        time.sleep(after)
        statuses.append(post(secret, body).status_code)
        connection.close()

    first = threading.Thread(target=send, args=({"name": "a", "slow": 0.4, "wrong": "raised"}, 0))
    second = threading.Thread(target=send, args=({"name": "a"}, 0.1))
    first.start()
    second.start()
    first.join()
    second.join()

    assert sorted(statuses) == [201, 400]
    assert made() == 1


@pytest.mark.django_db
def test_old_answers_are_forgotten(key: AddKey) -> None:
    row, secret = key("write")
    post(secret, {"name": "a"}, idempotency_key="old")
    post(secret, {"name": "a"}, idempotency_key="young")
    old = timezone.now() - KEPT_FOR - timedelta(minutes=1)
    IdempotentAnswer.objects.filter(key="old").update(created_at=old)

    assert forget_old_answers() == 1
    assert list(IdempotentAnswer.objects.values_list("key", "principal")) == [("young", f"key {row.pk}")]
    assert ApiKey.objects.count() == 1


@pytest.mark.django_db
def test_the_worker_forgets_answers_and_sessions_that_are_over(key: AddKey) -> None:
    post(key("write")[1], {"name": "a"})
    IdempotentAnswer.objects.update(created_at=timezone.now() - KEPT_FOR - timedelta(minutes=1))
    Session.objects.create(session_key="over", expire_date=timezone.now() - timedelta(days=1))
    Session.objects.create(session_key="open", expire_date=timezone.now() + timedelta(days=1))

    forget_leftovers()

    assert not IdempotentAnswer.objects.exists()
    assert [session.session_key for session in Session.objects.all()] == ["open"]
