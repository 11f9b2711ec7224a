"""Whatever is asked, in whatever zone: the total is that of the calls, added up one at a time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from attribution import allocation_keys, ownership, registry, rollups
from attribution.models import Feature
from attribution.reports import CostQuery, Granularity, costs
from finops.core.meters import HOT_METERS, Meter
from finops.core.periods import Period, local_day
from pricing.models import UnitMeter
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
ZERO = Decimal(0)


PRICES: dict[str, dict[Meter | int, str] | None] = {
    "dear": {
        Meter.INPUT: "2.5",
        Meter.CACHE_READ: "0.25",
        Meter.OUTPUT: "10",
        Meter.REASONING: "10",
        100: "10000",
    },
    "cheap": {Meter.INPUT: "0.1", Meter.OUTPUT: "0.4"},
    "unknown": None,
}
ZONES = ("UTC", "Asia/Kolkata", "America/Los_Angeles", "Europe/Lisbon")
# Around the days on which these zones change their clocks, and around a month's end.
STARTS = (
    datetime(2026, 3, 28, tzinfo=UTC),
    datetime(2026, 10, 24, 12, tzinfo=UTC),
    datetime(2026, 10, 31, tzinfo=UTC),
)
GROUPINGS = st.lists(
    st.sampled_from(
        ["team", "feature", "model", "customer", "tier", "environment", "provider", "tags.project"]
    ),
    unique=True,
    max_size=3,
)


@dataclass
class Drawn:
    minute: int
    team: str
    feature: str
    model: str
    customer: str
    project: str
    tokens: dict[str, int] = field(default_factory=dict)
    searches: int = 0


DRAWN = st.builds(
    Drawn,
    minute=st.integers(0, 3 * 24 * 60),
    team=st.sampled_from(["search", "chat", "nobody", ""]),
    feature=st.sampled_from(["f", "g", ""]),
    model=st.sampled_from(sorted(PRICES)),
    customer=st.sampled_from(["", "acme", "zed"]),
    project=st.sampled_from(["", "apollo", "(other)"]),
    tokens=st.dictionaries(st.sampled_from([m.label for m in HOT_METERS]), st.integers(0, 10**9), max_size=4),
    searches=st.integers(0, 3),
)


def cost_of(drawn: Drawn) -> Decimal | None:
    prices = PRICES[drawn.model]
    if prices is None:
        return None
    quantities = {Meter[name.upper()].value: n for name, n in drawn.tokens.items()} | {100: drawn.searches}
    per_million = sum((quantities.get(int(m), 0) * Decimal(p) for m, p in prices.items()), ZERO)
    return per_million * Decimal("0.8") / 10**6


def names_of(drawn: Drawn) -> dict[str, str | None]:
    owner = drawn.team if drawn.team in ("search", "chat") else ("search" if drawn.feature == "f" else None)
    return {
        "team": owner,
        "feature": drawn.feature or None,
        "model": drawn.model,
        "customer": drawn.customer or None,
        "tier": None,
        "environment": None,
        "provider": "openai",
        "tags.project": drawn.project or None,
    }


@given(
    calls=st.lists(DRAWN, min_size=1, max_size=25),
    zone=st.sampled_from(ZONES),
    start=st.sampled_from(STARTS),
    group_by=GROUPINGS,
)
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_question_has_the_total_of_the_calls(
    settings: Settings, calls: list[Drawn], zone: str, start: datetime, group_by: list[str]
) -> None:
    settings.REPORTING_TIME_ZONE = ZoneInfo(zone)
    with transaction.atomic():
        _book(calls, start)
        _compare(calls, start, tuple(group_by))
        transaction.set_rollback(True)


def _book(calls: list[Drawn], start: datetime) -> None:
    for slug in ("search", "chat"):
        registry.ensure_team(slug, actor="ann")
    Feature.objects.create(slug="f", name="f")
    ownership.own_feature("f", "search", actor="ann")
    UnitMeter.objects.get_or_create(id=100, defaults={"name": "web_search_calls"})
    slots = {model: price_slot(prices, model=model) for model, prices in PRICES.items()}
    allocation_keys.declare("project", actor="ann")
    sets = {
        (team, feature, project): dimension_set(
            {"project": project} if project else {}, team=team, feature=feature
        )
        for team, feature, project in {(c.team, c.feature, c.project) for c in calls}
    }
    for half in (calls[::2], calls[1::2]):
        if half:
            book(
                Call(
                    start + timedelta(minutes=c.minute),
                    sets[c.team, c.feature, c.project],
                    slots[c.model],
                    c.tokens,
                    {100: str(c.searches)} if c.searches else {},
                    customer=c.customer,
                )
                for c in half
            )
            rollups.fold()


def _compare(calls: list[Drawn], start: datetime, group_by: tuple[str, ...]) -> None:
    zone = django_settings.REPORTING_TIME_ZONE
    first = local_day(start, zone)
    period = Period(first, first + timedelta(days=5))
    expected: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [None, 0])
    for drawn in calls:
        day = local_day(start + timedelta(minutes=drawn.minute), zone)
        key = tuple(names_of(drawn)[name] for name in group_by)
        cost = cost_of(drawn)
        for cell in ((key, day), (key, None), (None, day), (None, None)):
            entry = expected[cell]
            entry[0] = entry[0] if cost is None else (entry[0] or ZERO) + cost
            entry[1] += 1

    for grain in Granularity:
        report = costs(
            CostQuery(
                period=period, granularity=grain, group_by=group_by, measures=("effective_cost", "calls")
            )
        )
        assert [*report.total.values()] == expected[None, None]
        assert {g.key: [*g.total.values()] for g in report.groups} == {
            key: value for (key, day), value in expected.items() if key is not None and day is None
        }
        for group in report.groups:
            assert sum(int(b.measures["calls"] or 0) for b in group.buckets) == group.total["calls"]
        if grain == Granularity.DAY:
            cells = {(g.key, b.start): [*b.measures.values()] for g in report.groups for b in g.buckets}
            assert cells == {
                cell: value for cell, value in expected.items() if cell[0] is not None and cell[1] is not None
            }
    days = [Period(first + timedelta(days=n), first + timedelta(days=n + 1)) for n in range(5)]
    singly = [costs(CostQuery(period=day, measures=("effective_cost", "calls"))) for day in days]
    assert sum(int(r.total["calls"] or 0) for r in singly) == len(calls)
