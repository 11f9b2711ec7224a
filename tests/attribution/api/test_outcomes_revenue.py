"""Revenue by HTTP: exact, one amount at a time, with its history and in the audit log."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from attribution.organisation import put_feature
from attribution.registry import create_feature, ensure_team
from finops.accounts.models import AuditEntry
from tests.attribution.api.conftest import Caller

URL = "/api/v1/revenue"
OCTOBER = {"period": "2026-10", "tier": "pro", "revenue": "1000.10", "active_users": 40, "currency": "USD"}
pytestmark = pytest.mark.django_db


def send(client: Client, **body: Any) -> tuple[int, dict[str, Any]]:
    response = client.post(URL, body, content_type="application/json")
    return response.status_code, response.json()


def amounts(client: Client, **asked: str) -> list[tuple[str, str, bool]]:
    rows = client.get(URL, asked).json()["results"]
    return [(row["tier"], row["revenue"], row["known_to"] is None) for row in rows]


def test_a_new_amount_supersedes_the_old_which_is_kept(writer: Client) -> None:
    status, row = send(writer, **OCTOBER)
    assert (status, row["revenue"], row["active_users"], row["known_to"]) == (201, "1000.1", 40, None)
    assert send(writer, **{**OCTOBER, "revenue": "1000.100"})[0] == 200
    assert send(writer, **{**OCTOBER, "revenue": "990"})[0] == 201
    send(writer, **{**OCTOBER, "tier": "free", "revenue": "0"})
    send(writer, **{**OCTOBER, "currency": "EUR", "revenue": "7"})

    assert amounts(writer, period="2026-10", currency="USD") == [("free", "0", True), ("pro", "990", True)]
    assert amounts(writer, tier="pro", currency="USD", history="true") == [
        ("pro", "990", True),
        ("pro", "1000.1", False),
    ]
    entries = AuditEntry.objects.filter(subject_kind="revenue", subject="2026-10 pro USD").order_by("pk")
    assert [(one.action, one.actor) for one in entries] == [
        ("revenue.recorded", "key: test"),
        ("revenue.changed", "key: test"),
    ]
    assert entries[1].before == {"revenue": "1000.1", "active_users": 40}
    assert entries[1].after == {"revenue": "990", "active_users": 40}


def test_a_number_of_json_is_read_exactly(writer: Client) -> None:
    body = '{"period": "2026-10", "revenue": 123456789012345678.000001, "currency": "USD"}'

    response = writer.post(URL, body, content_type="application/json")

    assert response.json()["revenue"] == "123456789012345678.000001"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"period": "2026-13"}, "period"),
        ({"period": "2026-1"}, "period"),
        ({"currency": "usd"}, "currency"),
        ({"revenue": "a lot"}, "revenue"),
        ({"revenue": "0.0000001"}, "revenue"),
        ({"revenue": None}, "revenue"),
        ({"active_users": -1}, "active_users"),
        ({"active_users": "1.5"}, "active_users"),
        ({"tier": "a b"}, "tier"),
        ({"teir": "pro"}, "teir"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(
    writer: Client, changed: dict[str, Any], field: str
) -> None:
    status, problem = send(writer, **{**OCTOBER, **changed})

    assert (status, [one["field"] for one in problem["errors"]]) == (400, [field])
    assert amounts(writer) == []


def test_who_may_tell_and_who_may_see(caller: Caller, writer: Client) -> None:
    ensure_team("search", actor="ann")
    create_feature("finder", actor="ann")
    put_feature("finder", owner_team="search", effective_from=None, actor="ann")
    send(writer, **OCTOBER)
    send(writer, **{**OCTOBER, "tier": "", "feature": "finder", "revenue": "3"})

    for client in (caller("read"), caller("ingest"), caller("read", "write", team="search")):
        assert send(client, **OCTOBER)[0] == 403
    assert Client().get(URL).status_code == 401
    assert len(amounts(caller("read"))) == 2
    assert amounts(caller("read", team="search")) == [("", "3", True)]
    assert amounts(caller("read", team="chat")) == []


def test_an_idempotency_key_gets_the_first_answer(writer: Client) -> None:
    headers = {"Idempotency-Key": "october"}
    answers = [writer.post(URL, OCTOBER, content_type="application/json", headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1]["Idempotent-Replayed"] == "true"
