"""Governance and the quarantine on screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from attribution import contracts, ownership, registry, rollups
from attribution.ingest import writer as books
from attribution.ingest.quarantine import keep_invalid
from attribution.models import CallEvent, Quarantined, SourceContract, TaggingRule
from attribution.organisation import today
from attribution.tagging import rules_on
from finops.accounts.models import AuditEntry, Role
from finops.core.errors import FieldProblem
from finops.core.meters import Meter
from tests.attribution.factory import Call, book, dimension_set, price_slot
from tests.signing_in import signed_in, text

pytestmark = pytest.mark.django_db
NEW = "/governance/rules/new/"
PAGES = ("/governance/", "/governance/try/", "/governance/contracts/", "/quarantine/")


@pytest.fixture(autouse=True)
def company(db: None) -> Iterator[None]:
    for slug in ("search", "chat"):
        registry.create_team(slug, name=slug.capitalize(), actor="ann")
    registry.create_feature("finder", actor="ann")
    ownership.own_feature("finder", "search", actor="ann")
    books.forget()
    yield
    books.forget()


@pytest.fixture
def finance() -> Client:
    return signed_in(Role.FINANCE)


def rule(**said: str) -> dict[str, str]:
    return {
        "name": "Bots",
        "match": "workflow: bot-*\nenvironment: prod, (empty)",
        "team": "chat",
        "only_missing": "on",
        "effective_from": today().isoformat(),
        **said,
    }


def saved(client: Client, address: str = NEW, **said: str) -> Any:  # Any: as above
    """Preview, and save what was previewed."""
    answer = client.post(address, {**rule(**said), "preview": "1"})
    return client.post(address, {**rule(**said), "previewed": answer.context["form"].said})


def quarantined(number: int = 1, **said: Any) -> Quarantined:
    event = {
        "event_id": f"e{number}",
        "source": "bots",
        "occurred_at": datetime.now(UTC).isoformat(),
        "provider": "openai",
        "model": "gpt-x",
        "usage": {"input_tokens": 10},
        **said,
    }
    keep_invalid([("bots", f"e{number}", FieldProblem("feature", "not_a_slug", "No spaces."), event)])
    return Quarantined.objects.get(event_id=f"e{number}")


@pytest.mark.parametrize("page", [*PAGES, NEW])
def test_a_stranger_is_sent_to_sign_in(client: Client, page: str) -> None:
    assert client.get(page)["Location"].startswith("/accounts/login/?next=/")


@pytest.mark.parametrize("page", [*PAGES, NEW, "/governance/contracts/entry/"])
def test_every_page_has_one_heading_and_no_inline_code(finance: Client, page: str) -> None:
    answer = finance.get(page)

    assert (answer.status_code, text(answer).count("<h1")) == (200, 1)
    assert " style=" not in text(answer)


def test_a_rule_is_previewed_before_it_is_saved(finance: Client) -> None:
    at = datetime.now(UTC).replace(hour=12, minute=0)
    slot = price_slot({Meter.INPUT: "1.25"})
    book([Call(at, dimension_set(feature="finder", workflow="bot-1"), slot, {"input": 10**6})])
    rollups.fold()

    answer = finance.post(NEW, rule())
    assert not TaggingRule.objects.exists()
    moved = {name: one.change for name, one in answer.context["preview"].rows}
    assert moved == {"Chat": Decimal(1), "Search": Decimal(-1)}

    assert saved(finance).status_code == 302
    (standing,) = rules_on(today())
    assert standing.shown.match == {"workflow": ["bot-*"], "environment": ["prod", ""]}
    assert standing.shown.made_by == "finance@example.com"
    page = text(finance.get(f"/governance/rules/{standing.rule.pk}/"))
    assert "environment: prod, (empty)" in page


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"match": "no colon"}, "match"),
        ({"match": "customer: x"}, "match"),
        ({"name": ""}, "name"),
        ({"team": ""}, None),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    finance: Client, said: dict[str, str], field: str | None
) -> None:
    answer = finance.post(NEW, {**rule(**said), "preview": "1"})

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field or "__all__"]


def test_rules_change_places_and_retire(finance: Client) -> None:
    saved(finance)
    saved(finance, name="Others")
    first, second = (one.rule for one in rules_on(today()))

    finance.post(f"/governance/rules/{second.pk}/move/", {"up": "1"})
    assert [one.rule.name for one in rules_on(today())] == ["Others", "Bots"]

    finance.post(f"/governance/rules/{first.pk}/", {"retire": "1"})
    assert [one.rule.name for one in rules_on(today()) if one.is_active] == ["Others"]
    assert "Rules that do not hold today" in text(finance.get("/governance/"))


def test_pasted_tags_are_tried_in_any_way_of_writing(finance: Client) -> None:
    saved(finance)
    for tags in ('workflow=bot-1, source="web"', "workflow: bot-1\nsource: web", '{"workflow": "bot-1"}'):
        told = finance.get("/governance/try/", {"tags": tags}).context["told"]
        assert (told.team, told.rule) == ("chat", 'tagging rule "Bots"')
    for wrong in ("customer=x", "hello", "{", '{"team": 1}'):
        assert finance.get("/governance/try/", {"tags": wrong}).status_code == 422


def test_a_contract_is_set_up_and_dropped(finance: Client) -> None:
    address = "/governance/contracts/entry/"
    said = {
        "source": "bots",
        "owner": "ann@example.com",
        "account": "Acme-Prod",
        "mode": "quarantine",
        "required_keys": ["team", "feature"],
        "allowed": "environment: prod, staging",
        "aliases": "feature: Chat-Bot = chat",
        "teams": ["chat"],
    }
    assert finance.post(address, said).status_code == 302
    contract = SourceContract.objects.get()
    assert contracts.as_json(contract)["aliases"] == {"feature": {"Chat-Bot": "chat"}}
    assert contract.allowed == {"environment": ["prod", "staging"]}
    page = finance.get(f"{address}?source=bots")
    initial = page.context["form"].initial
    assert (initial["aliases"], initial["account"]) == ("feature: Chat-Bot = chat", "Acme-Prod")
    assert "Acme-Prod" in finance.get("/governance/contracts/").content.decode()
    assert finance.post(address, {**said, "account": "two words"}).status_code == 422
    assert finance.post(address, {**said, "aliases": "feature: Chat-Bot"}).status_code == 422

    finance.post(f"{address}?source=bots", {"drop": "1"})
    assert not SourceContract.objects.exists()


def test_lapses_are_counted_from_the_books(finance: Client) -> None:
    contracts.put("app", actor="ann", required=["team"], allowed={"environment": ["prod"]})
    at = datetime.now(UTC)
    book([Call(at, dimension_set(environment="test"), price_slot()), Call(at, dimension_set(team="x"), 1)])
    rollups.fold()

    (line,) = finance.get("/governance/contracts/").context["lines"]
    assert [(one.key, one.is_missing, one.calls) for one in line["lapses"]] == [
        ("environment", False, 1),
        ("team", True, 1),
    ]


def test_a_record_is_put_right_on_its_page(finance: Client) -> None:
    record = quarantined(feature="no slug")
    address = f"/quarantine/{record.pk}/"

    assert finance.post(address, {"event": json.dumps(record.payload), "replay": "1"}).status_code == 422
    with_prompt = {**record.payload, "feature": "x", "prompt": "secret"}
    refused = finance.post(address, {"event": json.dumps(with_prompt), "replay": "1"})
    assert refused.context["form"].errors["event"] == [
        "Prompt and completion text is never stored: leave it out."
    ]
    right = json.dumps({**record.payload, "feature": "slug"})
    assert finance.post(address, {"event": right, "replay": "1"}).status_code == 302

    assert CallEvent.objects.count() == 1
    page = text(finance.get(address))
    assert "Replayed into the books" in page
    assert "finance@example.com" in page


def test_several_are_dismissed_with_a_reason_and_the_filter_stays(finance: Client) -> None:
    one, two = quarantined(1), quarantined(2)

    answer = finance.post("/quarantine/?source=bots", {"id": [one.pk, two.pk], "dismiss": "1", "note": ""})
    assert answer["Location"] == "/quarantine/?source=bots"
    assert Quarantined.objects.filter(resolved_at=None).count() == 2
    finance.post("/quarantine/", {"id": [one.pk, two.pk], "dismiss": "1", "note": "test traffic"})

    assert Quarantined.objects.filter(resolution="dismissed", note="test traffic").count() == 2
    assert AuditEntry.objects.filter(action="quarantine.dismissed").count() == 2
    assert len(finance.get("/quarantine/?state=resolved").context["lines"]) == 2
    assert len(finance.get("/quarantine/?state=resolved&source=other").context["lines"]) == 0


def test_queries_do_not_grow_with_the_records(
    finance: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(60):
        quarantined(number)

    with django_assert_max_num_queries(8):  # two of them are who asks
        answer = finance.get("/quarantine/")
    assert (len(answer.context["lines"]), answer.context["total"]) == (50, 60)


def test_leads_read_rules_and_see_their_own_records_only() -> None:
    lead = signed_in(Role.LEAD, "chat")
    mine, theirs = quarantined(1, team="chat"), quarantined(2, team="search")
    saved(signed_in(Role.FINANCE))
    number = TaggingRule.objects.get().pk

    assert [record.pk for record, _ in lead.get("/quarantine/").context["lines"]] == [mine.pk]
    assert lead.get(f"/quarantine/{theirs.pk}/").status_code == 404
    assert lead.get(f"/governance/rules/{number}/").status_code == 200
    for address in (NEW, f"/governance/rules/{number}/", f"/quarantine/{mine.pk}/", "/quarantine/"):
        assert lead.post(address, {"retire": "1", "replay": "1"}).status_code == 403
    assert lead.post(f"/governance/rules/{number}/move/", {"up": "1"}).status_code == 403
    assert lead.get("/governance/contracts/entry/").status_code == 403
