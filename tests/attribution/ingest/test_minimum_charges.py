"""The least that a provider charges for a call holds in the books as it does where one call is rated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from attribution.ingest import writer
from attribution.rollups import fold
from finops.accounts.models import ApiKey
from tests import price_list
from tests.attribution.ingest.conftest import Send, event, issue_key

pytestmark = pytest.mark.django_db
WHISPER: dict[str, Any] = {
    "provider": "groq",
    "model": "whisper-large-v3",
    "occurred_at": "2026-11-10T12:00:00Z",
}


@pytest.fixture
def reader(client: Client) -> Client:
    """A caller that may read, of the book as it is vendored."""
    price_list.load()
    writer.forget()
    _, secret = ApiKey.issue("reader", ["read"])
    return Client(headers={"Authorization": f"Bearer {secret}"})


def rated(reader: Client, seconds: str) -> Decimal:
    call = {**WHISPER, "usage": {"units": {"audio_seconds": seconds}}}
    return Decimal(reader.post("/api/v1/prices/rate", call, content_type="application/json").json()["cost"])


def booked(reader: Client) -> Decimal:
    fold()
    answer = reader.get("/api/v1/costs?from=2026-11-01&to=2026-12-01&measures=list_cost,effective_cost")
    total = answer.json()["total"]
    assert total["list_cost"] == total["effective_cost"]
    return Decimal(total["list_cost"])


def test_short_recordings_cost_in_reports_what_each_of_them_costs(reader: Client, send: Send) -> None:
    lengths = ["2", "9.999999", "10", "10.000001", "600"]
    sent = [
        event(f"w-{number}", **WHISPER, usage={"units": {"audio_seconds": seconds}})
        for number, seconds in enumerate(lengths)
    ]

    assert send(*sent).counts == (5, 0, 0, 0)

    # Three of them are charged for ten seconds: 640.000001 s at $0.111 an hour, to 18 places a second.
    each = Decimal("0.000030833333333333")
    assert booked(reader) == 3 * 10 * each + Decimal("10.000001") * each + 600 * each
    assert rated(reader, "2") == rated(reader, "10") == rated(reader, "9.999999")


def test_a_resent_event_is_still_the_one_that_was_kept(reader: Client, send: Send) -> None:
    sent = event("w-1", **WHISPER, usage={"units": {"audio_seconds": "2"}})
    other = event("w-1", **WHISPER, usage={"units": {"audio_seconds": "3"}})
    key = issue_key()

    assert send(sent, key=key).counts == (1, 0, 0, 0)
    assert send(sent, key=key).counts == (0, 1, 0, 0)
    assert send(other, key=key).counts == (0, 0, 1, 0)
