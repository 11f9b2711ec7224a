"""Providers on this machine, keys for them, and a database that is committed to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from attribution.models import ProviderMapping
from attribution.pullers import mappings
from attribution.pullers.mappings import Mapped
from attribution.pullers.providers import Provider, provider_of
from tests.attribution.ingest.conftest import _nothing_remembered
from tests.attribution.pullers.upstream import Upstream

__all__ = ["_nothing_remembered"]
WEB = {"provider": "openai", "name": "web", "api_keys": ["key_web"], "sources": ["shop"]}


@pytest.fixture
def first() -> date:
    """The day of the fixtures' first bucket: settled, as are the two after it."""
    return datetime.now(UTC).date() - timedelta(days=10)


@pytest.fixture
def upstream(settings: Settings, first: date) -> Iterator[Upstream]:
    running = Upstream(first)
    settings.OPENAI_ADMIN_KEY, settings.OPENAI_API_BASE_URL = "sk-admin-o", running.url
    settings.ANTHROPIC_ADMIN_KEY, settings.ANTHROPIC_API_BASE_URL = "sk-admin-a", running.url
    yield running
    running.stop()


@pytest.fixture
def openai(upstream: Upstream) -> Provider:
    return provider_of("openai")


@pytest.fixture
def anthropic(upstream: Upstream) -> Provider:
    return provider_of("anthropic")


def mapped(first: date, **said: Any) -> ProviderMapping:
    """A mapping of the web shop's key, told of by the source shop, with what is said besides."""
    return mappings.put(Mapped(**{**WEB, "book_from": first, **said}), actor="ann")


def rows(question: str) -> list[Any]:
    """What a question to the database finds."""
    with connection.cursor() as cursor:
        cursor.execute(question)
        return list(cursor.fetchall())


def in_the_books(source: str = "openai-usage-api") -> list[tuple[Any, ...]]:
    """day, model, input, cache read, output, operation of the calls of a source."""
    return rows(
        "SELECT (c.occurred_at AT TIME ZONE 'UTC')::date, s.model, c.input, c.cache_read,"
        " c.output, d.operation FROM call_event c JOIN dimension_set d ON d.id = c.dimension_set_id"
        f" JOIN price_slot s ON s.id = c.slot_id WHERE d.source = '{source}' ORDER BY 1, 2, 3"
    )
