"""Outcomes of tasks by HTTP: kept once, whatever the order, exact, before or after their calls."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import zstandard
from django.db import connection, transaction
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from attribution import rollups
from attribution.models import TaskOutcome
from attribution.outcomes import Sender, record
from finops.accounts.authentication import forget_keys
from finops.accounts.models import ApiKey
from tests.attribution.api.conftest import Caller
from tests.attribution.factory import Call, book, dimension_set, price_slot

URL = "/api/v1/outcomes"
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db
Answer = dict[str, Any]  # Any: JSON


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_keys()
    yield
    forget_keys()


def said(task: Any = "t-1", outcome: Any = "success", minutes: int = 0, **more: Any) -> dict[str, Any]:
    at = (NOON + timedelta(minutes=minutes)).isoformat()
    return {"task_id": task, "outcome": outcome, "occurred_at": at, **more}


def send(client: Client, *items: Any, **headers: str) -> Answer:
    response = client.post(
        URL, {"outcomes": list(items)}, content_type="application/json", headers=dict(headers)
    )
    assert response.status_code == 200, response.content
    answer: Answer = response.json()
    return answer


def current() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source, task_id, occurred_at, outcome, value_usd FROM task_outcome_current ORDER BY 1, 2"
        )
        return list(cursor.fetchall())


@pytest.fixture
def sender(caller: Caller) -> Client:
    return caller("ingest")


def test_the_same_again_is_a_duplicate_and_the_later_one_counts(sender: Client, reader: Client) -> None:
    first, later = said(), said(outcome="failure", minutes=5)

    assert send(sender, first, first)["duplicates"] == 1
    assert send(sender, later) == {
        "accepted": 1,
        "duplicates": 0,
        "superseded": 0,
        "rejected": [],
        "unknown_fields": [],
    }
    assert send(sender, said(outcome="escalated", minutes=1))["superseded"] == 1
    assert send(sender, first, later)["duplicates"] == 2

    listed = reader.get(URL, {"task_id": "t-1"}).json()["results"]
    assert [(one["outcome"], one["is_current"]) for one in listed] == [
        ("escalated", False),
        ("failure", True),
        ("success", False),
    ]
    assert [one["source"] for one in listed] == ["test"] * 3
    assert listed[1]["occurred_at"] == "2026-10-05T12:05:00Z"


@pytest.mark.parametrize("scope", ["ingest", "write"])
def test_keys_that_send_events_or_write_may_send_them(caller: Caller, scope: str) -> None:
    assert send(caller(scope), said())["accepted"] == 1


def test_others_may_not(caller: Caller) -> None:
    body = {"outcomes": [said()]}
    for scope in ("read", "gateway", "finance"):
        response = caller(scope).post(URL, body, content_type="application/json")
        assert response.status_code == 403
        assert response["Content-Type"] == "application/problem+json"
    assert Client().post(URL, body, content_type="application/json").status_code == 401
    assert caller("ingest").get(URL).status_code == 403
    assert not TaskOutcome.objects.exists()


@pytest.mark.parametrize(
    ("item", "field", "code"),
    [
        (said(task=None), "task_id", "required"),
        (said(task=""), "task_id", "required"),
        (said(task=7), "task_id", "wrong_type"),
        (said(task="x" * 129), "task_id", "too_long"),
        (said(task="a\x00b"), "task_id", "not_printable"),
        (said(task="a\ud800b"), "task_id", "not_printable"),
        (said(outcome=None), "outcome", "required"),
        (said(outcome="won"), "outcome", "not_a_choice"),
        (said(outcome=["success"]), "outcome", "not_a_choice"),
        ({"task_id": "t", "outcome": "success"}, "occurred_at", "required"),
        (said(occurred_at="2026-10-05T12:00:00"), "occurred_at", "invalid_time"),
        (said(occurred_at="2026-10-05"), "occurred_at", "invalid_time"),
        (said(occurred_at=True), "occurred_at", "invalid_time"),
        (said(occurred_at=10**30), "occurred_at", "invalid_time"),
        (said(occurred_at="2999-01-01T00:00:00Z"), "occurred_at", "in_the_future"),
        (said(occurred_at=1_790_000_000), "occurred_at", "implausible"),
        (said(value_usd="12,5"), "value_usd", "invalid"),
        (said(value_usd="NaN"), "value_usd", "invalid"),
        (said(value_usd=True), "value_usd", "wrong_type"),
        (said(value_usd={}), "value_usd", "wrong_type"),
        (said(value_usd="0.0000001"), "value_usd", "too_precise"),
        (said(value_usd="1" + "0" * 18), "value_usd", "out_of_range"),
        ("t-1", "", "wrong_type"),
    ],
)
def test_a_bad_one_never_costs_the_others(sender: Client, item: Any, field: str, code: str) -> None:
    answer = send(sender, said("good"), item, said("too"))

    assert answer["accepted"] == 2
    assert [(bad["index"], bad["field"], bad["code"]) for bad in answer["rejected"]] == [(1, field, code)]


def test_amounts_are_exact_as_numbers_and_as_texts(sender: Client, reader: Client) -> None:
    amounts = ["0.1", "1234567890.123456", "-3", "123456789012345678.000001", "1e3", "0.10"]
    items = ",".join(
        f'{{"task_id": "n{place}", "outcome": "success", "occurred_at": "2026-10-05T12:00:00Z",'
        f' "value_usd": {amount}}}'
        for place, amount in enumerate(amounts)
    )

    response = sender.post(URL, f'{{"outcomes": [{items}]}}', content_type="application/json")

    assert response.json()["rejected"] == []
    kept = dict(TaskOutcome.objects.values_list("task_id", "value_usd"))
    assert kept == {f"n{place}": Decimal(amount) for place, amount in enumerate(amounts)}
    assert reader.get(URL, {"task_id": "n5"}).json()["results"][0]["value_usd"] == "0.1"
    assert send(sender, said("n5", value_usd="0.100"))["duplicates"] == 1
    nan = '{"task_id": "x", "outcome": "success", "occurred_at": "2026-10-05T12:00:00Z", "value_usd": NaN}'
    response = sender.post(URL, f"[{nan}]", content_type="application/json")
    assert [bad["code"] for bad in response.json()["rejected"]] == ["invalid"]


@pytest.mark.parametrize(
    ("compress", "encoding"), [(gzip.compress, "gzip"), (zstandard.ZstdCompressor().compress, "zstd")]
)
def test_bodies_may_be_compressed(sender: Client, compress: Any, encoding: str) -> None:
    body = compress(msgspec.json.encode({"outcomes": [said()]}))

    response = sender.post(URL, body, content_type="application/json", headers={"Content-Encoding": encoding})

    assert response.json()["accepted"] == 1


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b'{"events": []}', "application/json", 400),
        (b'{"outcomes": {}}', "application/json", 400),
        (b"[" + b",".join([b"1"] * 10_001) + b"]", "application/json", 413),
        (b" " * (16 * 1024 * 1024 + 1), "application/json", 413),
        (b"<a/>", "application/xml", 415),
    ],
)
def test_a_body_that_is_none_is_refused_as_a_whole(
    sender: Client, body: bytes, content_type: str, status: int
) -> None:
    response = sender.post(URL, body, content_type=content_type)

    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"


def test_ten_thousand_at_once(sender: Client) -> None:
    items = [said(f"t-{number}") for number in range(10_000)]

    assert send(sender, *items)["accepted"] == 10_000
    assert send(sender, *items[::-1])["duplicates"] == 10_000


def test_a_bound_key_speaks_for_its_own_source(db: None) -> None:
    for bound in ({"source": "crm"}, {"team": "search"}):
        secret = ApiKey.issue("k", ["ingest"], **bound)[1]
        client = Client(headers={"Authorization": f"Bearer {secret}"})
        answer = send(client, said("a"), said("b", source="other"))
        assert [bad["code"] for bad in answer["rejected"]] == ["source_not_allowed"]
    assert set(TaskOutcome.objects.values_list("source", "team")) == {("crm", ""), ("k", "search")}


def test_the_same_task_of_another_source_is_another_task(sender: Client) -> None:
    send(sender, said(), said(outcome="failure", minutes=1, source="other"))

    assert [(row[0], row[3]) for row in current()] == [("other", 2), ("test", 0)]


def test_a_caller_bound_to_a_team_sees_what_came_with_its_keys(caller: Caller, sender: Client) -> None:
    send(sender, said("anybody's"))
    send(caller("ingest", team="search"), said("theirs"))

    listed = caller("read", team="search").get(URL).json()["results"]

    assert [one["task_id"] for one in listed] == ["theirs"]
    assert caller("read", team="chat").get(URL).json()["results"] == []


def test_pages(sender: Client, reader: Client) -> None:
    send(sender, *(said(f"t-{number}") for number in range(5)))
    seen, address = [], f"{URL}?limit=2"
    while address:
        page = reader.get(address).json()
        seen += [one["task_id"] for one in page["results"]]
        address = page["next"]
    assert sorted(seen) == [f"t-{number}" for number in range(5)]
    assert len(seen) == 5


def test_an_idempotency_key_gets_the_first_answer(sender: Client) -> None:
    first = send(sender, said(), **{"Idempotency-Key": "once"})

    assert send(sender, said(), **{"Idempotency-Key": "once"}) == first
    response = sender.post(
        URL, {"outcomes": [said("x")]}, content_type="application/json", headers={"Idempotency-Key": "once"}
    )
    assert response.status_code == 422


def test_names_it_does_not_know_are_told(sender: Client) -> None:
    assert send(sender, said(valu_usd=3, prompt="secret"))["unknown_fields"] == ["prompt", "valu_usd"]


@pytest.mark.parametrize("is_before", [True, False])
def test_an_outcome_meets_the_calls_of_its_task(sender: Client, is_before: bool) -> None:
    if is_before:
        send(sender, said("job-9", source="app"))
    sets, slot = dimension_set(source="app"), price_slot()
    book([Call(NOON, sets, slot, {"input": 5}, event_id="e", task_id="job-9")])
    rollups.fold()
    if not is_before:
        send(sender, said("job-9", source="app"))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT o.task_id FROM task_day t JOIN dimension_set d ON d.id = t.dimension_set_id"
            " JOIN task_outcome_current o ON o.source = d.source AND o.task_key = ANY(t.keys)"
        )
        assert cursor.fetchall() == [("job-9",)]


STATEMENTS = st.builds(
    said,
    task=st.sampled_from(["a", "b"]),
    outcome=st.sampled_from(["success", "failure", "escalated"]),
    minutes=st.integers(0, 2),
    value_usd=st.sampled_from([None, "0", "1", "1.0", "-2.5"]),
)


class WhateverTheOrder(TestCase):
    """The state depends on which statements were made, and on nothing else."""

    @settings(deadline=None, max_examples=60)
    @given(st.lists(STATEMENTS, max_size=8), st.data())
    def test_the_same_ones_leave_the_same_state(self, items: list[Any], data: st.DataObject) -> None:
        again = data.draw(st.permutations(items + data.draw(st.lists(st.sampled_from(items or [said()])))))
        again = again if items else []
        cut = data.draw(st.integers(0, len(again)))

        states = []
        for requests in ([items], [again[:cut], again[cut:]], [[one] for one in again]):
            with transaction.atomic():
                answers = [record({"outcomes": batch}, Sender("k", "s")) for batch in requests]
                states.append((current(), sum(answer.accepted for answer in answers)))
                transaction.set_rollback(True)

        assert states[0] == states[1]
        assert states[0] == states[2]
