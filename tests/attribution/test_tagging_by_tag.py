"""Tagging rules that ask about the tags of allocation keys, and where a rule without a place stands."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from attribution import allocation_keys, rollups
from attribution.move_preview import preview
from attribution.reports import CostQuery, costs
from attribution.tagging import try_out
from finops.core.errors import InvalidInput
from finops.core.meters import Meter
from tests.attribution.factory import Call, book, dimension_set, price_slot
from tests.attribution.test_tagging import FIFTEENTH, FIRST, OCTOBER, TENTH, company, current, rule

pytestmark = pytest.mark.django_db
__all__ = ["company"]


def test_percentiles_tell_projects_apart_once_a_rule_asks_about_them() -> None:
    fast, slow = dimension_set(), dimension_set({"project": "apollo"})
    slot = price_slot({Meter.INPUT: "1.25"})
    at = datetime(2026, 10, 5, 12, tzinfo=UTC)
    book([Call(at, fast, slot, duration_ms=100), Call(at, slow, slot, duration_ms=9000)])
    rollups.fold()
    allocation_keys.declare("project", actor="ann")
    rule("apollo", {"tags.project": ["apollo"]}, {"team": "chat"})

    query = CostQuery(period=OCTOBER, group_by=("team",), measures=("p50_duration_ms",))
    found = {group.key[0]: group.total["p50_duration_ms"] for group in costs(query).groups}

    assert 90 < float(str(found[None])) < 110
    assert 8500 < float(str(found["chat"])) < 9500


def test_a_preview_by_tag_is_what_comes_true_and_the_trial_agrees() -> None:
    allocation_keys.declare("project", actor="ann")
    slot = price_slot({Meter.INPUT: "1.25"})
    made = [dimension_set({"project": name}) for name in ("apollo-1", "apollo-2", "gemini")]
    at = datetime(2026, 10, 20, 12, tzinfo=UTC)
    book(Call(at, one, slot, {"input": 10**6}) for one in made)
    rollups.fold()

    def change() -> None:
        rule("apollo", {"tags.project": ["apollo-*"]}, {"team": "chat"}, since=TENTH)

    told = preview(change, OCTOBER)
    assert [(one.owner, one.change) for one in told] == [("chat", Decimal(2)), (None, Decimal(-2))]
    change()
    assert [current(one)[-1][1] for one in made] == ["chat", "chat", None]
    tried = try_out({"tags.project": "apollo-9"}, TENTH)
    assert (tried.team, [name for name, _ in tried.met]) == ("chat", ["apollo"])
    with pytest.raises(InvalidInput):
        try_out({"tags.other": "x"}, TENTH)


def test_a_rule_without_a_place_comes_behind_those_of_every_day() -> None:
    """Two rules that have ended by today are still before it on the days on which they held."""
    made = dimension_set(workflow="w")
    rule("one", {"workflow": ["w"]}, {"team": "search"}, until=TENTH)
    rule("two", {"workflow": ["w"]}, {"team": "ads"}, since=FIRST, until=FIFTEENTH)

    rule("three", {"workflow": ["w"]}, {"team": "chat"})

    assert [row[:2] for row in current(made)] == [(None, "search"), (TENTH, "ads"), (FIFTEENTH, "chat")]
