"""The querystring as state: equal views have equal URLs, and what is unknown is named."""

from __future__ import annotations

from datetime import date

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from finops.core.periods import Period
from finops.ui.filters import Condition, Dimension, Screen, Unknown, View, is_canonical, parse

TODAY = date(2026, 11, 24)
SCREEN = Screen(
    path="/costs/",
    dimensions=[Dimension("team", "Team"), Dimension("feature", "Feature"), Dimension("model", "Model")],
    group="team",
    sorts=("-cost", "cost", "name"),
    tabs=("table", "changes"),
)


def view(query: str) -> View:
    return parse(SCREEN, QueryDict(query), TODAY)


def test_nothing_said_is_the_default_view_with_the_bare_address() -> None:
    default = view("")

    assert default.url == "/costs/"
    assert (default.period, default.compare, default.group, default.cost) == (
        "this-month",
        "previous",
        "team",
        "effective",
    )


def test_parameters_are_written_in_one_order_and_defaults_never() -> None:
    query = "tab=changes&model=!a,b&period=last-month&sort=-cost&team=search&group=team&compare=last-year"

    shuffled = view(query)

    assert shuffled.url == "/costs/?period=last-month&compare=last-year&team=search&model=!a,b&tab=changes"


@pytest.mark.parametrize(
    ("query", "parameter", "value", "without"),
    [
        ("colour=red&team=a", "colour", "", "/costs/?team=a"),
        ("period=fortnight", "period", "fortnight", "/costs/"),
        ("period=0000-10", "period", "0000-10", "/costs/"),
        ("group=planet&period=today", "group", "planet", "/costs/?period=today"),
        ("period=custom&from=2026-10-40&to=2026-11-01", "from", "2026-10-40", "/costs/"),
        ("period=custom&from=2026-10-04&to=2026-10-04", "to", "2026-10-04", "/costs/"),
        ("period=custom&from=2026-10-04", "to", "nothing", "/costs/"),
        ("cost=imagined", "cost", "imagined", "/costs/"),
    ],
)
def test_the_unknown_is_named_with_a_way_out(query: str, parameter: str, value: str, without: str) -> None:
    with pytest.raises(Unknown) as refusal:
        view(query)

    problem = refusal.value
    assert (problem.parameter, problem.value, problem.without) == (parameter, value, without)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("search", Condition(("search",))),
        ("search,support", Condition(("search", "support"))),
        ("!search", Condition(("search",), negated=True)),
        ("", Condition(("",))),
        ("!", Condition(("",), negated=True)),
        ("a\\,b,c", Condition(("a,b", "c"))),
        ("\\!odd", Condition(("!odd",))),
        ("\\\\,", Condition(("\\", ""))),
        ("a\\\\,b", Condition(("a\\", "b"))),
    ],
)
def test_conditions_read_and_write(text: str, condition: Condition) -> None:
    assert Condition.read(text) == condition
    assert condition.written() == text


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4, unique=True), st.booleans())
def test_every_condition_survives_its_url(values: list[str], negated: bool) -> None:
    condition = Condition(tuple(values), negated)
    address = view("").with_(filters={"model": condition}).url

    again = view(address.partition("?")[2])

    assert again.filters == {"model": condition}
    assert is_canonical(again, QueryDict(address.partition("?")[2]))


def test_an_added_filter_joins_the_one_that_is_there() -> None:
    added = view("team=search&add=team&add_value=support&add_not=")
    negated = view("team=search&add=model&add_value=x&add_not=1")

    assert added.url == "/costs/?team=search,support"
    assert negated.url == "/costs/?team=search&model=!x"


def test_chips_say_the_condition_and_drop_it() -> None:
    chips = view("team=!search,support&model=").chips

    assert [(chip.text, chip.without) for chip in chips] == [
        ("Team is not search or support", "/costs/?model="),
        ("Model is not given", "/costs/?team=!search,support"),
    ]


def test_pinning_turns_presets_into_their_days() -> None:
    assert view("").pinned().url == "/costs/?period=2026-11"
    assert view("period=last-7-days").pinned().url == "/costs/?period=custom&from=2026-11-18&to=2026-11-25"


def test_neighbouring_periods_are_told_by_their_shortest_name() -> None:
    this_month = view("team=a")

    before = this_month.in_period(this_month.span.shifted(-1))
    further = before.in_period(before.span.shifted(-1))

    assert before.url == "/costs/?period=last-month&team=a"
    assert further.url == "/costs/?period=2026-09&team=a"


def test_a_bucket_link_is_filled_in_by_the_chart() -> None:
    link = view("period=last-month").narrowed("team", "search").bucket_link

    assert link == "/costs/?period=custom&from={from}&to={to}&team=search"


def test_the_comparison_follows_the_choice() -> None:
    assert view("").compared == Period(date(2026, 10, 1), date(2026, 10, 25))
    assert view("compare=last-year").compared == Period(date(2025, 11, 1), date(2025, 11, 25))
    assert view("compare=none").compared is None
