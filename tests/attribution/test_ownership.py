"""Whose a dimension set is, on which days, as known when."""

from __future__ import annotations

import threading
from datetime import date

import pytest
from django.db import connection, transaction
from django.utils import timezone

from attribution import ownership, registry
from attribution.models import Attribution, DimensionSet, Feature, Team, Tier
from finops.accounts.models import AuditEntry
from finops.core.errors import Conflict, InvalidInput, NotFound
from tests.attribution.factory import dimension_set

pytestmark = pytest.mark.django_db
FIRST, TENTH, FIFTEENTH = date(2026, 10, 1), date(2026, 10, 10), date(2026, 10, 15)
Row = tuple[date | None, date | None, str | None, str | None, str | None]


def current(set_id: int) -> list[Row]:
    """Today's knowledge: (from, to, team, cost centre, business unit), in order of days."""
    rows = Attribution.objects.filter(dimension_set_id=set_id, known_to=None)
    return sorted(
        rows.values_list("valid_from", "valid_to", "team", "cost_centre", "business_unit"),
        key=lambda row: row[0] or date.min,
    )


def rule(set_id: int) -> str:
    return Attribution.objects.get(dimension_set_id=set_id, known_to=None).rule


def team(*slugs: str) -> None:
    for slug in slugs:
        registry.ensure_team(slug, actor="ann")


def owned(feature: str, by: str | None, since: date | None = None) -> None:
    Feature.objects.get_or_create(slug=feature, defaults={"name": feature})
    ownership.own_feature(feature, by, effective_from=since, actor="ann")


@pytest.mark.parametrize(
    ("arrived", "expected_team", "expected_rule"),
    [
        ({"team": "search", "feature": "chatbot", "key_team": "chat"}, "search", "event tag"),
        ({"feature": "finder", "key_team": "chat", "api_key": "k"}, "search", 'owner of feature "finder"'),
        ({"feature": "other", "key_team": "chat", "api_key": "k"}, "chat", 'team of API key "k"'),
        ({"team": "x", "feature": "finder"}, "search", 'owner of feature "finder"; unknown team "x"'),
        ({"team": "x", "key_team": "chat", "api_key": "k"}, "chat", 'team of API key "k"; unknown team "x"'),
        ({"team": "x"}, None, 'no team: unknown team "x"'),
        ({"team": 'a "%s" b'}, None, 'no team: unknown team "a "%s" b"'),
        ({"feature": "other"}, None, 'no team: feature "other" has no owner'),
        ({"key_team": "gone", "api_key": "k"}, None, 'no team: unknown team "gone" of API key "k"'),
        ({}, None, "no team: no team tag, no feature, and no team of the API key"),
    ],
)
def test_the_tag_comes_before_the_feature_and_the_feature_before_the_key(
    arrived: dict[str, str], expected_team: str | None, expected_rule: str
) -> None:
    team("search", "chat")
    owned("finder", "search")

    made = dimension_set(None, **arrived)

    assert current(made) == [(None, None, expected_team, None, None)]
    assert rule(made) == expected_rule


def test_feature_and_tier_are_what_the_call_said_or_nothing() -> None:
    said, silent = dimension_set(feature="f", tier="pro"), dimension_set()

    rows = Attribution.objects.order_by("dimension_set_id").values_list("feature", "tier")
    assert said < silent
    assert list(rows) == [("f", "pro"), (None, None)]


def test_a_day_is_cut_wherever_owner_cost_centre_or_business_unit_changes() -> None:
    team("search", "chat")
    for slug in ("c1", "c2"):
        registry.create_cost_centre(slug, actor="ann")
    registry.create_business_unit("b1", actor="ann")
    made = dimension_set(feature="f")
    owned("f", "chat")
    owned("f", "search", FIFTEENTH)
    ownership.place_team("chat", "c1", effective_from=FIRST, actor="ann")
    ownership.place_team("search", "c2", actor="ann")
    ownership.place_cost_centre("c1", "b1", effective_from=TENTH, actor="ann")

    assert current(made) == [
        (None, FIRST, "chat", None, None),
        (FIRST, TENTH, "chat", "c1", None),
        (TENTH, FIFTEENTH, "chat", "c1", "b1"),
        (FIFTEENTH, None, "search", "c2", None),
    ]


def test_a_change_supersedes_what_changed_and_leaves_the_rest() -> None:
    team("search", "chat")
    moved, untouched = dimension_set(feature="f"), dimension_set(team="chat")
    owned("f", "chat")
    kept = Attribution.objects.get(dimension_set_id=untouched)
    before = timezone.now()

    owned("f", "search", FIFTEENTH)

    assert Attribution.objects.get(dimension_set_id=untouched) == kept
    assert kept.known_from is None
    rows = Attribution.objects.filter(dimension_set_id=moved)
    as_of = rows.filter(known_from__lte=before).exclude(known_to__lte=before)
    assert list(as_of.values_list("valid_from", "valid_to", "team")) == [(None, None, "chat")]
    assert [row[2] for row in current(moved)] == ["chat", "search"]


def test_what_did_not_change_is_not_written_again() -> None:
    team("search")
    dimension_set(team="search")
    dimension_set(feature="f")
    owned("f", "search")
    rows = Attribution.objects.count()

    owned("f", "search", FIFTEENTH)
    with transaction.atomic():
        assert ownership.reattribute_all(ownership.lock()) == 0

    assert Attribution.objects.count() == rows


def test_moves_of_one_day_replace_each_other_and_hold_until_the_next() -> None:
    team("search", "chat", "ads")
    made = dimension_set(feature="f")
    owned("f", "search")
    owned("f", "chat", FIFTEENTH)
    owned("f", "ads", TENTH)
    owned("f", None, FIFTEENTH)

    assert [(row[0], row[2]) for row in current(made)] == [
        (None, "search"),
        (TENTH, "ads"),
        (FIFTEENTH, None),
    ]


def test_a_team_made_later_takes_over_the_calls_that_named_it() -> None:
    made = dimension_set(team="search")
    assert current(made) == [(None, None, None, None, None)]

    registry.ensure_team("search", name="Search", actor="ann")
    registry.ensure_team("search", actor="ann")

    assert current(made) == [(None, None, "search", None, None)]
    assert Team.objects.get().name == "Search"


def test_names_that_events_bring_wait_for_review_and_known_ones_stay() -> None:
    registry.create_feature("known", name="Known", actor="ann")

    registry.register_names(["known", "new", "new", ""], ["pro"], timezone.now())

    assert list(Feature.objects.values_list("slug", "name", "state")) == [
        ("known", "Known", "confirmed"),
        ("new", "new", "new"),
    ]
    assert list(Tier.objects.values_list("slug", "state")) == [("pro", "new")]
    registry.confirm(Tier, "pro", actor="ann")
    assert Tier.objects.get().state == "confirmed"


def test_every_change_is_in_the_audit_log_with_before_and_after() -> None:
    team("search", "chat")
    owned("f", "chat")
    owned("f", "search", FIFTEENTH)

    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.actor, entry.action, entry.subject) == ("ann", "feature.moved", "f")
    assert (entry.before, entry.after) == (
        {"owner_team": "chat"},
        {"owner_team": "search", "from": "2026-10-15"},
    )


def test_unknown_names_are_refused_and_nothing_is_changed() -> None:
    team("search")
    Feature.objects.create(slug="f", name="f")
    entries = AuditEntry.objects.count()

    with pytest.raises(NotFound):
        ownership.own_feature("g", "search", actor="ann")
    with pytest.raises(InvalidInput):
        ownership.own_feature("f", "chat", actor="ann")
    with pytest.raises(Conflict):
        registry.create_team("search", actor="ann")
    for slug in ("", " a", "a\x00b", "x" * 129):
        with pytest.raises(InvalidInput):
            registry.create_team(slug, actor="ann")

    assert AuditEntry.objects.count() == entries


@pytest.mark.django_db(transaction=True)
def test_a_set_that_arrives_during_a_change_is_attributed_by_it() -> None:
    team("search")
    Feature.objects.create(slug="f", name="f")
    locked, made = threading.Event(), []

    def arrive() -> None:
        locked.wait(10)
        made.append(dimension_set(feature="f"))
        connection.close()

    thread = threading.Thread(target=arrive)
    thread.start()
    with transaction.atomic():
        ownership.own_feature("f", "search", actor="ann")
        locked.set()
        thread.join(0.3)
        assert thread.is_alive(), "the set waits for the change to end"
    thread.join(10)

    assert [row[2] for row in current(made[0])] == ["search"]
    assert DimensionSet.objects.count() == 1
