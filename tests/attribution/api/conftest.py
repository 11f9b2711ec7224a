"""Callers of the API, and a few calls to ask about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from attribution import registry, rollups
from finops.accounts.models import ApiKey
from finops.core.meters import Meter
from tests.attribution.factory import Call, book, dimension_set, price_slot

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
Caller = Callable[..., Client]


@pytest.fixture
def caller(db: None) -> Caller:
    """A client with a key of these scopes, bound to a team or to none."""

    def make(*scopes: str, team: str = "") -> Client:
        _, secret = ApiKey.issue("test", list(scopes), team=team)
        return Client(headers={"Authorization": f"Bearer {secret}"})

    return make


@pytest.fixture
def reader(caller: Caller) -> Client:
    return caller("read")


@pytest.fixture
def writer(caller: Caller) -> Client:
    return caller("read", "write")


@pytest.fixture
def traffic(db: None) -> None:
    """search: 2 calls of $0.002 on two days; nobody: one without a price."""
    registry.ensure_team("search", actor="ann")
    registry.ensure_team("chat", actor="ann")
    made, slot = dimension_set(team="search", feature="finder"), price_slot({Meter.INPUT: "2.5"})
    book(
        [
            Call(NOON, made, slot, {"input": 1000}, event_id="e/1", customer="a,b", duration_ms=120),
            Call(NOON + timedelta(days=1), made, slot, {"input": 1000}, event_id="e2", end_user="u"),
            Call(NOON, dimension_set(), price_slot(model="mystery"), {"input": 7}, event_id="e3"),
        ]
    )
    rollups.fold()
