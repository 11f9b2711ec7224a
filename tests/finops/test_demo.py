"""The demo company: the same every time, as big as it says, and worth what it says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from django.test import Client

from attribution.ingest import writer
from attribution.models import CostCentre, Feature, Team, Tier
from finops.accounts.models import ApiKey, Role, TeamMembership, User
from finops.demo import company, is_loaded, logins
from finops.demo.calls import Calls, generate
from finops.demo.events import bodies
from finops.demo.loading import Recipe, load
from finops.demo.story import LAUNCHED, REGRESSED, RUNAWAY, Story
from tests import price_list

UTC_ZONE = ZoneInfo("UTC")
UNTIL = date(2026, 11, 24)
RECIPE = Recipe(days=90, events=2_000, seed=7, until=UNTIL)
# Dollars per million: input, cache read, cache write, cache write for an hour, output; after the
# model's context limit where it has one. From the providers' own pages.
PRICES = {
    "gpt-5.6-sol": ("4", "0.4", "5", "0", "20"),
    "gpt-5.6-terra": ("2", "0.2", "2.5", "0", "12"),
    "gpt-5.6-luna": ("0.2", "0.02", "0.25", "0", "1.2"),
    "gpt-5.4-mini": ("0.75", "0.075", "0", "0", "4.5"),
    "text-embedding-3-small": ("0.02", "0", "0", "0", "0"),
    "claude-opus-5": ("5", "0.5", "6.25", "10", "25"),
    "claude-sonnet-5": ("2", "0.2", "2.5", "4", "10"),
    "claude-sonnet-4-6": ("3", "0.3", "3.75", "6", "15"),
    "claude-haiku-4-5": ("1", "0.1", "1.25", "2", "5"),
    "mistral-large-2512": ("0.5", "0.05", "0", "0", "1.5"),
}
LONG = {
    "gpt-5.6-sol": ("8", "0.8", "10", "0", "30"),
    "gpt-5.6-terra": ("4", "0.4", "5", "0", "18"),
    "gpt-5.6-luna": ("0.4", "0.04", "0.5", "0", "1.8"),
}
LONG_CONTEXT = 272_000
MISTRAL_LARGE_4 = (
    (datetime(2026, 10, 20, tzinfo=UTC), ("0.68", "0.07", "0", "0", "2.09")),
    (datetime(2026, 10, 29, tzinfo=UTC), ("1.36", "0.14", "0", "0", "4.18")),
    (datetime.max.replace(tzinfo=UTC), ("0.7", "0.07", "0", "0", "2.1")),
)


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_other_ones() -> None:
    first, again = _digest(seed=7), _digest(seed=7)

    assert first == again
    assert _digest(seed=8) != first


def test_the_company_is_as_big_as_promised() -> None:
    assert len(company.TEAMS) == 8
    assert {unit for _, unit in company.COST_CENTRES.values()} == set(company.BUSINESS_UNITS)
    assert len(company.BUSINESS_UNITS) == 3
    assert {feature.team for feature in company.FEATURES} == set(company.TEAMS)
    assert len(company.FEATURE_INDEX) == 24
    assert len(company.TIERS) == 3
    assert len({(model.provider, model.name) for model in company.MODELS}) == 12
    assert len({model.provider for model in company.MODELS}) == 3


@pytest.mark.parametrize(("days", "events"), [(1, 300), (7, 5_000), (90, 20_000), (366, 4_000)])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_every_call_lies_in_the_window_and_there_are_as_many_as_asked_for(
    days: int, events: int, zone: str
) -> None:
    calls = generate(until=UNTIL, days=days, events=events, seed=1, zone=ZoneInfo(zone))

    at = pd.to_datetime(calls["occurred_ms"], unit="ms", utc=True).tz_convert(zone)
    assert len(calls) == events
    assert at.min().date() >= Story.before(UNTIL, days).first
    assert at.max().date() < UNTIL
    assert at.is_monotonic_increasing


def test_meters_are_possible_and_everything_occurs() -> None:
    calls = generate(until=UNTIL, days=90, events=60_000, seed=3, zone=UTC_ZONE)

    assert (calls["cache_read"] + calls["cache_write"] <= calls["input"]).all()
    assert (calls["cache_write_1h"] <= calls["cache_write"]).all()
    assert (calls["reasoning"] <= calls["output"]).all()
    assert set(np.unique(calls["model"])) == set(range(12))
    assert set(np.unique(calls["feature"])) == {-1, *range(24)}
    assert set(np.unique(calls["tier"])) == {-1, 0, 1, 2}
    assert set(np.unique(calls["status"])) == set(range(5))
    assert {1, 2, 3} <= set(np.unique(calls["attempt"]))
    assert {0, 1, 2} == set(np.unique(calls["from_cache"]))
    assert (calls["input"] > LONG_CONTEXT).any()


def test_the_story_can_be_seen_in_the_calls() -> None:
    calls = generate(until=UNTIL, days=90, events=60_000, seed=3, zone=UTC_ZONE)
    story = Story.before(UNTIL, 90)

    launched = calls[calls["feature"] == LAUNCHED]
    assert launched["day"].min() >= story.launch
    regressed = calls[(calls["feature"] == REGRESSED) & (calls["attempt"] == 1)]
    late = regressed["day"] >= story.regression
    assert regressed["input"][late].mean() > 2 * regressed["input"][~late].mean()
    assert set(regressed["prompt_version"][late]) == {8}
    runaway = calls[(calls["feature"] == RUNAWAY) & (calls["day"] == story.runaway)]
    _, sizes = np.unique(runaway["task"], return_counts=True)
    assert sizes.max() > 100
    assert runaway["attempt"].max() == 4


@pytest.fixture
def loaded(transactional_db: None) -> Iterator[list[dict[str, Any]]]:
    """The small demo in the books, and its events."""
    writer.forget()
    price_list.load()
    load(RECIPE)
    calls = generate(until=UNTIL, days=90, events=2_000, seed=7, zone=UTC_ZONE)
    yield [
        event
        for body in bodies(calls, prefix=RECIPE.prefix, first=RECIPE.story.first)
        for event in json.loads(body)["events"]
    ]
    writer.forget()


def test_totals_equal_what_pandas_says_of_the_events_and_a_reload_doubles_nothing(
    loaded: list[dict[str, Any]],
) -> None:
    frame = pd.DataFrame([_worked_out(event) for event in loaded])
    by_owner = _sums(frame, ["team", "feature", "tier"])

    assert _costs("team", "feature", "tier") == by_owner
    assert _costs("model") == _sums(frame, ["model"])
    assert len(_costs("team")) == 8 + 1

    again = load(RECIPE)

    assert (again.accepted, again.duplicates) == (0, 2_000)
    assert _costs("team", "feature", "tier") == by_owner


def test_loading_creates_the_organisation_and_people_who_can_sign_in(loaded: list[dict[str, Any]]) -> None:
    assert is_loaded()
    assert set(Team.objects.values_list("slug", flat=True)) == set(company.TEAMS)
    assert set(CostCentre.objects.values_list("slug", flat=True)) == set(company.COST_CENTRES)
    assert set(Tier.objects.values_list("slug", flat=True)) == set(company.TIERS)
    assert set(Feature.objects.values_list("slug", flat=True)) == set(company.FEATURE_INDEX)
    assert set(TeamMembership.objects.values_list("team", flat=True)) <= set(company.TEAMS)
    people = logins()
    assert {person.role for person in people} == {role.label for role in Role}
    assert all(Client().login(username=person.email, password=person.password) for person in people)
    assert User.objects.count() == len(people)


def _digest(seed: int) -> str:
    calls: Calls = generate(until=UNTIL, days=90, events=5_000, seed=seed, zone=UTC_ZONE)
    return hashlib.sha256(calls.tobytes()).hexdigest()


def _costs(*dimensions: str) -> dict[tuple[str | None, ...], tuple[Decimal | None, int]]:
    """What the API answers: the effective cost and the calls of each group."""
    _, secret = ApiKey.issue("reader", ["read"])
    answer = Client().get(
        "/api/v1/costs",
        {
            "from": RECIPE.story.first.isoformat(),
            "to": UNTIL.isoformat(),
            "group_by": ",".join(dimensions),
            "measures": "effective_cost,calls",
        },
        headers={"authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 200, answer.content
    found: dict[tuple[str | None, ...], tuple[Decimal | None, int]] = {}
    for group in answer.json()["groups"]:
        key = tuple(group["key"][name] for name in dimensions)
        (bucket,) = group["buckets"]
        cost = bucket["effective_cost"]
        found[key] = (None if cost is None else Decimal(cost), bucket["calls"])
    return found


def _sums(
    frame: pd.DataFrame, dimensions: list[str]
) -> dict[tuple[str | None, ...], tuple[Decimal | None, int]]:
    found: dict[tuple[str | None, ...], tuple[Decimal | None, int]] = {}
    for key, rows in frame.fillna(dict.fromkeys(dimensions, "")).groupby(dimensions):
        priced = [cost for cost in rows["cost"] if cost is not None]
        name = tuple(str(part) or None for part in key)
        found[name] = (sum(priced, Decimal(0)) if priced else None, len(rows))
    return found


def _worked_out(event: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromtimestamp(event["occurred_at"] / 1000, UTC)
    return {
        "team": _owner(event, at),
        "feature": event.get("feature"),
        "tier": event.get("tier"),
        "model": event["model"],
        "cost": _cost(event, at),
    }


def _owner(event: dict[str, Any], at: datetime) -> str | None:
    if event.get("team") in company.TEAMS:
        return str(event["team"])
    if event.get("feature") == "translation":
        moved = RECIPE.story.day(RECIPE.story.ownership_move)
        return "documents" if at.date() < moved else "assistant"
    if event.get("feature"):
        return company.FEATURES[company.FEATURE_INDEX[event["feature"]]].team
    return None


def _cost(event: dict[str, Any], at: datetime) -> Decimal | None:
    usage = event["usage"]
    if event["model"] == company.UNPRICED_MODEL:
        return None
    if event.get("response_cache") == "hit":
        return Decimal(0)
    texts = _prices(event["model"], at, usage["input_tokens"])
    into, read, write, write_1h, out = (Decimal(text) / 1_000_000 for text in texts)
    cached, written = usage.get("cache_read_tokens", 0), usage.get("cache_write_tokens", 0)
    for_an_hour = usage.get("cache_write_1h_tokens", 0)
    cost: Decimal = (
        (usage["input_tokens"] - cached - written) * into
        + cached * read
        + (written - for_an_hour) * write
        + for_an_hour * write_1h
        + usage["output_tokens"] * out
    )
    return cost


def _prices(model: str, at: datetime, prompt: int) -> tuple[str, ...]:
    if model == "mistral-large-4":
        return next(prices for until, prices in MISTRAL_LARGE_4 if at < until)
    return LONG[model] if model in LONG and prompt > LONG_CONTEXT else PRICES[model]
