"""Commitments, credits and taxes by the API: what may be entered, how it is corrected, what is refused."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from attribution import registry
from attribution.models import ChargeDay, Origin
from finops.accounts.models import AuditEntry
from pricing import fx
from pricing.models import Commitment, Credit, Tax
from tests.pricing.terms.desk import Desk

pytestmark = pytest.mark.django_db
COMMITMENTS, CREDITS, TAXES = (f"/api/v1/{name}" for name in ("commitments", "credits", "taxes"))
Json = dict[str, Any]
TERM: Json = {"name": "one", "provider": "OpenAI", "starts_on": "2026-10-01", "ends_on": "2027-10-01"}
PREPAID: Json = {**TERM, "kind": "prepaid", "amount": "90000"}
CAPACITY: Json = {**TERM, "kind": "provisioned", "hourly_price": "2.5", "units": 40}
GRANT: Json = {**TERM, "kind": "grant", "amount": "1000"}
REFUND: Json = {
    "name": "sorry",
    "provider": "openai",
    "kind": "refund",
    "starts_on": "2026-10-09",
    "amount": "12",
}
VAT: Json = {**TERM, "percent": "19"}


@pytest.fixture
def desk(client: Client) -> Desk:
    registry.create_team("search", actor="test")
    return Desk(client, "read", "write")


def test_a_prepayment_in_euros_is_kept_as_entered_and_in_dollars(desk: Desk) -> None:
    fx.book_rate("EUR", date(2026, 10, 1), Decimal("0.9"), by="test")

    made = desk.post(
        COMMITMENTS, {**PREPAID, "currency": "eur", "credit": "100000", "model": "gpt-*"}, key="k"
    )
    again = desk.post(
        COMMITMENTS, {**PREPAID, "currency": "eur", "credit": "100000", "model": "gpt-*"}, key="k"
    )

    assert again == made
    assert (made["provider"], made["currency"], made["fx_rate"]) == ("openai", "EUR", "0.9")
    assert (made["amount"], made["amount_usd"]) == ("90000", "100000")
    assert (made["credit"], made["credit_usd"]) == ("100000", "111111.111111111111")
    assert (made["attribute_unused_to"], made["hourly"], made["replaces"]) == ("nobody", "0", None)
    assert (made["entered_by"], made["known_to"]) == ("key: desk-read-write", None)
    assert made["drawdown"]["days"] == []
    audited = AuditEntry.objects.get(action="commitment.entered")
    assert audited.after is not None
    assert (audited.subject, audited.after["amount_usd"]) == ("one", "100000")


def test_capacity_is_entered_by_unit(desk: Desk) -> None:
    made = desk.post(
        COMMITMENTS,
        {
            **{name: CAPACITY[name] for name in ("name", "provider", "kind", "hourly_price", "units")},
            "effective_from": "2026-10-01",
            "effective_to": "2026-11-01",
            "capacity_per_unit_hour": "3000000",
            "attribute_unused_to": "team",
            "team": "search",
            "account": "Acct-1",
            "host": "Azure",
        },
    )

    assert (made["hourly"], made["hourly_usd"], made["units"]) == ("100", "100", 40)
    assert (made["capacity_per_hour"], made["credit_usd"]) == ("120000000", None)
    assert (made["starts_on"], made["ends_on"]) == ("2026-10-01", "2026-11-01")
    assert (made["account"], made["host"], made["team"]) == ("Acct-1", "azure", "search")


def test_credits_and_taxes_have_the_days_and_bearers_that_their_kind_asks_for(desk: Desk) -> None:
    grant = desk.post(CREDITS, GRANT)
    refund = desk.post(CREDITS, {**REFUND, "team": "search"})
    vat = desk.post(TAXES, VAT)
    levy = desk.post(TAXES, {**REFUND, "name": "levy", "kind": None} | {"kind": "x"}, expect=400)
    stamp = desk.post(TAXES, {name: REFUND[name] for name in ("name", "provider", "starts_on", "amount")})

    assert (grant["attribute_to"], grant["drawdown"]["totals"]["left"]) == ("use", "1000")
    assert (refund["attribute_to"], refund["team"], refund["ends_on"]) == ("team", "search", "2026-10-10")
    assert refund["drawdown"] is None
    assert (vat["percent"], vat["amount_usd"], vat["attribute_to"]) == ("19", None, "use")
    assert [problem["field"] for problem in levy["errors"]] == ["kind"]
    assert (stamp["percent"], stamp["amount_usd"], stamp["attribute_to"]) == (None, "12", "nobody")


NOT_OF_PREPAID = "not_for_prepaid"


@pytest.mark.parametrize(
    ("path", "body", "problems"),
    [
        (COMMITMENTS, [], [("body", "invalid")]),
        (COMMITMENTS, {}, [("name", "required"), ("provider", "required"), ("kind", "required")]),
        (COMMITMENTS, {**PREPAID, "kind": "gift"}, [("kind", "invalid_choice")]),
        (COMMITMENTS, {**PREPAID, "unit": 1}, [("unit", "unknown")]),
        (COMMITMENTS, {**PREPAID, "amount": "1.0000001"}, [("amount", "max_decimal_places")]),
        (COMMITMENTS, {**PREPAID, "amount": "NaN"}, [("amount", "invalid")]),
        (COMMITMENTS, {**PREPAID, "amount": "0"}, [("amount", "required")]),
        (COMMITMENTS, {**PREPAID, "credit": "-1"}, [("credit", "invalid")]),
        (
            COMMITMENTS,
            {**PREPAID, "hourly_price": "1", "units": 2, "capacity_per_hour": "3"},
            [
                ("hourly_price", NOT_OF_PREPAID),
                ("units", NOT_OF_PREPAID),
                ("capacity_per_hour", NOT_OF_PREPAID),
            ],
        ),
        (COMMITMENTS, {**PREPAID, "currency": "EURO"}, [("currency", "invalid")]),
        (COMMITMENTS, {**PREPAID, "starts_on": "1 Oct"}, [("starts_on", "invalid")]),
        (COMMITMENTS, {**PREPAID, "starts_on": "1999-01-01"}, [("starts_on", "invalid")]),
        (COMMITMENTS, {**PREPAID, "ends_on": "2101-01-01"}, [("ends_on", "invalid")]),
        (COMMITMENTS, {**PREPAID, "ends_on": "2026-10-01"}, [("ends_on", "order")]),
        (COMMITMENTS, {**PREPAID, "effective_to": "2027-01-01"}, [("effective_to", "contradiction")]),
        (
            COMMITMENTS,
            {name: PREPAID[name] for name in ("name", "provider", "kind", "amount")},
            [("starts_on", "required"), ("ends_on", "required")],
        ),
        (COMMITMENTS, {**PREPAID, "attribute_unused_to": "team"}, [("team", "required")]),
        (COMMITMENTS, {**PREPAID, "team": "search"}, [("team", "not_for_this")]),
        (COMMITMENTS, {**PREPAID, "attribute_unused_to": "team", "team": "nil"}, [("team", "unknown")]),
        (COMMITMENTS, {**CAPACITY, "credit": "1"}, [("credit", "not_for_capacity")]),
        (COMMITMENTS, {**CAPACITY, "hourly_price": "0"}, [("hourly_price", "required")]),
        (COMMITMENTS, {**CAPACITY, "hourly_price": "-1"}, [("hourly_price", "invalid")]),
        (COMMITMENTS, {**CAPACITY, "amount": "-1"}, [("amount", "invalid")]),
        (COMMITMENTS, {**CAPACITY, "units": 0}, [("units", "min_value")]),
        (COMMITMENTS, {**CAPACITY, "capacity_per_hour": "0"}, [("capacity_per_hour", "invalid")]),
        (
            COMMITMENTS,
            {**TERM, "kind": "reserved", "amount": "1", "capacity_per_unit_hour": "5"},
            [("units", "required")],
        ),
        (
            COMMITMENTS,
            {**CAPACITY, "capacity_per_unit_hour": "5", "capacity_per_hour": "5"},
            [("capacity_per_unit_hour", "contradiction")],
        ),
        (CREDITS, {**GRANT, "amount": "0"}, [("amount", "invalid")]),
        (CREDITS, {**GRANT, "attribute_to": "nobody"}, [("attribute_to", "not_for_grant")]),
        (CREDITS, {**REFUND, "attribute_to": "use"}, [("attribute_to", "not_for_this")]),
        (CREDITS, {**REFUND, "kind": "grant"}, [("ends_on", "required")]),
        (TAXES, TERM, [("percent", "required")]),
        (TAXES, {**VAT, "amount": "1"}, [("percent", "required")]),
        (TAXES, {**VAT, "percent": "100.1"}, [("percent", "invalid")]),
        (TAXES, {**VAT, "attribute_to": "nobody"}, [("attribute_to", "not_for_percent")]),
    ],
)
def test_a_refusal_names_every_field(
    desk: Desk, path: str, body: object, problems: list[tuple[str, str]]
) -> None:
    assert desk.refused(path, body) == problems
    assert not any(kind.objects.exists() for kind in (Commitment, Credit, Tax))


def test_a_missing_rate_of_exchange_and_an_amount_that_is_none_are_refused(desk: Desk) -> None:
    fx.book_rate("VND", date(2026, 10, 1), Decimal(10**11), by="test")

    missing = desk.post(COMMITMENTS, {**PREPAID, "currency": "GBP"}, expect=422)

    assert missing["errors"][0]["field"] == "currency"
    assert "GBP is booked for 2026-10" in missing["detail"]
    assert desk.refused(CREDITS, {**GRANT, "currency": "VND", "amount": "0.01"}) == [("amount", "invalid")]


def test_corrections_are_further_rows_and_keep_the_rate_of_exchange(desk: Desk) -> None:
    with time_machine.travel("2026-10-15T12:00:00Z", tick=True):
        fx.book_rate("EUR", date(2026, 10, 1), Decimal("0.9"), by="test")
        first = desk.post(
            COMMITMENTS, {**CAPACITY, "currency": "EUR", "attribute_unused_to": "team", "team": "search"}
        )
        fx.book_rate("EUR", date(2026, 10, 1), Decimal("0.8"), by="test")
    before = timezone.now().isoformat()
    path = f"{COMMITMENTS}/{first['id']}"

    second = desk.post(f"{path}/correct", {"units": 20, "attribute_unused_to": "nobody"})

    assert (second["fx_rate"], second["hourly"], second["units"]) == ("0.9", "50", 20)
    assert (second["hourly_usd"], second["team"]) == ("55.555555555556", "")
    assert second["replaces"] == first["id"]
    old = desk.get(path)
    assert (old["replaced_by"], old["known_to"], old["hourly"]) == (second["id"], second["known_from"], "100")
    assert [row["id"] for row in old["history"]] == [second["id"], first["id"]]
    assert [row["id"] for row in desk.get(COMMITMENTS)["results"]] == [second["id"]]
    assert [row["id"] for row in desk.get(COMMITMENTS, {"as_of": before})["results"]] == [first["id"]]
    desk.post(f"{path}/correct", {"note": "late"}, expect=409)

    same = desk.post(f"{COMMITMENTS}/{second['id']}/correct", {"units": 20})
    assert same["id"] == second["id"]
    moved = desk.post(
        f"{COMMITMENTS}/{second['id']}/correct", {"currency": "USD", "capacity_per_unit_hour": "7"}
    )
    assert (moved["fx_rate"], moved["hourly_usd"], moved["capacity_per_hour"]) == ("1", "50", "140")
    told = AuditEntry.objects.filter(action="commitment.corrected").order_by("-pk")
    before_and_after = told.values_list("before__currency", "after__currency").first()
    assert before_and_after == ("EUR", "USD")


def test_a_tax_becomes_an_amount_and_a_grant_ends_early_and_is_withdrawn(desk: Desk) -> None:
    vat, grant = desk.post(TAXES, VAT), desk.post(CREDITS, GRANT)
    levied = desk.post(f"{TAXES}/{vat['id']}/correct", {"amount": "5"})
    path = f"{CREDITS}/{grant['id']}"

    assert (levied["percent"], levied["amount"], levied["attribute_to"]) == (None, "5", "nobody")
    assert desk.refused(f"{path}/end", {"ends_on": "2027-10-01"}) == [("ends_on", "order")]
    assert desk.refused(f"{path}/end", {}) == [("ends_on", "required")]
    ended = desk.post(f"{path}/end", {"ends_on": "2026-12-01"})
    assert (ended["ends_on"], ended["amount_usd"], ended["replaces"]) == ("2026-12-01", "1000", grant["id"])
    gone = f"{CREDITS}/{ended['id']}"
    assert desk.refused(f"{gone}/withdraw", {"reason": " "}) == [("reason", "blank")]
    assert desk.post(f"{gone}/withdraw", {"reason": "a mistake"}, expect=200)["known_to"] is not None
    assert desk.get(CREDITS)["results"] == []
    assert "was withdrawn" in desk.post(f"{gone}/correct", {"amount": "2"}, expect=409)["detail"]
    assert AuditEntry.objects.get(action="credit.withdrawn").after == {"reason": "a mistake"}
    desk.post(CREDITS, GRANT)


def test_names_are_unique_and_lists_are_filtered_and_paged(desk: Desk) -> None:
    desk.post(COMMITMENTS, PREPAID)
    desk.post(COMMITMENTS, {**CAPACITY, "name": "two", "provider": "azure", "ends_on": "2026-11-01"})

    taken = desk.post(COMMITMENTS, {**CAPACITY, "provider": "azure"}, expect=409)
    page = desk.get(COMMITMENTS, {"limit": "1"})

    assert [(one["field"], one["code"]) for one in taken["errors"]] == [("name", "taken")]
    assert [row["name"] for row in page["results"] + desk.get(page["next"])["results"]] == ["one", "two"]
    assert [row["name"] for row in desk.get(COMMITMENTS, {"provider": "Azure"})["results"]] == ["two"]
    assert [row["name"] for row in desk.get(COMMITMENTS, {"at": "2026-11-01"})["results"]] == ["one"]
    desk.get(COMMITMENTS, {"at": "soon"}, expect=400)
    desk.get(f"{COMMITMENTS}/999999", expect=404)


def test_drawdown_adds_up_and_is_for_those_who_see_all_teams(desk: Desk, client: Client) -> None:
    number = desk.post(COMMITMENTS, {**PREPAID, "credit": "100000"})["id"]
    of = {"origin": Origin.COMMITMENT, "origin_id": number}
    ChargeDay.objects.create(
        day="2026-10-01", covered=30_000, cost=27_000, used=27_000, purchase=90_000, left=70_000, **of
    )
    ChargeDay.objects.create(day="2026-10-02", covered=500, cost=450, used=450, left=69_500, **of)

    told = desk.get(f"{COMMITMENTS}/{number}")["drawdown"]

    assert told["totals"] == {
        "amortised": "27450", "covered": "30500", "used": "27450", "unused": "0", "billed": "90000",
        "left": "69500", "utilisation": "0.305",
    }  # fmt: skip
    assert [(day["day"], day["covered"], day["left"]) for day in told["days"]] == [
        ("2026-10-01", "30000", "70000"),
        ("2026-10-02", "500", "69500"),
    ]
    own = Desk(client, "read", "write", team="search")
    assert own.get(f"{COMMITMENTS}/{number}")["drawdown"] is None
    own.post(COMMITMENTS, {**PREPAID, "name": "mine"}, expect=403)
    Desk(client, "ingest").get(COMMITMENTS, expect=403)
    Desk(client, "read").post(f"{COMMITMENTS}/{number}/end", {"ends_on": "2026-12-01"}, expect=403)
