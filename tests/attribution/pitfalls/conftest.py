"""The product as its users see it: what is sent over HTTP, and what `GET /api/v1/costs` makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from attribution.ingest import writer
from attribution.ingest.otlp import settling
from attribution.ingest.otlp.mapping import forget_spellings
from attribution.rollups import fold
from finops.accounts.authentication import forget_keys
from tests import price_list
from tests.attribution.ingest.conftest import issue_key

Row = dict[str, Any]  # Any: JSON


@dataclass
class Product:
    """A client of the API with a key for each of its ways in."""

    client: Client
    keys: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, body: Any, key: str = "sender", **headers: str) -> Any:  # Any: JSON
        """The decoded answer of a request that was taken."""
        response = self.client.post(
            path,
            body if isinstance(body, bytes) else json.dumps(body).encode(),
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key(key)}", **headers},
        )
        assert response.status_code == 200, response.content
        return response.json()

    def events(self, *events: Row, key: str = "sender") -> Row:
        answer: Row = self.post("/api/v1/events", list(events), key)
        return answer

    def spans(self, *spans: Row, service: str = "shop", settle: bool = True) -> Row:
        """One request of one service, in OTLP's JSON; then everything has waited long enough."""
        resource = {"attributes": attributes({"service.name": service})}
        answer: Row = self.post(
            "/v1/traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}
        )
        if settle:
            settling.settle(wait=timedelta(0))
        return answer

    def costs(self, **asked: str) -> Row:
        """The answer for every day there is, after everything is counted."""
        fold()
        first = (datetime.now(UTC) - timedelta(days=60)).date().isoformat()
        last = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
        response = self.client.get(
            "/api/v1/costs",
            {"from": first, "to": last, "granularity": "total", **asked},
            headers={"Authorization": f"Bearer {self.key('reader', 'read')}"},
        )
        assert response.status_code == 200, response.content
        answer: Row = response.json()
        return answer

    def total(self, measure: str = "effective_cost", **asked: str) -> Any:  # Any: an amount or a count
        """One measure of everything."""
        value = self.costs(measures=measure, **asked)["total"][measure]
        return Decimal(value) if isinstance(value, str) else value

    def by(self, dimension: str, measure: str = "calls") -> dict[str | None, Any]:
        """One measure for each value of a dimension."""
        groups = self.costs(measures=measure, group_by=dimension)["groups"]
        return {group["key"][dimension]: group["buckets"][0][measure] for group in groups}

    def key(self, name: str, *scopes: str) -> str:
        """The secret of the key of this name, which is made when it is first asked for."""
        if name.startswith("fk_"):
            return name
        if name not in self.keys:
            self.keys[name] = issue_key(name, *scopes)
        return self.keys[name]


def attributes(said: Row) -> list[Row]:
    """As OTLP's JSON has them."""
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in said.items()
    ]


def span(number: int, said: Row, inside: int | None = None, trace: int = 1) -> Row:
    """A span that ended a minute ago."""
    ended = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp()) * 10**9
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        "parentSpanId": f"{inside:016x}" if inside else "",
        "name": "call",
        "startTimeUnixNano": str(ended - 10**9),
        "endTimeUnixNano": str(ended),
        "attributes": attributes(said),
    }


def logged(call_id: str, **said: Any) -> Row:
    """What a LiteLLM proxy logs of a call of a minute ago."""
    ended = (datetime.now(UTC) - timedelta(minutes=1)).timestamp()
    return {
        "id": "chatcmpl-1",
        "call_id": call_id,
        "trace_id": f"trace of {call_id}",
        "call_type": "acompletion",
        "status": "success",
        "custom_llm_provider": "openai",
        "model": "gpt-4o",
        "startTime": ended - 1,
        "endTime": ended,
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "metadata": {},
        "request_tags": [],
        **said,
    }


@pytest.fixture
def product(db: None, client: Client) -> Iterator[Product]:
    """An empty one that knows the list prices."""
    remembered: tuple[Callable[[], object], ...] = (writer.forget, forget_keys, forget_spellings)
    for forget in remembered:
        forget()
    price_list.load()
    yield Product(client)
    for forget in remembered:
        forget()
