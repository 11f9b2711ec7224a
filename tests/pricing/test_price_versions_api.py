"""Prices and versions by the API: drafts, refusals that name what is wrong, roles, repetitions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from finops.accounts.authentication import forget_keys
from finops.accounts.models import ApiKey, AuditEntry
from pricing.facts import Facts
from pricing.models import BookVersion, Price
from pricing.slots import SlotBook
from tests.pricing.test_drafts import TOMORROW, in_book
from tests.pricing.test_publishing import price

pytestmark = pytest.mark.django_db
Send = Callable[..., Any]
PRICES, VERSIONS = "/api/v1/prices", "/api/v1/price_versions"
RATE = {"meter": "input", "unit_price": "2"}
BODY: dict[str, Any] = {"provider": "acme", "model": "m", "rates": [RATE]}


@pytest.fixture
def send(client: Client, db: None) -> Send:
    forget_keys()
    _, secret = ApiKey.issue("desk", ["read", "write"])

    def post(path: str, body: object = None, *, expect: int = 201, **headers: str) -> Any:
        answer = client.post(
            path,
            {} if body is None else body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}", **headers},
        )
        assert answer.status_code == expect, answer.content
        return answer.json()

    return post


@pytest.fixture
def get(client: Client, db: None) -> Send:
    _, secret = ApiKey.issue("reader", ["read"])

    def ask(path: str, *, expect: int = 200, **query: str) -> Any:
        answer = client.get(path, query, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == expect, answer.content
        return answer.json()

    return ask


def test_price_is_drafted_reviewed_and_published_by_the_api(send: Send, get: Send) -> None:
    made = send(
        PRICES,
        {
            **BODY,
            "rates": [RATE, {"meter": "web_search_calls", "unit_price": "10", "per": 1000}],
            "context_threshold": 200_000,
            "context_operator": "ge",
            "mode": "marginal",
            "service_tier": "Priority",
            "region": "EU-*",
            "schedule": {"name": "peak", "windows": [["01:00", "04:00"]], "days": [0, 1]},
            "effective_from": "2027-01-01T01:00:00+01:00",
            "label": "contracts desk",
        },
    )

    number = made["version"]["id"]
    assert (made["version"]["status"], made["version"]["created_by"]) == ("draft", "key: desk")
    (row,) = made["prices"]
    assert (row["service_tier"], row["region"], row["mode"]) == ("priority", "eu-*", "marginal")
    assert row["effective_from"] == "2027-01-01T00:00:00Z"
    assert row["rates"][1] == {"meter": "web_search_calls", "unit_price": "10", "per": 1000, "minimum": None}
    assert get(PRICES, provider="acme")["results"] == []
    assert len(get(PRICES, version=str(number))["results"]) == 1

    assert send(f"{VERSIONS}/{number}/review", expect=200)["status"] == "reviewed"
    done = send(f"{VERSIONS}/{number}/publish", expect=200)

    assert (done["version"]["status"], done["added"], done["superseded"]) == ("published", 1, 0)
    assert done["version"]["published_by"] == "key: desk"
    assert len(done["version"]["content_hash"]) == 64
    assert [row["model"] for row in get(PRICES, provider="acme")["results"]] == ["m"]
    assert get(PRICES, provider="acme", at="2026-12-31T23:59:59Z")["results"] == []
    assert get(PRICES, provider="acme", as_of="2026-01-01T00:00:00Z")["results"] == []


def test_several_prices_go_into_one_draft_that_is_named(send: Send) -> None:
    first = send(PRICES, {"prices": [BODY, {**BODY, "model": "n"}]})["version"]["id"]

    again = send(PRICES, {"version": first, "prices": [{**BODY, "model": "o"}]})

    assert again["version"]["id"] == first
    assert [row["model"] for row in again["prices"]] == ["m", "n", "o"]
    assert send(PRICES, {"version": first + 99, **BODY}, expect=404)["title"] == "Not found"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"provider": ""}, "provider"),
        ({"rates": []}, "rates"),
        ({"rates": [{"meter": "input"}]}, "rates.0.unit_price"),
        ({"rates": [RATE, {"meter": "Out put", "unit_price": "1"}]}, "rates.1.meter"),
        ({"rates": [{"meter": "input", "unit_price": "-1"}]}, "rates.0.unit_price"),
        ({"rates": [{"meter": "input", "unit_price": "NaN"}]}, "rates.0.unit_price"),
        ({"rates": [{"meter": "input", "unit_price": "1", "per": 0}]}, "rates.0.per"),
        ({"rates": [RATE, RATE]}, "rates"),
        ({"context_operator": "gt"}, "context_threshold"),
        ({"mode": "marginal"}, "context_threshold"),
        ({"mode": "half"}, "mode"),
        ({"effective_from": "2027-01-01T00:00:00"}, "effective_from"),
        ({"effective_from": "2027-01-01T00:00:00.5Z"}, "effective_from"),
        (
            {"effective_from": "2027-01-02T00:00:00Z", "effective_to": "2027-01-01T00:00:00Z"},
            "effective_to",
        ),
        ({"schedule": {"name": "x"}}, "schedule"),
        ({"schedule": {"name": "x", "windows": [["04:00", "01:00"]]}}, "schedule"),
        ({"kind": "fees", "service_tier": "standard"}, "service_tier"),
        ({"currency": "EUR"}, "currency"),
        ({"price": "2"}, "price"),
    ],
)
def test_mistake_is_refused_and_named(send: Send, wrong: dict[str, Any], field: str) -> None:
    alone = send(PRICES, {**BODY, **wrong}, expect=400)
    among = send(PRICES, {"prices": [BODY, {**BODY, **wrong}]}, expect=400)

    assert [problem["field"] for problem in alone["errors"]] == [field]
    assert [problem["field"] for problem in among["errors"]] == [f"prices.1.{field}"]
    assert not BookVersion.objects.exists()


def test_overlap_is_refused_naming_the_row_and_may_be_replaced_or_make_room(send: Send, get: Send) -> None:
    in_book(price("m", "1"))
    row = Price.objects.get()
    new = {**BODY, "effective_from": TOMORROW.isoformat()}

    refused = send(PRICES, new, expect=400)
    assert (refused["errors"][0]["field"], refused["errors"][0]["code"]) == ("price", "overlap")
    assert f"price {row.pk} " in refused["detail"]

    replaced = send(PRICES, {**new, "replaces": [row.pk]})["prices"]
    assert [one["effective_from"] for one in replaced] == [TOMORROW.isoformat().replace("+00:00", "Z")]

    beside = send(PRICES, {**new, "overlap": "make_room"})
    spans = [
        (one["effective_from"], one["effective_to"], one["rates"][0]["unit_price"])
        for one in beside["prices"]
    ]
    start = TOMORROW.isoformat().replace("+00:00", "Z")
    assert sorted(spans, key=str) == sorted([(None, start, "1"), (start, None, "2")], key=str)
    changes = get(f"{VERSIONS}/{beside['version']['id']}")["changes"]
    assert [(one["kind"], one["replaces"], one["rates"][0]["ratio"]) for one in changes] == [
        ("changed", row.pk, "1")
    ]


def test_fees_of_one_start_are_stated_in_one_price(send: Send) -> None:
    fees = [
        {
            "kind": "fees",
            "provider": "acme",
            "model": "*",
            "rates": [{"meter": meter, "unit_price": "1", "per": 1}],
        }
        for meter in ("searches", "pages")
    ]

    refused = send(PRICES, {"prices": fees}, expect=400)

    assert [problem["code"] for problem in refused["errors"]] == ["duplicate"]
    assert not BookVersion.objects.exists()


def test_findings_are_acknowledged_one_by_one_before_the_review(send: Send, get: Send) -> None:
    in_book(price("m", "1"), price("n", "1"))
    new = {"effective_from": TOMORROW.isoformat()}
    made = send(PRICES, {"overlap": "make_room", "prices": [{**BODY, **new}, {**BODY, **new, "model": "n"}]})
    path = f"{VERSIONS}/{made['version']['id']}"

    assert "2 findings" in send(f"{path}/review", expect=409)["detail"]
    blocks = get(path)["blocks"]
    assert [(one["kind"], one["model"]) for one in blocks] == [("jump", "m"), ("jump", "n")]
    assert "+100.0%" in blocks[0]["findings"][0]
    send(f"{path}/blocks/{blocks[0]['id']}/acknowledge", {"reason": ""}, expect=400)
    send(f"{path}/blocks/{blocks[0]['id']}/acknowledge", {"reason": "announced"}, expect=200)
    assert "One finding" in send(f"{path}/review", expect=409)["detail"]
    left = send(f"{path}/leave_out", {"provider": "acme", "model": "n"}, expect=200)
    assert [one["acknowledged_by"] for one in left["blocks"]] == ["key: desk"]

    assert send(f"{path}/review", expect=200)["reviewed_by"] == "key: desk"
    assert AuditEntry.objects.filter(action="price_version.acknowledged").count() == 1


def test_version_that_restates_booked_usage_is_left_to_a_rerating(send: Send, get: Send) -> None:
    in_book(price("m", "1"))
    then = int((timezone.now() - timedelta(days=1)).timestamp()) * 1_000_000
    SlotBook().resolve([Facts("acme", "m")], np.array([then]), np.array([10]))
    number = send(PRICES, {**BODY, "rates": [{**RATE, "unit_price": "1.1"}], "overlap": "make_room"})[
        "version"
    ]["id"]
    path = f"{VERSIONS}/{number}"
    assert get(path)["usage_touched"] == ["acme/m"]
    for block in get(path)["blocks"]:
        send(f"{path}/blocks/{block['id']}/acknowledge", {"reason": "a misprint"}, expect=200)
    send(f"{path}/review", expect=200)

    assert "re-rating" in send(f"{path}/publish", expect=409)["detail"]

    later = {**BODY, "rates": [{**RATE, "unit_price": "1.1"}], "effective_from": TOMORROW.isoformat()}
    number = send(PRICES, {**later, "overlap": "make_room"})["version"]["id"]
    send(f"{VERSIONS}/{number}/review", expect=200)
    assert send(f"{VERSIONS}/{number}/publish", expect=200)["version"]["status"] == "published"


def test_repetition_creates_once(send: Send) -> None:
    first = send(PRICES, BODY, **{"Idempotency-Key": "k1"})
    again = send(PRICES, BODY, **{"Idempotency-Key": "k1"})

    assert first == again
    assert BookVersion.objects.count() == 1
    send(PRICES, {**BODY, "model": "x"}, expect=422, **{"Idempotency-Key": "k1"})


def test_draft_is_discarded_and_versions_are_listed_by_state(send: Send, get: Send) -> None:
    kept, gone = (send(VERSIONS, {"label": label})["id"] for label in ("kept", "gone"))

    send(f"{VERSIONS}/{gone}/discard", expect=200)

    assert [one["id"] for one in get(VERSIONS)["results"]] == [gone, kept]
    assert [one["id"] for one in get(VERSIONS, status="draft")["results"]] == [kept]
    assert get(VERSIONS, status="lost", expect=400)["status"] == 400
    assert send(f"{VERSIONS}/{gone}/review", expect=409)["detail"].startswith(f"Version {gone} was discarded")


def test_sheet_is_imported_as_a_draft(send: Send) -> None:
    sheet = "provider,model,input,output\nacme,m,1.5,6\n"

    made = send(f"{VERSIONS}/import", {"format": "csv", "content": sheet, "name": "acme.csv"})

    assert (made["status"], made["origin"], made["counts"]) == (
        "draft",
        "acme.csv",
        {"new": 1, "changed": 0, "ended": 0},
    )
    wrong = send(f"{VERSIONS}/import", {"format": "csv", "content": f"{sheet}acme,n,x,6\n"}, expect=400)
    assert [problem["field"] for problem in wrong["errors"]] == ["line 3, input"]
    assert send(f"{VERSIONS}/import", {"format": "json"}, expect=400)["errors"][0]["field"] == "content"


@pytest.mark.parametrize("scopes", [["read"], ["ingest"]])
def test_whoever_may_not_edit_prices_is_refused(client: Client, scopes: list[str]) -> None:
    forget_keys()
    _, secret = ApiKey.issue("other", scopes)
    headers = {"Authorization": f"Bearer {secret}"}
    version = BookVersion.objects.create(label="x", content_hash="")

    for path in (PRICES, VERSIONS, f"{VERSIONS}/import", f"{VERSIONS}/{version.pk}/review",
                 f"{VERSIONS}/{version.pk}/publish", f"{VERSIONS}/{version.pk}/discard"):  # fmt: skip
        assert client.post(path, BODY, content_type="application/json", headers=headers).status_code == 403
        assert client.post(path, BODY, content_type="application/json").status_code == 401
    allowed = 200 if "read" in scopes else 403
    assert client.get(f"{VERSIONS}/{version.pk}", headers=headers).status_code == allowed


def test_key_bound_to_a_team_may_not_edit_the_book_of_all(client: Client) -> None:
    forget_keys()
    _, secret = ApiKey.issue("theirs", ["read", "write"], team="search")

    answer = client.post(
        PRICES, BODY, content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
    )

    assert answer.status_code == 403
    assert Decimal(BookVersion.objects.count()) == 0
