"""The health of the ingest, and the quarantine, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from attribution.rollups import fold
from finops.accounts.models import Scope
from tests.attribution.ingest.conftest import Send, event, issue_key


def get(client: Client, path: str, key: str, **query: Any) -> Any:  # Any: JSON
    """The body of a good answer."""
    response = client.get(path, query, headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 200, response.content
    return response.json()


@pytest.fixture
def reader(db: None) -> str:
    return issue_key("reader", Scope.READ)


def test_health_tells_lag_rates_and_coverage(send: Send, client: Client, reader: str) -> None:
    send(event("a", feature="chat"), event("b"), event("c", source="batch", team="x"))

    before = get(client, "/api/v1/ingest/health", reader)
    fold()
    after = get(client, "/api/v1/ingest/health", reader)

    assert (before["unfolded_batches"], before["unfolded_calls"]) == (1, 3)
    assert before["rates"] == {"1m": 3 / 60, "5m": 3 / 300, "60m": 3 / 3600}
    assert (after["unfolded_batches"], after["lag_seconds"]) == (0, 0)
    assert [(s["source"], s["calls"], s["tagged_share"]) for s in after["sources"]] == [
        ("service", 2, 0.5),
        ("batch", 1, 1.0),
    ]
    assert {s["priced_share"] for s in after["sources"]} == {0.0}


def test_the_quarantine_is_listed_newest_first_in_pages(send: Send, client: Client, reader: str) -> None:
    names = [f"e-{n}" for n in range(5)]
    send(*[event(name) for name in names])
    for name in names:
        send(event(name, model="other"))

    first = get(client, "/api/v1/quarantine", reader, limit=3)
    second = client.get(first["next"], headers={"Authorization": f"Bearer {reader}"}).json()

    assert [record["event_id"] for record in first["results"] + second["results"]] == names[::-1]
    assert second["next"] is None
    assert get(client, "/api/v1/quarantine", reader, reason="invalid")["results"] == []


def test_a_key_of_a_team_sees_the_quarantine_of_its_team_only(send: Send, client: Client) -> None:
    send(event("a", team="search"), event("b", team="ads"))
    send(event("a", team="search", model="x"), event("b", team="ads", model="x"))
    key = issue_key("search-reader", Scope.READ, team="search")

    assert [r["event_id"] for r in get(client, "/api/v1/quarantine", key)["results"]] == ["a"]


def test_state_needs_a_key_that_may_read(client: Client, db: None) -> None:
    key = issue_key("sender")

    for path in ("/api/v1/ingest/health", "/api/v1/quarantine"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": f"Bearer {key}"}).status_code == 403


def test_the_openapi_document_describes_the_event(client: Client, db: None) -> None:
    document = client.get("/api/schema/", {"format": "json"}).json()

    post = document["paths"]["/api/v1/events"]["post"]
    assert set(post["responses"]) == {"200", "202", "400", "401", "403", "413", "415", "422", "503"}
    schemas = document["components"]["schemas"]
    assert schemas["Event"]["required"] == ["event_id", "occurred_at", "provider", "model"]
    assert "default" not in schemas["Usage"]["properties"]["input_tokens"]
    assert document["paths"]["/api/v1/ingest/health"]["get"]["operationId"] == "ingest_health"
