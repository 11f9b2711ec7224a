"""Data health tells how the reading goes, and what of the reports is in no books."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.test import Client

from attribution.models import DayState, ProviderDay
from attribution.pullers import mappings
from attribution.pullers.client import PullFailed
from attribution.pullers.mappings import Mapped
from attribution.pullers.providers import Provider
from attribution.pullers.pulling import pull
from attribution.pullers.status import Unmapped, provider_status
from finops.accounts.models import Role
from finops.accounts.people import add_person
from tests.attribution.pullers.upstream import Upstream

pytestmark = pytest.mark.django_db


def page(role: str) -> str:
    client = Client()
    client.force_login(add_person(f"{role}@example.com", role=role, actor="test"))
    return client.get("/health/").content.decode()


def test_nothing_is_shown_where_no_report_was_read() -> None:
    assert provider_status() is None
    assert "provider-reports" not in page(Role.FINANCE)


def test_what_is_reported_and_not_booked_is_shown(openai: Provider, upstream: Upstream, first: date) -> None:
    mapped = Mapped(provider="openai", name="web", api_keys=["key_web"], book_from=first + timedelta(days=30))
    mapping = mappings.put(mapped, actor="ann")
    upstream.troubles = [("costs", "401")]
    with pytest.raises(PullFailed):
        pull(openai, first, first + timedelta(days=3))
    ProviderDay.objects.create(
        mapping=mapping,
        day=first,
        state=DayState.HELD,
        reason="Not certain.",
        difference={"output_tokens": 17},
        decided_at="2026-11-01T00:00:00Z",
        checked_at="2026-11-01T00:00:00Z",
    )

    status = provider_status()

    assert status is not None
    assert status.unmapped == [
        Unmapped("openai", "proj_shop", "key_nightly", 931_000),
        Unmapped("openai", "proj_search", "key_index", 64_000),
    ]
    shown = page(Role.FINANCE)
    for text in (
        "/organization/costs answered 401.",
        "key_nightly",
        "931,000",
        "Not certain.",
        "output_tokens",
    ):
        assert text in shown
    assert "provider-reports" not in page(Role.ENGINEER)
