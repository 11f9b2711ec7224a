"""The price API: true answers, exact strings, every mistake named."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from finops.accounts.authentication import forget_keys
from finops.accounts.models import ApiKey
from pricing.models import Price
from pricing.publishing import publish
from pricing.vendored import Catalogue
from tests import price_list
from tests.pricing.test_publishing import price

pytestmark = pytest.mark.django_db
Ask = Callable[..., Any]
URL = "/api/v1/prices/rate"
CALL = {"provider": "openai", "model": "gpt-4o", "occurred_at": "2026-11-10T12:00:00Z"}


@pytest.fixture
def headers(db: None) -> dict[str, str]:
    forget_keys()
    _, secret = ApiKey.issue("ci", ["read"])
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def ask(client: Client, headers: dict[str, str]) -> Ask:
    price_list.load()

    def post(expect: int = 200, **fields: object) -> Any:
        answer = client.post(URL, {**CALL, **fields}, content_type="application/json", headers=headers)
        assert answer.status_code == expect, answer.content
        return answer.json()

    return post


def at_list(meter: str, quantity: str, unit_price: str | None, cost: str | None) -> dict[str, object]:
    """The line of a meter for which nothing was negotiated."""
    listed = {"unit_price": unit_price, "cost": cost}
    contracted = {"contracted_unit_price": unit_price, "contracted_cost": cost, "agreement": None}
    return {"meter": meter, "quantity": quantity, **listed, **contracted}


def test_priced_call_shows_its_arithmetic_in_exact_strings(ask: Ask) -> None:
    answer = ask(usage={"input_tokens": 12345, "cache_read_tokens": 10000, "output_tokens": 678})

    stored = Price.objects.get(pk=answer["price"]["id"])
    assert answer == {
        "status": "priced",
        "currency": "USD",
        "cost": "0.0251425",
        "contracted_cost": "0.0251425",
        "cache_savings": "0.0125",
        "lines": [
            at_list("input", "2345", "0.0000025", "0.0058625"),
            at_list("cache_read", "10000", "0.00000125", "0.0125"),
            at_list("output", "678", "0.00001", "0.00678"),
        ],
        "price": {
            "id": stored.pk,
            "provider": "openai",
            "model": "gpt-4o",
            "effective_from": None,
            "effective_to": None,
            "source": stored.source,
            "evidence": "provider",
        },
        "reason": "",
    }


def test_unknown_model_is_unpriced_with_a_reason(ask: Ask) -> None:
    answer = ask(model="gpt-99", usage={"input_tokens": 1, "units": {"web_search_calls": "2"}})

    assert (answer["status"], answer["cost"], answer["price"]) == ("unpriced", None, None)
    assert [line["cost"] for line in answer["lines"]] == [None, None]
    assert "gpt-99" in answer["reason"]


def test_meter_without_a_price_is_left_out_and_said_so(ask: Ask) -> None:
    answer = ask(model="gpt-5-pro", usage={"input_tokens": 20_000, "cache_read_tokens": 10_000})

    assert (answer["status"], answer["cost"]) == ("partially_priced", "0.15")
    assert answer["lines"][1] == at_list("cache_read", "10000", None, None)


def test_answer_of_the_own_cache_costs_nothing_and_saves_all(ask: Ask) -> None:
    answer = ask(usage={"input_tokens": 1000, "output_tokens": 100}, response_cache="hit")

    assert (answer["status"], answer["cost"], answer["cache_savings"]) == ("priced", "0", "0.0035")


def test_tier_that_was_served_wins_over_the_tier_that_was_asked_for(ask: Ask) -> None:
    counts = {"input_tokens": 2000, "input_tokens_details": {"cached_tokens": 1000}, "output_tokens": 500}

    def cost(served: str) -> str:
        raw = {"usage": counts, "service_tier": served}
        call = {"model": "gpt-5-mini", "service_tier": "flex", "api_flavor": "openai.responses"}
        return str(ask(raw_usage=raw, **call)["cost"])

    assert (cost("flex"), cost("default")) == ("0.0006375", "0.001275")


def test_anthropic_semantics_add_what_the_input_leaves_out(ask: Ask) -> None:
    call = {"provider": "anthropic", "model": "claude-sonnet-4-5"}
    usage = {"input_tokens": 5000, "cache_read_tokens": 3000}

    assert ask(**call, usage=usage, usage_semantics="anthropic")["cost"] == "0.0159"
    assert ask(**call, usage=usage)["cost"] == "0.0069"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"usage": {"input_tokens": 500, "cache_read_tokens": 900}}, "input_tokens"),
        ({"usage": {"input_tokens": -1}}, "usage.input_tokens"),
        ({"usage": {"input_tokens": 10**9 + 1}}, "usage.input_tokens"),
        ({"usage": {"input_tokens": 1.5}}, "usage.input_tokens"),
        ({"usage": {"input_token": 5}}, "usage.input_token"),
        ({"usage": {}}, "usage"),
        ({"usage": {"units": {"audio_seconds": "-1"}}}, "usage.units.audio_seconds"),
        ({}, "usage"),
        ({"raw_usage": {"prompt_tokens": 1}}, "api_flavor"),
        ({"raw_usage": {"prompt_tokens": "1"}, "api_flavor": "openai.chat"}, "raw_usage.prompt_tokens"),
        ({"raw_usage": {}, "api_flavor": "acme.chat"}, "api_flavor"),
        (
            {"raw_usage": {"prompt_tokens": 1}, "api_flavor": "openai.chat", "usage": {"input_tokens": 2}},
            "raw_usage",
        ),
        ({"usage": {"input_tokens": 1}, "occurred_at": "2026-11-10T12:00:00"}, "occurred_at"),
        ({"usage": {"input_tokens": 1}, "occurred_at": "yesterday"}, "occurred_at"),
        ({"usage": {"input_tokens": 1}, "usage_semantics": "mine"}, "usage_semantics"),
        ({"usage": {"input_tokens": 1}, "modle": "x"}, "modle"),
        ({"usage": {"input_tokens": 1}, "provider": "p" * 65}, "provider"),
    ],
)
def test_mistake_is_refused_and_named(ask: Ask, fields: dict[str, object], field: str) -> None:
    answer = ask(400, **fields)

    assert [problem["field"] for problem in answer["errors"]] == [field]
    assert answer["status"] == 400


def test_time_may_be_in_milliseconds(ask: Ask) -> None:
    usage = {"input_tokens": 1_000_000}

    assert ask(usage=usage, occurred_at=1_793_000_000_000)["cost"] == "2.5"


def test_stranger_is_refused(client: Client, db: None) -> None:
    forget_keys()
    _, secret = ApiKey.issue("sender", ["ingest"])

    assert client.post(URL, CALL, content_type="application/json").status_code == 401
    assert client.get("/api/v1/prices").status_code == 401
    assert client.get("/api/v1/prices", headers={"Authorization": f"Bearer {secret}"}).status_code == 403


def test_list_is_paged_by_cursor_and_filtered_by_both_times(client: Client, headers: dict[str, str]) -> None:
    price_list.load()

    def listed(**query: str) -> Any:
        return client.get("/api/v1/prices", query, headers=headers).json()

    first = listed(limit="2", provider="openai")
    second = client.get(first["next"], headers=headers).json()
    assert len(first["results"]) == len(second["results"]) == 2
    assert first["previous"] is None
    assert first["results"][0]["id"] not in [row["id"] for row in second["results"]]

    o3 = listed(provider="openai", model="o3", at="2025-06-05T00:00:00Z")["results"]
    standard = [row for row in o3 if row["service_tier"] == "standard" and row["processing"] == "sync"]
    assert [row["rates"][0] for row in standard] == [
        {"meter": "input", "unit_price": "10", "per": 1_000_000, "minimum": None}
    ]
    assert listed(provider="openai", as_of="2020-01-01T00:00:00Z")["results"] == []
    assert client.get("/api/v1/prices?at=noon", headers=headers).status_code == 400


def test_correction_shows_in_the_list_and_the_past_can_be_asked(
    client: Client, headers: dict[str, str]
) -> None:
    for digest, dearness in (("a", "1"), ("b", "2")):
        publish(Catalogue([price("m", dearness)], [], []), label="desk", digest=digest, published_by="t")
    known_first = Price.objects.order_by("id").first()
    assert known_first is not None

    def unit_prices(**query: str) -> list[str]:
        answer = client.get("/api/v1/prices", {"provider": "acme", **query}, headers=headers).json()
        return [row["rates"][0]["unit_price"] for row in answer["results"]]

    assert unit_prices() == ["2"]
    published_at = known_first.version.published_at
    assert published_at is not None
    assert unit_prices(as_of=published_at.isoformat()) == ["1"]
    assert Decimal(unit_prices()[0]) == 2
