"""Allocation keys on screen: declared, limited, dropped, and costs by them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from attribution import allocation_keys, contracts, registry, rollups
from attribution.contract_counts import lapses
from attribution.ingest import writer as books
from attribution.models import AllocationKey, DimensionOverflow, SourceContract, TaggingRule
from attribution.organisation import today
from finops.accounts.models import AuditEntry, Role
from finops.core.meters import Meter
from tests.attribution.factory import Call, book, dimension_set, price_slot
from tests.signing_in import signed_in, text

pytestmark = pytest.mark.django_db
KEYS = "/governance/keys/"


@pytest.fixture(autouse=True)
def company(db: None) -> Iterator[None]:
    registry.create_team("chat", name="Chat", actor="ann")
    books.forget()
    yield
    books.forget()


@pytest.fixture
def finance() -> Client:
    return signed_in(Role.FINANCE)


@pytest.fixture
def projects() -> None:
    """Two calls of apollo for $1 each, one without a project, an hour ago."""
    allocation_keys.declare("project", actor="ann")
    slot = price_slot({Meter.INPUT: "1.25"})
    at = datetime.now(UTC) - timedelta(hours=1)
    sets = [
        dimension_set({"project": name} if name else {}, team="chat") for name in ("apollo", "apollo", "")
    ]
    book(Call(at, one, slot, {"input": 10**6}, event_id=f"e{n}") for n, one in enumerate(sets))
    rollups.fold()


def test_a_key_is_declared_limited_and_dropped(finance: Client) -> None:
    assert "no tag yet" in text(finance.get(KEYS))
    assert finance.post(KEYS, {"key": "cost-code", "most_values": "20"}).status_code == 302
    seen = text(finance.get(KEYS))
    assert "tags.cost-code" in seen
    assert "No call yet" in seen

    entry = f"{KEYS}cost-code/"
    assert finance.post(entry, {"most_values": "30"}).status_code == 302
    assert AllocationKey.objects.get().most_values == 30
    assert finance.post(entry, {"drop": "1"}).status_code == 302
    assert finance.get(entry).status_code == 404
    assert "Dropped" in text(finance.get(KEYS))
    actions = AuditEntry.objects.filter(subject_kind="allocation key").order_by("pk")
    assert [(one.action, one.actor) for one in actions] == [
        ("allocation_key.declared", "finance@example.com"),
        ("allocation_key.changed", "finance@example.com"),
        ("allocation_key.dropped", "finance@example.com"),
    ]


@pytest.mark.parametrize("said", [{"key": "No Key", "most_values": "5"}, {"key": "x", "most_values": "0"}])
def test_what_makes_no_sense_is_said_at_its_field(finance: Client, said: dict[str, str]) -> None:
    answer = finance.post(KEYS, said)

    assert answer.status_code == 422
    assert len(answer.context["form"].errors) == 1
    assert not AllocationKey.objects.exists()


def test_a_key_that_is_asked_for_says_by_whom_it_is(finance: Client) -> None:
    allocation_keys.declare("project", actor="ann")
    contracts.put("bots", actor="ann", required=["tags.project"])

    answer = finance.post(f"{KEYS}project/", {"drop": "1"})

    assert answer.status_code == 422
    assert "the contract of bots" in text(answer)


def test_who_may_not_edit_sees_what_is_declared(projects: None) -> None:
    engineer = signed_in(Role.ENGINEER, "chat")
    seen = engineer.get(KEYS)

    assert "tags.project" in text(seen)
    assert 'name="most_values"' not in text(seen)
    assert engineer.post(KEYS, {"key": "x", "most_values": "5"}).status_code == 403
    assert engineer.get(f"{KEYS}project/").status_code == 403


def test_what_is_capped_is_said_where_keys_are_and_on_data_health(finance: Client, projects: None) -> None:
    DimensionOverflow.objects.create(
        source="bots",
        dimension="tags.project",
        first_seen_at=datetime.now(UTC),
        last_seen_at=datetime.now(UTC),
        calls=12,
        examples=["p-1"],
    )
    for page in (KEYS, "/health/"):
        assert "tags.project of bots: 12 calls" in text(finance.get(page))


def test_rules_trials_and_contracts_know_the_tag(finance: Client, projects: None) -> None:
    new = "/governance/rules/new/"
    said = {
        "name": "Apollo",
        "match": "tags.project: apollo, gemini-*",
        "team": "chat",
        "effective_from": today().isoformat(),
    }
    assert "tags.project" in text(finance.get(new))
    shown = finance.post(new, {**said, "preview": "1"})
    finance.post(new, {**said, "previewed": shown.context["form"].said})
    assert TaggingRule.objects.get().versions.get().match == {"tags.project": ["apollo", "gemini-*"]}

    for tags in ("tags.project=gemini-8", '{"tags": {"project": "gemini-8"}, "source": "x"}'):
        tried = finance.get("/governance/try/", {"tags": tags})
        assert tried.context["told"].team == "chat"
    assert finance.get("/governance/try/", {"tags": "tags.other=x"}).status_code == 422

    contract = {"source": "bots", "mode": "count", "required_keys": ["tags.project"]}
    allowed = {"allowed": "tags.project: apollo, gemini-8"}
    assert finance.post("/governance/contracts/entry/", {**contract, **allowed}).status_code == 302
    assert SourceContract.objects.get().allowed == {"tags.project": ["apollo", "gemini-8"]}


@pytest.mark.parametrize("tab", ["", "&tab=changes"])
def test_costs_are_explored_by_a_tag(finance: Client, projects: None, tab: str) -> None:
    seen = finance.get(f"/costs/?group=tags.project{tab}")
    assert seen.status_code == 200
    assert "apollo" in text(seen)
    narrowed = finance.get(f"/costs/?group=model&tags.project=apollo{tab}")
    assert "Tag project is apollo" in text(narrowed)
    if not tab:
        assert re.search(r'href="/usage/\?[^"]*tags\.project=apollo', text(narrowed))
    split = finance.get("/costs/?split=tags.project")
    assert "apollo" in text(split)
    assert finance.get("/costs/?group=tags.never").status_code == 400


@pytest.mark.parametrize("page", ["/", "/teams/chat/"])
def test_other_screens_are_narrowed_by_a_tag_and_lead_on_with_it(
    finance: Client, projects: None, page: str
) -> None:
    seen = text(finance.get(f"{page}?tags.project=apollo"))

    assert "Tag project is apollo" in seen
    assert re.search(r'href="/costs/\?[^"]*tags\.project=apollo', seen)


def test_calls_are_listed_by_a_tag(finance: Client, projects: None) -> None:
    seen = text(finance.get("/usage/?period=last-7-days&tags.project=apollo"))

    assert ("e0" in seen, "e1" in seen, "e2" in seen) == (True, True, False)
    one = text(finance.get("/usage/app/e0/"))
    assert 'href="/costs/?group=model&amp;tags.project=apollo">apollo</a>' in one


def test_an_export_by_tag_adds_up(finance: Client, projects: None) -> None:
    answer: Any = finance.get("/costs/export.csv?group=tags.project")  # Any: as above
    rows = b"".join(answer.streaming_content) if answer.streaming else answer.content

    assert b"Tag project" in rows
    assert b"apollo" in rows
    assert b"Not given" in rows


def test_a_key_can_be_missed_only_after_it_was_declared(projects: None) -> None:
    contracts.put("app", actor="ann", required=["tags.project"])
    assert lapses() == []
    AllocationKey.objects.update(declared_at=datetime.now(UTC) - timedelta(days=3))
    assert [(one.key, one.is_missing, one.calls) for one in lapses()] == [("tags.project", True, 1)]
    contracts.put("app", actor="ann", required=[], allowed={"tags.project": ["gemini"]})
    assert [(one.key, one.is_missing, one.calls) for one in lapses()] == [("tags.project", False, 2)]
