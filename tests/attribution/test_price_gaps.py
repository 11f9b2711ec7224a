"""What the price book does not know of usage, and what others say that it cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from attribution import rollups
from attribution.cost_drift import told_by_clients, told_by_providers
from attribution.ingest import writer as books
from attribution.models import ProviderCost
from attribution.organisation import today
from attribution.price_gaps import gaps, new_models
from finops.accounts.models import Role
from finops.accounts.people import add_person
from finops.core.meters import Meter
from pricing.slot_rates import unit_meter_ids
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
NOON = datetime.combine(today() - timedelta(days=2), datetime.min.time(), UTC) + timedelta(hours=12)


@pytest.fixture(autouse=True)
def _forgetful(db: None) -> Iterator[None]:
    books.forget()
    yield
    books.forget()


@pytest.fixture
def used() -> None:
    """A priced model, one whose cached tokens have no price, one unpriced; two calls each."""
    own = dimension_set()
    searches = unit_meter_ids(["web_search_calls"])["web_search_calls"]
    whole = price_slot({Meter.INPUT: "1", Meter.OUTPUT: "2"}, model="whole")
    part = price_slot({Meter.INPUT: "1"}, model="part")
    none = price_slot(None, model="none", service_tier="flex")
    tokens = {"input": 1_000_000, "output": 500_000}
    cost = '{"reported_cost": {"amount": "2.5", "currency": "USD"}}'
    book(
        [
            Call(NOON, own, whole, tokens=tokens, detail=cost),
            Call(NOON, own, whole, tokens=tokens),
            Call(NOON, own, part, tokens={"input": 10, "cache_read": 7}),
            Call(NOON + timedelta(days=1), own, part, tokens={"input": 10}),
            Call(NOON, own, none, tokens={"input": 3}, units={searches: "2"}),
            Call(NOON, own, none, tokens={"output": 4}),
        ]
    )
    rollups.fold()


def test_unpriced_and_partially_priced_usage_is_told_apart(used: None) -> None:
    found = {gap.model: gap for gap in gaps(today() - timedelta(days=7))}

    assert set(found) == {"part", "none"}
    assert (found["part"].is_partial, found["part"].calls) == (True, 2)
    assert found["part"].missing == {"cache_read": 7}
    assert (found["none"].is_partial, found["none"].calls) == (False, 2)
    assert found["none"].missing == {"input": 3, "output": 4, "web_search_calls": 2}
    assert "flex" in found["none"].conditions
    assert gaps(today() + timedelta(days=1)) == []


def test_models_that_no_call_named_before_are_listed(used: None) -> None:
    later = [(one.model, one.calls, one.is_priced) for one in new_models(NOON.date() - timedelta(days=1))]

    assert sorted(later) == [("none", 2, False), ("part", 2, True), ("whole", 2, True)]
    assert new_models(today() + timedelta(days=1)) == []


def test_cost_that_came_with_a_call_is_compared_with_our_list_cost(used: None) -> None:
    (drift,) = told_by_clients(NOON - timedelta(hours=1), NOON + timedelta(hours=1))

    assert (drift.what, drift.over) == ("openai/whole", "1 call")
    assert (drift.said, drift.ours, drift.difference) == (Decimal("2.5"), Decimal(2), Decimal("0.5"))
    assert (drift.ratio, drift.is_notable) == (Decimal("0.25"), True)


def test_cost_report_of_a_provider_is_compared_over_the_days_it_covers(used: None) -> None:
    day = NOON.replace(hour=0)
    now = timezone.now()
    for row, starts_at, amount in (("a", day, "3"), ("b", day, "1"), ("c", day - timedelta(days=90), "99")):
        ProviderCost.objects.create(
            provider="openai",
            report="costs",
            row_id=row,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(days=1),
            amount=Decimal(amount),
            currency="usd",
            raw={},
            first_seen_at=now,
            changed_at=now,
        )

    (drift,) = told_by_providers(day.date() - timedelta(days=5), day.date() + timedelta(days=5))

    # Contracted is 90 % of list: two calls of $2, and two tokens' worth of "part".
    assert (drift.what, drift.who, drift.over, drift.said) == (
        "openai",
        "its cost report",
        "1 day",
        Decimal(4),
    )
    assert drift.ours == Decimal("3.6") + Decimal("0.9") * 10 / 1_000_000
    assert told_by_providers(day.date() + timedelta(days=1), day.date() + timedelta(days=5)) == []


def test_prices_health_shows_it_to_those_who_see_everything(used: None) -> None:
    client = Client()
    client.force_login(add_person("finance@example.com", role=Role.FINANCE, actor="test"))

    answer = client.get("/prices/health/")

    page = answer.content.decode()
    assert answer.context["answer"].startswith("1 model without a price, 1 partially priced")
    assert "openai/none" in page
    assert "/usage/?period=last-30-days&amp;provider=openai&amp;model=none&amp;unpriced=1" in page
    assert (
        client.get(
            "/usage/?period=last-30-days&provider=openai&model=none&unpriced=1", follow=True
        ).status_code
        == 200
    )
