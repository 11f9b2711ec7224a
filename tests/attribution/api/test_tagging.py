"""Tagging rules and source contracts by HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from attribution.models import Attribution, DimensionSet, TaggingRule
from attribution.organisation import today
from attribution.registry import create_feature, ensure_team
from tests.attribution.api.conftest import Caller
from tests.attribution.factory import dimension_set

pytestmark = pytest.mark.django_db
RULE = {"name": "bots", "match": {"workflow": "bot*"}, "set": {"team": "chat"}, "effective_from": None}


@pytest.fixture(autouse=True)
def company(db: None) -> None:
    for slug in ("search", "chat"):
        ensure_team(slug, actor="ann")
    create_feature("finder", actor="ann")


def post(client: Client, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    response = client.post(f"/api/v1/{path}", body, content_type="application/json")
    return response.status_code, response.json()


def test_a_rule_is_made_changed_put_in_order_and_retired(writer: Client) -> None:
    made = dimension_set(workflow="bot-1")
    status, rule = post(writer, "tagging_rules", **RULE)
    assert (status, rule["match"], rule["set"], rule["valid_from"]) == (
        201,
        {"workflow": ["bot*"]},
        {"team": "chat"},
        None,
    )
    other = post(writer, "tagging_rules", **{**RULE, "name": "others", "position": 1})[1]
    listed = writer.get("/api/v1/tagging_rules").json()["results"]
    assert [one["name"] for one in listed] == ["others", "bots"]

    address = f"/api/v1/tagging_rules/{rule['id']}"
    body = {"set": {"team": "search"}, "effective_from": "2026-10-15"}
    changed = writer.patch(address, body, content_type="application/json").json()
    assert (changed["match"], changed["set"]) == ({"workflow": ["bot*"]}, {"team": "search"})
    status, page = post(
        writer, "tagging_rules/order", order=[rule["id"], other["id"]], effective_from="2026-10-15"
    )
    assert (status, [one["name"] for one in page["results"]]) == (200, ["bots", "others"])
    rows = Attribution.objects.filter(dimension_set_id=made, known_to=None)
    assert {(row.valid_from, row.team) for row in rows if row.valid_from} != set()

    status, retired = post(writer, f"tagging_rules/{rule['id']}/retire", effective_from="2026-10-20")
    assert (status, retired["active"], len(retired["history"])) == (200, False, 3)
    assert post(writer, "tagging_rules/999/retire")[0] == 404


def test_a_preview_and_a_trial_store_nothing(writer: Client) -> None:
    day = today().isoformat()
    status, told = post(writer, "tagging_rules/preview", rule={**RULE, "effective_from": day})
    assert (status, told["from"], told["moved"]) == (200, day, [])
    assert not TaggingRule.objects.exists()

    post(writer, "tagging_rules", **RULE)
    status, told = post(writer, "tagging_rules/test", workflow="bot-7", source="x")
    assert (status, told["team"], told["rule"]) == (200, "chat", 'tagging rule "bots"')
    assert [one["rule"] for one in told["met"]] == ["bots"]
    assert not DimensionSet.objects.exists()
    assert post(writer, "tagging_rules/test", customer="x")[0] == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**RULE, "set": {"team": "gone"}}, "set.team"),
        ({**RULE, "match": {}}, "match"),
        ({**RULE, "match": {"workflow": [1]}}, "match.workflow"),
        ({**RULE, "match": {"customer": "x"}}, "match.customer"),
        ({**RULE, "effective_from": "soon"}, "effective_from"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(
    writer: Client, body: dict[str, Any], field: str
) -> None:
    status, problem = post(writer, "tagging_rules", **body)

    assert (status, [one["field"] for one in problem["errors"]]) == (400, [field])


def test_who_may_read_rules_and_who_may_change_them(caller: Caller) -> None:
    reader, bound = caller("read"), caller("read", "write", team="chat")

    assert reader.get("/api/v1/tagging_rules").status_code == 200
    assert post(reader, "tagging_rules/test", workflow="x")[0] == 200
    for client in (reader, bound):
        assert post(client, "tagging_rules", **RULE)[0] == 403
        assert post(client, "tagging_rules/preview", rule=RULE)[0] == 403
        assert post(client, "source_contracts", source="bots")[0] == 403
    assert Client().get("/api/v1/tagging_rules").status_code == 401


def test_a_contract_is_made_changed_looked_at_and_dropped(writer: Client) -> None:
    status, made = post(writer, "source_contracts", source="a/b", required=["team"], mode="quarantine")
    assert (status, made["required"], made["mode"]) == (201, ["team"], "quarantine")

    address = "/api/v1/source_contracts/a/b"
    changed = writer.patch(address, {"aliases": {"team": {"X": "x"}}}, content_type="application/json")
    assert (changed.json()["required"], changed.json()["aliases"]) == (["team"], {"team": {"X": "x"}})
    assert writer.get(address).json() == changed.json()
    assert [one["source"] for one in writer.get("/api/v1/source_contracts").json()["results"]] == ["a/b"]
    assert post(writer, "source_contracts", source="c", required=["customer"])[0] == 400
    assert writer.delete(address).status_code == 204
    assert writer.get(address).status_code == 404
