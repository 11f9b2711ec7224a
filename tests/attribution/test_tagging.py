"""Tagging rules: what they make of dimension sets, day by day, and as known when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribution import allocation_keys, ownership, registry, rollups, tagging_changes
from attribution.models import AllocationKey, Attribution, DimensionSet, TaggingRule, TaggingRuleVersion
from attribution.move_preview import preview
from attribution.reports import CostQuery, costs
from attribution.tagging import Saying, rules_on, try_out
from finops.accounts.models import AuditEntry
from finops.core.errors import Conflict, FinopsError, InvalidInput, NotFound
from finops.core.meters import Meter
from finops.core.periods import Period
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
FIRST, TENTH, FIFTEENTH = date(2026, 10, 1), date(2026, 10, 10), date(2026, 10, 15)
OCTOBER = Period.month(2026, 10)


@pytest.fixture(autouse=True)
def company(db: None) -> None:
    for slug in ("search", "chat", "ads"):
        registry.ensure_team(slug, actor="ann")
    for slug in ("finder", "bot"):
        registry.create_feature(slug, actor="ann")
    for slug in ("free", "pro"):
        registry.create_tier(slug, actor="ann")
    ownership.own_feature("finder", "search", actor="ann")


def rule(
    name: str,
    match: Mapping[str, Sequence[str]],
    sets: Mapping[str, str],
    *,
    only_missing: bool = True,
    since: date | None = None,
    until: date | None = None,
    place: int | None = None,
) -> int:
    saying = Saying(match=match, sets=sets, only_missing=only_missing)
    made = tagging_changes.add(
        name, saying, actor="ann", effective_from=since, effective_to=until, place=place
    )
    return made.rule.pk


def current(set_id: int) -> list[tuple[date | None, str | None, str | None, str | None, str]]:
    """Today's knowledge, in order of days: (from, team, feature, tier, rule)."""
    rows = Attribution.objects.filter(dimension_set_id=set_id, known_to=None)
    return sorted(
        rows.values_list("valid_from", "team", "feature", "tier", "rule"),
        key=lambda row: row[0] or date.min,
    )


@pytest.mark.parametrize(
    ("match", "is_met"),
    [
        ({"source": ["app"]}, True),
        ({"source": ["other", "app"]}, True),
        ({"source": ["other"]}, False),
        ({"source": ["ap*"]}, True),
        ({"source": ["*"]}, True),
        ({"workflow": ["*"]}, False),
        ({"workflow": [""]}, True),
        ({"step": [""]}, False),
        ({"step": ["", "50%_\\"]}, True),
        ({"step": ["50%*"]}, True),
        ({"step": ["5___*"]}, False),
        ({"source": ["app"], "environment": ["prod"]}, True),
        ({"source": ["app"], "environment": ["test"]}, False),
    ],
)
def test_a_rule_asks_about_each_field_by_value_prefix_or_emptiness(
    match: Mapping[str, Sequence[str]], is_met: bool
) -> None:
    made = dimension_set(environment="prod", step="50%_\\")

    rule("r", match, {"team": "chat"})

    expected = "chat" if is_met else None
    assert [row[1] for row in current(made)] == [expected]
    said = {"source": "app", "environment": "prod", "step": "50%_\\"}
    assert Saying(match=match, sets={}).meets(said) is is_met


def test_a_rule_fills_what_is_missing_unless_it_overrides() -> None:
    tagged, unknown, silent = (
        dimension_set(team="search"),
        dimension_set(team="sarch"),
        dimension_set(feature="finder"),
    )
    all_calls = {"source": ["*"]}

    filling = rule("fill", all_calls, {"team": "chat"})
    assert [current(made)[0][1] for made in (tagged, unknown, silent)] == ["search", "chat", "chat"]
    assert current(silent)[0][4] == 'tagging rule "fill"'

    saying = Saying(match=all_calls, sets={"team": "ads"}, only_missing=False)
    tagging_changes.change(filling, saying, actor="ann", effective_from=FIFTEENTH)
    assert [row[:2] for row in current(tagged)] == [(None, "search"), (FIFTEENTH, "ads")]


def test_a_feature_from_a_rule_is_owned_like_one_that_the_call_named() -> None:
    made = dimension_set(workflow="find-things")

    rule("finds", {"workflow": ["find-*"]}, {"feature": "finder", "tier": "pro"}, since=TENTH)

    assert [row[:4] for row in current(made)] == [
        (None, None, None, None),
        (TENTH, "search", "finder", "pro"),
    ]
    said = 'owner of feature "finder"; feature by tagging rule "finds"; tier by tagging rule "finds"'
    assert current(made)[1][4] == said
    ownership.own_feature("finder", "ads", effective_from=FIFTEENTH, actor="ann")
    assert [row[1] for row in current(made)] == [None, "search", "ads"]
    registry.create_cost_centre("c1", actor="ann")
    ownership.place_team("ads", "c1", actor="ann")
    assert Attribution.objects.filter(dimension_set_id=made, cost_centre="c1", known_to=None).exists()


def test_the_first_of_two_rules_counts_and_their_order_changes_from_a_day() -> None:
    made = dimension_set(workflow="w")
    one = rule("one", {"workflow": ["w"]}, {"team": "search"}, until=FIFTEENTH)
    two = rule("two", {"workflow": ["*"]}, {"team": "chat"})
    assert [row[:2] for row in current(made)] == [(None, "search"), (FIFTEENTH, "chat")]

    tagging_changes.reorder([two, one], actor="ann", effective_from=TENTH)
    assert [row[:2] for row in current(made)] == [(None, "search"), (TENTH, "chat")]
    assert [standing.rule.name for standing in rules_on(FIRST)] == ["one", "two"]
    assert [standing.rule.name for standing in rules_on(TENTH) if standing.is_active] == ["two", "one"]

    tagging_changes.retire(two, actor="ann", effective_from=FIRST)
    rule("first", {"workflow": ["w"]}, {"team": "ads"}, place=1, since=TENTH)
    assert current(made)[0][:2] == (None, "search")


def test_what_was_known_before_a_rule_can_be_asked_again() -> None:
    made = dimension_set(feature="finder"), price_slot({Meter.INPUT: "1.25"})
    book(Call(datetime(2026, 10, day, 12, tzinfo=UTC), *made, {"input": 10**6}) for day in range(1, 31))
    rollups.fold()

    def by_team(as_of: datetime | None = None) -> dict[str | None, Decimal]:
        query = CostQuery(period=OCTOBER, group_by=("team",), measures=("effective_cost",), as_of=as_of)
        return {group.key[0]: Decimal(str(group.total["effective_cost"])) for group in costs(query).groups}

    before = timezone.now()
    made_rule = rule("r", {"source": ["app"]}, {"team": "chat"}, since=FIFTEENTH)
    between = timezone.now()
    tagging_changes.retire(made_rule, actor="ann", effective_from=date(2026, 10, 20))

    assert by_team(before) == {"search": Decimal(30)}
    assert by_team(between) == {"search": Decimal(14), "chat": Decimal(16)}
    assert by_team() == {"search": Decimal(25), "chat": Decimal(5)}


def test_the_preview_is_what_comes_true_and_leaves_nothing_behind() -> None:
    made = dimension_set(feature="finder"), price_slot({Meter.INPUT: "1.25"})
    book(Call(datetime(2026, 10, day, 12, tzinfo=UTC), *made, {"input": 10**6}) for day in range(1, 31))
    rollups.fold()
    rows, entries = list(Attribution.objects.values_list()), AuditEntry.objects.count()

    def change() -> None:
        rule("r", {"source": ["app"]}, {"team": "chat"}, since=FIFTEENTH)

    told = preview(change, OCTOBER)
    assert list(Attribution.objects.values_list()) == rows
    assert (TaggingRule.objects.count(), AuditEntry.objects.count()) == (0, entries)

    change()
    query = CostQuery(period=OCTOBER, group_by=("team",), measures=("effective_cost",))
    after = {group.key[0]: group.total["effective_cost"] for group in costs(query).groups}
    assert {one.owner: one.after for one in told} == after


def test_percentiles_go_to_the_team_that_the_rule_says() -> None:
    """Two sets that name the same team and feature, and still belong to two teams."""
    fast, slow = dimension_set(feature="finder"), dimension_set(feature="finder", environment="test")
    slot = price_slot({Meter.INPUT: "1.25"})
    at = datetime(2026, 10, 5, 12, tzinfo=UTC)
    book([Call(at, fast, slot, duration_ms=100), Call(at, slow, slot, duration_ms=9000)])
    rollups.fold()
    rule("tests", {"environment": ["test"]}, {"team": "chat"})

    query = CostQuery(period=OCTOBER, group_by=("team",), measures=("p50_duration_ms",))
    found = {group.key[0]: group.total["p50_duration_ms"] for group in costs(query).groups}

    assert 90 < float(str(found["search"])) < 110
    assert 8500 < float(str(found["chat"])) < 9500


def test_a_version_of_the_same_day_replaces_the_other_and_keeps_it_in_the_history() -> None:
    made = rule("r", {"source": ["app"]}, {"team": "chat"}, since=TENTH)

    saying = Saying(match={"source": ["app"]}, sets={"team": "ads"})
    tagging_changes.change(made, saying, actor="bob", effective_from=TENTH, name="better")

    versions = TaggingRuleVersion.objects.order_by("pk").values_list("team__slug", "made_by")
    assert list(versions) == [("chat", "ann"), ("ads", "bob")]
    known = TaggingRuleVersion.objects.order_by("pk")
    assert known[0].known_to == known[1].known_from
    actions = AuditEntry.objects.filter(subject_kind="tagging rule").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "tagging_rule.created",
        "tagging_rule.renamed",
        "tagging_rule.changed",
    ]


@pytest.mark.parametrize(
    ("match", "sets", "field"),
    [
        ({}, {"team": "chat"}, "match"),
        ({"customer": ["x"]}, {"team": "chat"}, "match.customer"),
        ({"source": []}, {"team": "chat"}, "match.source"),
        ({"source": ["a\x00"]}, {"team": "chat"}, "match.source"),
        ({"source": ["x"]}, {}, "set"),
        ({"source": ["x"]}, {"team": "nobody"}, "set.team"),
        ({"source": ["x"]}, {"model": "x"}, "set.model"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_at_its_field(
    match: Mapping[str, Sequence[str]], sets: Mapping[str, str], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        rule("r", match, sets)

    assert [problem.field for problem in caught.value.problems] == [field]
    assert not TaggingRule.objects.exists()


def test_unknown_rules_taken_names_and_incomplete_orders_are_refused() -> None:
    made = rule("r", {"source": ["app"]}, {"team": "chat"})
    refused: list[type[FinopsError]] = []
    for attempt in (
        lambda: rule("r", {"source": ["app"]}, {"team": "chat"}),
        lambda: tagging_changes.retire(made + 1, actor="ann", effective_from=None),
        lambda: tagging_changes.reorder([], actor="ann", effective_from=None),
        lambda: rule(" ", {"source": ["app"]}, {"team": "chat"}),
        lambda: rule("s", {"source": ["app"]}, {"team": "chat"}, since=TENTH, until=TENTH),
        lambda: try_out({"customer": "x"}, TENTH),
    ):
        with pytest.raises(FinopsError) as caught:
            attempt()
        refused.append(type(caught.value))
    assert refused == [Conflict, NotFound, InvalidInput, InvalidInput, InvalidInput, InvalidInput]


def test_a_trial_says_owner_and_rules_and_stores_nothing() -> None:
    rule("finds", {"workflow": ["find-*"]}, {"feature": "finder"}, since=TENTH)
    rule("never", {"workflow": ["x"]}, {"team": "ads"})

    told = try_out({"workflow": "find-it", "source": "app"}, TENTH)

    assert (told.team, told.feature, [name for name, _ in told.met]) == ("search", "finder", ["finds"])
    assert try_out({"workflow": "find-it", "source": "app"}, FIRST).team is None
    assert not DimensionSet.objects.exists()


TEXTS = st.sampled_from(["", "a", "ab", "b"])
VALUES = st.lists(st.sampled_from(["", "a", "ab", "a*", "*", "b"]), min_size=1, max_size=2)
FIELDS = ("workflow", "step", "team", "feature", "tags.project")
DAYS = [date(2026, 10, day) for day in range(1, 6)]


@dataclass(frozen=True)
class Told:
    """A version of a rule as a person would write it down."""

    name: str
    match: dict[str, list[str]]
    sets: dict[str, str]
    only_missing: bool
    since: date | None
    until: date | None


@st.composite
def rule_books(draw: st.DrawFn) -> list[Told]:
    book = []
    for number in range(draw(st.integers(1, 4))):
        since = draw(st.sampled_from([None, *DAYS[:3]]))
        match = draw(st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1, max_size=2))
        choices = {
            "team": st.sampled_from(["search", "chat", "ads"]),
            "feature": st.sampled_from(["finder", "bot"]),
            "tier": st.sampled_from(["free", "pro"]),
        }
        chosen = draw(st.lists(st.sampled_from(sorted(choices)), min_size=1, unique=True))
        sets = {name: draw(choices[name]) for name in chosen}
        until = draw(st.sampled_from([None, *[day for day in DAYS if since is None or day > since]]))
        book.append(Told(f"r{number}", match, sets, draw(st.booleans()), since, until))
    return book


def plainly(book: list[Told], said: dict[str, str], day: date) -> tuple[str | None, str | None, str | None]:
    """Team, feature and tier by the words of the rules."""

    def from_rules(field: str, has_it: bool) -> str | None:
        for one in book:
            begun = one.since is None or one.since <= day
            if not begun or (one.until is not None and one.until <= day) or field not in one.sets:
                continue
            if has_it and one.only_missing:
                continue
            if all(
                any(
                    (v == said[name]) if "*" not in v else said[name] != "" and said[name].startswith(v[:-1])
                    for v in values
                )
                for name, values in one.match.items()
            ):
                return one.sets[field]
        return None

    known_team = said["team"] if said["team"] in ("search", "chat", "ads") else None
    feature = from_rules("feature", said["feature"] != "") or said["feature"] or None
    tier = from_rules("tier", said["tier"] != "") or said["tier"] or None
    owners = {"finder": "search"}
    team = from_rules("team", known_team is not None) or known_team or owners.get(feature or "")
    return team, feature, tier


def arrived(said: dict[str, str]) -> int:
    """The set of calls that say so."""
    names = {name: value for name, value in said.items() if name != "tags.project"}
    project = said["tags.project"]
    return dimension_set({"project": project} if project else {}, **names)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    book=rule_books(),
    sets=st.lists(
        st.fixed_dictionaries(
            {
                "workflow": TEXTS,
                "step": TEXTS,
                "team": st.sampled_from(["", "search", "chat", "a"]),
                "feature": st.sampled_from(["", "finder", "bot", "a"]),
                "tier": st.sampled_from(["", "free"]),
                "tags.project": TEXTS,
            }
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_the_statement_says_what_the_rules_say_in_words(book: list[Told], sets: list[dict[str, str]]) -> None:
    AllocationKey.objects.all().delete()
    allocation_keys.declare("project", actor="ann")
    TaggingRuleVersion.objects.all().delete()
    TaggingRule.objects.all().delete()
    Attribution.objects.all().delete()
    DimensionSet.objects.all().delete()
    early = [arrived(said) for said in sets]
    for one in book:
        rule(one.name, one.match, one.sets, only_missing=one.only_missing, since=one.since, until=one.until)
    late = [arrived(said) for said in sets]

    for said, made, later in zip(sets, early, late, strict=True):
        rows = Attribution.objects.filter(dimension_set_id=made, known_to=None)
        for day in [date(2020, 1, 1), *DAYS, DAYS[-1] + timedelta(days=400)]:
            held = rows.exclude(valid_from__gt=day).exclude(valid_to__lte=day).get()
            assert (held.team, held.feature, held.tier) == plainly(book, said, day), (said, day)
        spans = list(rows.order_by("valid_from").values_list("valid_from", "valid_to", "team", "rule"))
        again = Attribution.objects.filter(dimension_set_id=later, known_to=None).order_by("valid_from")
        assert spans == list(again.values_list("valid_from", "valid_to", "team", "rule"))
