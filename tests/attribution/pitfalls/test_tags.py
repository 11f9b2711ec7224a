"""Nobody can bill another team, by whichever way in; and one precedence decides between two that are said."""

from __future__ import annotations

from typing import Any

import pytest

from attribution.registry import ensure_team
from tests.attribution.ingest.conftest import event, issue_key
from tests.attribution.pitfalls.conftest import Product, Row, attributes, logged, span

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
}


@pytest.fixture(autouse=True)
def _teams(db: None) -> None:
    for team in ("search", "ads"):
        ensure_team(team, actor="ann")


def told(way: str, team: str) -> Any:  # Any: JSON
    """A call that says a team, in the words of a way in."""
    metadata = {"user_api_key_team_alias": team}
    headers = {"requester_custom_headers": {"x-finops-team": team}}
    return {
        "/api/v1/events": [event(f"e of {team}", team=team)],
        "/api/v1/ingest/litellm": [
            logged(f"key of {team}", metadata=metadata),
            logged(f"header of {team}", metadata=headers),
            logged(f"tag of {team}", request_tags=[f"team:{team}"]),
        ],
        "/v1/traces": {"resourceSpans": [resource_spans(team)]},
    }[way]


def resource_spans(team: str) -> Row:
    """One call whose resource says the team."""
    number = sum(team.encode())
    return {
        "resource": {"attributes": attributes({"service.name": "shop", "finops.team": team})},
        "scopeSpans": [{"spans": [span(number, CHAT, trace=number)]}],
    }


@pytest.mark.parametrize("way", ["/api/v1/events", "/api/v1/ingest/litellm", "/v1/traces"])
def test_a_key_of_one_team_books_to_no_other(product: Product, way: str) -> None:
    key = issue_key("bound", team="search")

    for team in ("search", "ads"):
        product.post(way, told(way, team), key=key)
    product.spans()

    assert set(product.by("team")) == {"search"}


def test_the_team_that_is_said_nearest_to_the_call_wins(product: Product) -> None:
    both = {"user_api_key_team_alias": "search", "requester_custom_headers": {"x-finops-team": "ads"}}
    product.post("/api/v1/ingest/litellm", [logged("both", metadata=both, request_tags=["team:ads"])])
    assert product.by("team") == {"search": 1}

    told_twice = resource_spans("ads")
    told_twice["scopeSpans"][0]["spans"][0]["attributes"] += attributes({"finops.team": "search"})
    product.post("/v1/traces", {"resourceSpans": [told_twice]})
    product.spans()
    assert product.by("team") == {"search": 2}
