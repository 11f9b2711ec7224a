"""What tests of the ingest stand on: keys, a way to send, and what is in the books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test import Client

from attribution.ingest import writer
from finops.accounts.authentication import forget_keys
from finops.accounts.models import ApiKey, Scope
from finops.core import outage

Event = dict[str, Any]  # Any: JSON
URL = "/api/v1/events"


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Processes remember ids of rows; a test's rows go when it ends."""
    writer.forget()
    forget_keys()
    outage.forget()
    yield
    outage.forget()
    writer.forget()
    forget_keys()


def minutes_ago(minutes: float) -> str:
    """A time as clients write it."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def event(event_id: Any = "e-1", **fields: Any) -> Event:
    """A plain event of a minute ago; fields given as None are left out."""
    plain: Event = {
        "event_id": event_id,
        "occurred_at": minutes_ago(1),
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"input_tokens": 100, "output_tokens": 10},
        **fields,
    }
    return {name: value for name, value in plain.items() if value is not None}


def issue_key(name: str = "service", *scopes: str, **bound: Any) -> str:
    """A new key's secret; it may send events unless other scopes are given."""
    return ApiKey.issue(name, list(scopes or (Scope.INGEST,)), **bound)[1]


@dataclass(frozen=True)
class Answer:
    """Status and decoded body."""

    status: int
    body: Any  # Any: JSON

    @property
    def codes(self) -> list[tuple[int, str, str]]:
        """(index, field, code) of every rejected event."""
        return [(bad["index"], bad["field"], bad["code"]) for bad in self.body["rejected"]]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Accepted, duplicates, conflicts, rejected."""
        body = self.body
        return body["accepted"], body["duplicates"], len(body["conflicts"]), len(body["rejected"])


Send = Callable[..., Answer]


@pytest.fixture
def send(db: None, client: Client) -> Send:
    """Post events (or, as bytes, a body) with a key of its own, unless another is given."""
    default = issue_key()

    def post(
        *events: Any,  # Any: events, good and bad
        key: str | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        **headers: str,
    ) -> Answer:
        content = msgspec.json.encode({"events": list(events)}) if body is None else body
        response = client.post(
            URL,
            content,
            content_type=content_type,
            headers={"Authorization": f"Bearer {key or default}", **headers},
        )
        return Answer(response.status_code, msgspec.json.decode(response.content))

    return post


def rows(columns: str = "event_id", table: str = "call_event") -> list[tuple[Any, ...]]:
    """Rows of the books, in the order of their first column."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {table} ORDER BY 1")
        return list(cursor.fetchall())
