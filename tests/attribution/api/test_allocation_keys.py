"""Allocation keys by HTTP: declared, asked for by rules and contracts, grouped and filtered by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from attribution import allocation_keys, rollups
from attribution.models import SourceContract
from attribution.registry import ensure_team
from finops.accounts.models import AuditEntry
from finops.core.meters import Meter
from tests.attribution.api.conftest import Caller
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
DAYS = {"from": "2026-10-01", "to": "2026-11-01"}
OCTOBER = urlencode(DAYS)


def post(client: Client, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    response = client.post(f"/api/v1/{path}", body, content_type="application/json")
    return response.status_code, response.json()


@pytest.fixture
def projects(db: None) -> None:
    """apollo: 2 calls of $1; gemini: one; none: one. All of October."""
    allocation_keys.declare("project", actor="ann")
    slot = price_slot({Meter.INPUT: "1.25"})
    sets = [dimension_set({"project": name} if name else {}) for name in ("apollo", "apollo", "gemini", "")]
    at = datetime(2026, 10, 5, 12, tzinfo=UTC)
    book(Call(at, one, slot, {"input": 10**6}, event_id=f"e{n}") for n, one in enumerate(sets))
    rollups.fold()


def test_a_key_is_declared_limited_looked_at_and_dropped(writer: Client) -> None:
    status, made = post(writer, "allocation_keys", key="project")
    assert (status, made["name"], made["most_values"], made["dropped_at"]) == (201, "tags.project", 500, None)
    assert made["declared_at"].endswith("Z")
    status, problem = post(writer, "allocation_keys", key="project")
    assert (status, problem["errors"][0]["code"]) == (409, "taken")

    address = "/api/v1/allocation_keys/project"
    limited = writer.patch(address, {"most_values": 7}, content_type="application/json").json()
    assert limited["most_values"] == 7
    assert writer.get(address).json() == limited
    assert writer.delete(address).status_code == 204
    assert writer.get(address).status_code == 404
    (kept,) = writer.get("/api/v1/allocation_keys").json()["results"]
    assert kept["dropped_at"] is not None

    assert post(writer, "allocation_keys", key="project", most_values=9)[0] == 201
    actions = AuditEntry.objects.filter(subject_kind="allocation key", subject="project").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "allocation_key.declared",
        "allocation_key.changed",
        "allocation_key.dropped",
        "allocation_key.declared",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"key": "No Key"}, "key"),
        ({"key": "x", "most_values": 0}, "most_values"),
        ({"key": "x", "colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(
    writer: Client, body: dict[str, Any], field: str
) -> None:
    status, problem = post(writer, "allocation_keys", **body)

    assert (status, [one["field"] for one in problem["errors"]]) == (400, [field])


def test_a_key_that_is_asked_for_is_not_dropped(writer: Client) -> None:
    post(writer, "allocation_keys", key="project")
    post(writer, "source_contracts", source="bots", required=["tags.project"])

    response = writer.delete("/api/v1/allocation_keys/project")

    assert response.status_code == 409
    assert "the contract of bots" in response.json()["detail"]


def test_who_may_read_and_who_may_declare(caller: Caller, projects: None) -> None:
    reader, bound = caller("read"), caller("read", "write", team="chat")

    (seen,) = reader.get("/api/v1/allocation_keys").json()["results"]
    assert seen["values"] is not None
    (seen,) = bound.get("/api/v1/allocation_keys").json()["results"]
    assert (seen["values"], seen["calls"]) == (None, None)
    for client in (reader, bound):
        assert post(client, "allocation_keys", key="other")[0] == 403
        assert client.delete("/api/v1/allocation_keys/project").status_code == 403
    assert Client().get("/api/v1/allocation_keys").status_code == 401


def test_costs_are_grouped_and_filtered_by_a_tag(reader: Client, projects: None) -> None:
    address = f"/api/v1/costs?{OCTOBER}&measures=list_cost,calls&group_by="
    answer = reader.get(f"{address}tags.project").json()

    found = {group["key"]["tags.project"]: group["buckets"][0]["calls"] for group in answer["groups"]}
    assert found == {"apollo": 2, "gemini": 1, None: 1}
    assert answer["total"] == reader.get(f"{address}model").json()["total"]
    for wanted, calls in (("tags.project:apollo", 2), ("!tags.project:apollo", 2), ("tags.project:", 1)):
        assert reader.get(f"{address}team&filter={wanted}").json()["total"]["calls"] == calls
    both = reader.get(f"{address}tags.project,model&granularity=day").json()
    assert {tuple(group["key"]) for group in both["groups"]} == {("tags.project", "model")}


def test_calls_are_listed_by_a_tag(reader: Client, projects: None) -> None:
    listed = reader.get(f"/api/v1/events?{OCTOBER}&filter=tags.project:gemini").json()["results"]
    assert [(one["event_id"], one["allocated_tags"]) for one in listed] == [("e2", {"project": "gemini"})]


@pytest.mark.parametrize("name", ["tags.never", "tags.", "tags.A", "tags.x' OR true --", "tagsproject"])
def test_a_tag_that_was_never_declared_is_no_dimension(reader: Client, projects: None, name: str) -> None:
    for parameter, value in (("group_by", name), ("filter", f"{name}:x")):
        response = reader.get("/api/v1/costs", {**DAYS, parameter: value})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, parameter)
    response = reader.get("/api/v1/events", {**DAYS, "filter": f"{name}:x"})
    assert response.status_code == 400


def test_what_was_booked_is_grouped_by_a_key_that_was_dropped(reader: Client, projects: None) -> None:
    allocation_keys.drop("project", actor="ann")

    answer = reader.get(f"/api/v1/costs?{OCTOBER}&group_by=tags.project").json()

    assert len(answer["groups"]) == 3


def test_a_rule_and_its_trial_by_tag(writer: Client) -> None:
    ensure_team("chat", actor="ann")
    rule = {"name": "apollo", "match": {"tags.project": "apollo*"}, "set": {"team": "chat"}}
    status, problem = post(writer, "tagging_rules", **rule)
    assert (status, problem["errors"][0]["field"]) == (400, "match.tags.project")

    post(writer, "allocation_keys", key="project")
    assert post(writer, "tagging_rules", **rule)[0] == 201
    status, told = post(writer, "tagging_rules/test", tags={"project": "apollo-1"})
    assert (status, told["team"], told["rule"]) == (200, "chat", 'tagging rule "apollo"')
    assert post(writer, "tagging_rules/test", tags={"else": "x"})[0] == 400


def test_a_contract_by_tag(writer: Client) -> None:
    assert post(writer, "source_contracts", source="bots", required=["tags.project"])[0] == 400
    post(writer, "allocation_keys", key="project")
    status, _ = post(
        writer,
        "source_contracts",
        source="bots",
        required=["tags.project"],
        allowed={"tags.project": ["apollo"]},
        aliases={"tags.project": {"Apollo": "apollo"}},
    )
    assert (status, SourceContract.objects.get().required) == (201, ["tags.project"])
