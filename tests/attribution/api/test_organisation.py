"""Teams, features, tiers, cost centres and business units by HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from attribution.models import Attribution, Team
from finops.accounts.models import AuditEntry
from tests.attribution.api.conftest import Caller
from tests.attribution.factory import dimension_set

pytestmark = pytest.mark.django_db


def post(client: Client, kind: str, *, key: str = "", **body: Any) -> tuple[int, dict[str, Any]]:
    headers = {"Idempotency-Key": key} if key else {}
    response = client.post(f"/api/v1/{kind}", body, content_type="application/json", headers=headers)
    return response.status_code, response.json()


def test_a_team_is_made_with_its_whole_hierarchy_and_moved_from_a_day(writer: Client) -> None:
    made = dimension_set(team="search")

    status, body = post(writer, "teams", slug="search", name="Search", cost_centre="c1", business_unit="b1")
    assert (status, body["cost_centre"], body["business_unit"]) == (201, "c1", "b1")
    status, body = post(writer, "teams", slug="search", cost_centre="c2", effective_from="2026-10-15")
    assert (status, body["name"], body["cost_centre"]) == (200, "Search", "c2")
    assert body["history"] == [
        {"valid_from": None, "valid_to": "2026-10-15", "cost_centre": "c1"},
        {"valid_from": "2026-10-15", "valid_to": None, "cost_centre": "c2"},
    ]

    rows = Attribution.objects.filter(dimension_set_id=made, known_to=None).order_by("cost_centre")
    assert list(rows.values_list("team", "cost_centre", "business_unit")) == [
        ("search", "c1", "b1"),
        ("search", "c2", None),
    ]
    assert AuditEntry.objects.filter(actor="key: test", action="team.moved").count() == 2


def test_a_feature_gets_an_owner_by_either_name_of_the_field(writer: Client) -> None:
    for slug in ("search", "chat"):
        post(writer, "teams", slug=slug)

    assert post(writer, "features", slug="f", team="search")[1]["owner_team"] == "search"
    status, body = post(writer, "features", slug="f", owner_team="chat", effective_from="2026-10-15")
    assert (status, body["owner_team"], len(body["history"])) == (200, "chat", 2)
    assert post(writer, "features", slug="f", owner_team="gone")[0] == 400
    assert post(writer, "features", slug="f", owner_team="chat", team="search")[0] == 400


def test_names_are_listed_looked_at_and_changed(writer: Client) -> None:
    for kind in ("teams", "features", "tiers", "cost_centres", "business_units"):
        assert post(writer, kind, slug="b")[0] == 201
        assert post(writer, kind, slug="a", name="A")[0] == 201

        page = writer.get(f"/api/v1/{kind}?limit=1").json()
        assert [row["slug"] for row in page["results"]] == ["a"]
        assert [row["slug"] for row in writer.get(page["next"]).json()["results"]] == ["b"]
        changed = writer.patch(f"/api/v1/{kind}/a", {"name": "Z"}, content_type="application/json")
        assert (changed.status_code, changed.json()["name"]) == (200, "Z")
        assert writer.get(f"/api/v1/{kind}/a").json()["name"] == "Z"
        assert writer.get(f"/api/v1/{kind}/c").status_code == 404
        assert writer.patch(f"/api/v1/{kind}/c", {}, content_type="application/json").status_code == 404
        assert writer.patch(f"/api/v1/{kind}/a", [], content_type="application/json").status_code == 400


def test_the_same_key_makes_a_team_once(writer: Client) -> None:
    first = post(writer, "teams", slug="search", key="k1")
    assert post(writer, "teams", slug="search", key="k1") == first
    assert first[0] == 201
    assert post(writer, "teams", slug="chat", key="k1")[0] == 422
    assert Team.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("teams", {}),
        ("teams", {"slug": ""}),
        ("teams", {"slug": "x" * 129}),
        ("teams", {"slug": "a", "colour": "red"}),
        ("teams", {"slug": "a", "effective_from": "soon"}),
        ("teams", {"slug": "a", "business_unit": "b"}),
        ("teams", {"slug": "a\u200b\u0007"}),
    ],
)
def test_bad_input_is_refused_by_field(writer: Client, kind: str, body: dict[str, Any]) -> None:
    status, problem = post(writer, kind, **body)
    assert (status, len(problem["errors"])) == (400, 1)
    assert not Team.objects.exists()


def test_only_writers_write_and_a_bound_key_sees_its_own_team(writer: Client, caller: Caller) -> None:
    for slug in ("search", "chat"):
        post(writer, "teams", slug=slug)

    assert post(caller("read"), "teams", slug="x")[0] == 403
    bound = caller("read", "write", team="chat")
    assert post(bound, "teams", slug="x")[0] == 403
    assert [team["slug"] for team in bound.get("/api/v1/teams").json()["results"]] == ["chat"]
    assert bound.get("/api/v1/teams/search").status_code == 404
