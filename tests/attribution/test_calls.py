"""Single calls: in order, page by page, with the exact cost and the reason of their owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from attribution import ownership, registry
from attribution.calls import CallQuery, calls, find
from attribution.explanations import explain
from attribution.models import Feature
from attribution.models.events import CallStatus
from attribution.reports import Filter
from finops.core.errors import InvalidInput, NotFound
from finops.core.meters import Meter
from finops.core.periods import Period
from tests.attribution.factory import Call, book, dimension_set, price_slot, rates

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
OCTOBER = Period.month(2026, 10)


@pytest.fixture
def made() -> tuple[int, int]:
    registry.ensure_team("search", actor="ann")
    return dimension_set(team="search"), price_slot({Meter.INPUT: "2.5", Meter.OUTPUT: "10"})


def listed(**fields: Any) -> list[str]:
    return [call.event_id for call in calls(CallQuery(**{"period": OCTOBER, **fields})).calls]


def test_pages_go_back_in_time_and_miss_nothing(made: tuple[int, int]) -> None:
    instants = [NOON + timedelta(days=3 * (n // 4)) for n in range(20)]
    book(Call(instant, *made, event_id=f"e{n}") for n, instant in enumerate(instants))

    seen, after = [], None
    while True:
        page = calls(CallQuery(period=OCTOBER, limit=3, after=after))
        seen += [(call.occurred_at, call.identity) for call in page.calls]
        after = page.next
        if after is None:
            break

    assert len(set(seen)) == 20
    assert seen == sorted(seen, reverse=True)


def test_each_call_says_whether_it_is_priced(made: tuple[int, int]) -> None:
    book(
        [
            Call(NOON, *made, {"input": 1_000_000}, event_id="priced"),
            Call(NOON, *made, {"input": 1_000_000, "cache_write": 5}, event_id="partly"),
            Call(NOON, *made, {"cache_write": 5}, event_id="only unpriced meters"),
            Call(NOON, made[0], price_slot(model="mystery"), {"input": 5}, event_id="unknown model"),
            Call(NOON, *made, event_id="nothing used"),
        ]
    )

    found = {call.event_id: call.cost for call in calls(CallQuery(period=OCTOBER)).calls}
    assert {name: (cost.status.value, cost.effective_cost) for name, cost in found.items()} == {
        "priced": ("priced", Decimal(2)),
        "partly": ("partially_priced", Decimal(2)),
        "only unpriced meters": ("unpriced", None),
        "unknown model": ("unpriced", None),
        "nothing used": ("priced", Decimal(0)),
    }
    assert listed(unpriced_only=True) == ["unknown model"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"event_id": "a"}, ["a"]),
        ({"task_id": "t"}, ["a"]),
        ({"session_id": "s"}, ["b"]),
        ({"end_user": "u"}, ["a", "b"]),
        ({"statuses": frozenset({CallStatus.ERROR})}, ["b"]),
        ({"filters": {"customer": Filter(("acme",))}}, ["a"]),
        ({"filters": {"team": Filter(("search",)), "model": Filter(("gpt-x",))}}, ["a", "b"]),
        ({"filters": {"team": Filter(empty=True)}}, ["c"]),
        ({"visible_teams": frozenset({"search"})}, ["a", "b"]),
        ({"visible_teams": frozenset()}, []),
        ({"period": Period.month(2026, 9)}, []),
    ],
)
def test_calls_are_found_by_what_they_are(
    made: tuple[int, int], fields: dict[str, Any], expected: list[str]
) -> None:
    book(
        [
            Call(NOON, *made, event_id="a", task_id="t", end_user="u", customer="acme"),
            Call(NOON, *made, event_id="b", session_id="s", end_user="u", status=CallStatus.ERROR),
            Call(NOON, dimension_set(), made[1], event_id="c"),
        ]
    )

    assert sorted(listed(**fields)) == expected


def test_a_call_is_found_by_its_identity_whenever_it_was(made: tuple[int, int]) -> None:
    book([Call(NOON - timedelta(days=n), *made, event_id=f"e{n}") for n in (0, 100)])

    assert (found := find("app", "e100")) is not None
    assert found.occurred_at == NOON - timedelta(days=100)
    assert find("app", "e7") is None
    assert find("other", "e0") is None
    assert find("app", "e0", visible_teams=frozenset({"chat"})) is None


def test_the_explanation_is_the_chain_from_usage_to_owner(made: tuple[int, int]) -> None:
    Feature.objects.create(slug="f", name="f")
    ownership.own_feature("f", "search", actor="ann")
    owned = dimension_set(feature="f", team="nobody")
    book([Call(NOON, owned, made[1], {"input": 1000, "output": 10}, {Meter.AUDIO_INPUT: "3"}, event_id="e")])

    found = explain("app", "e")

    assert [(line.meter, line.quantity, line.cost) for line in found.call.cost.lines] == [
        ("input", Decimal(1000), Decimal("0.002")),
        ("output", Decimal(10), Decimal("0.00008")),
        ("audio_input", Decimal(3), None),
    ]
    assert found.call.cost.effective_cost == Decimal("0.00208")
    assert {price.source for price in found.prices.values()} == {"a test"}
    assert found.attribution.rule == 'owner of feature "f"; unknown team "nobody"'
    with pytest.raises(NotFound):
        explain("app", "e", visible_teams=frozenset({"chat"}))


def test_a_call_is_priced_and_owned_as_of_then(made: tuple[int, int]) -> None:
    book([Call(NOON, *made, {"input": 1_000_000}, event_id="e")])
    before = datetime.now(UTC)
    rates(made[1], {Meter.INPUT: "5"}, known_from=datetime.now(UTC))

    assert explain("app", "e").call.cost.list_cost == Decimal(5)
    assert explain("app", "e", as_of=before).call.cost.list_cost == Decimal("2.5")


def test_a_page_takes_as_many_queries_as_one_call(
    made: tuple[int, int], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    book(Call(NOON.replace(day=31, hour=23, minute=n), *made, {"input": n}) for n in range(30))
    query = CallQuery(period=OCTOBER, limit=20)

    with django_assert_num_queries(4):
        assert len(calls(query).calls) == 20


@pytest.mark.parametrize(
    "fields", [{"limit": 0}, {"limit": 501}, {"filters": {"size": Filter()}}, {"after": "x"}, {"after": "é"}]
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        listed(**fields)
