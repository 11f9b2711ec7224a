"""The screens of agreements: what they tell, how one is entered, corrected and ended, who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from attribution import registry
from finops.accounts.models import Role
from pricing import drafts
from pricing.agreeing import enter_agreement
from pricing.agreement_bodies import read_agreement
from pricing.agreement_changes import agreement_changes
from pricing.facts import Facts
from pricing.models import Agreement, BookVersion, DraftBlock, Rate, VersionStatus
from pricing.slots import SlotBook
from tests.pricing.test_drafts import TOMORROW, in_book
from tests.pricing.test_price_screens import page_of
from tests.pricing.test_publishing import price
from tests.signing_in import signed_in, text

pytestmark = pytest.mark.django_db
LIST, ENTER = "/prices/agreements/", "/prices/agreements/enter/"
OFF = {"name": "frame 2026", "provider": "acme", "percent_off": "12.5", "source": "https://acme.example/msa"}
FIXED = {
    "name": "large deal",
    "provider": "acme",
    "model": "large",
    "rates": [{"meter": "input", "unit_price": "1.1"}, {"meter": "searches", "unit_price": "8", "per": 1000}],
}
BANDS = {
    "name": "volume",
    "provider": "bulk",
    "bands": [{"over": "0", "percent_off": "5"}, {"over": "1000000000", "percent_off": "10.25"}],
    "volume_of": "tokens",
    "band_mode": "marginal",
}
TERMS = ("over", "percent_off", "meter", "unit_price", "per")


def in_force(*bodies: dict[str, Any]) -> list[Agreement]:
    """These agreements, published one by one."""
    found = []
    for body in bodies:
        terms, problems = read_agreement(body)
        assert terms is not None, problems
        entered = enter_agreement(terms, by="ann@example.com", publishes=True)
        assert not entered.waits
        found.append(entered.agreement)
    return found


def page(agreement: Agreement) -> str:
    return f"{LIST}{agreement.pk}/"


def told(*rows: tuple[str, ...], **fields: str) -> dict[str, str]:
    """The form as a browser sends it; a row has the cells of TERMS, as many as are given."""
    cells = {
        f"terms-{number}-{name}": cell
        for number, row in enumerate(rows)
        for name, cell in zip(TERMS, row, strict=False)
    }
    return {"terms": str(len(rows)), "name": "deal", "provider": "acme", "enter": "1", **cells, **fields}


@pytest.fixture
def finance() -> Client:
    return signed_in(Role.FINANCE)


def test_list_tells_what_was_agreed_and_can_be_narrowed_and_exported(finance: Client) -> None:
    assert "Nothing was negotiated yet" in text(finance.get(LIST))
    later = {**OFF, "name": "frame 2027", "effective_from": f"{TOMORROW:%Y-%m-%d}T00:00:00Z"}
    in_force({**OFF, "effective_to": later["effective_from"], "includes_fees": True}, FIXED, BANDS, later)

    def names(**query: str) -> list[str]:
        answer = finance.get(LIST, query)
        assert answer.status_code == 200
        return [line.agreement.name for line in answer.context["lines"]]

    assert names() == ["frame 2026", "large deal", "volume"]
    assert names(provider="bulk") == ["volume"]
    assert names(q="LARGE") == ["large deal"]
    assert names(when="later") == ["frame 2027"]
    assert names(when="any", q="frame") == ["frame 2026", "frame 2027"]
    assert names(on=f"{TOMORROW:%Y-%m-%d}", q="frame") == ["frame 2027"]
    assert names(q="nothing") == []
    assert finance.get(f"{LIST}?on=june").status_code == 400
    frame, large, volume = finance.get(LIST).context["lines"]
    assert (frame.what, frame.fees, frame.state) == (["12.5% off"], "included", "In force")
    assert (large.what, large.fees) == (["fixed: input $1.10/1M, searches $8.00/1,000"], "searches")
    assert volume.what == ["from 0 on: 5% off", "over 1,000,000,000 tokens: 10.25% off"]

    rows = finance.get(f"{LIST}export.csv?q=large").getvalue().decode("utf-8-sig").splitlines()
    assert [row.split(",")[15:18] for row in rows[1:]] == [
        ["input", "1.1", "1000000"],
        ["searches", "8", "1000"],
    ]
    assert finance.get(f"{LIST}export.xlsx").status_code == 200
    assert finance.get(f"{LIST}export.pdf").status_code == 404


def test_page_of_one_shows_what_it_rests_on_and_the_prices_that_it_makes(finance: Client) -> None:
    in_book(price("large", "2"), price("small", "1"))
    (off,) = in_force(OFF)
    assert "No usage has its prices from it yet" in text(finance.get(page(off)))
    SlotBook().resolve([Facts("acme", "small")], np.array([1_700_000_000_000_000]), np.array([10]))

    answer = finance.get(page(off))

    ((line,),) = answer.context["groups"]
    assert (line.listed, line.contracted, line.difference) == (1, Decimal("0.875"), "\N{MINUS SIGN}12.5%")
    assert "frame 2026: 12.5% off" in text(answer)
    assert 'href="https://acme.example/msa"' in text(answer)
    assert "published by ann@example.com" in text(answer)
    assert finance.get(f"{LIST}999/").status_code == 404


def test_contracted_stands_beside_list_in_the_book_and_on_the_page_of_a_model(finance: Client) -> None:
    row, rates = price("large", "2", effective_to=TOMORROW)
    rates.append(Rate(meter="output", unit_price=Decimal(8)))
    in_book((row, rates), price("large", "3", effective_from=TOMORROW), price("small", "1"))
    off, _, own = in_force(OFF, FIXED, {**OFF, "name": "team deal", "account": "team-x", "percent_off": "50"})

    def contracted(**query: str) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
        lines = [line for line, _ in finance.get("/prices/", query).context["lines"]]
        return [
            (
                one.shown.price.model,
                one.shown.meter,
                [(f"{c.amount:f}", c.agreement.name, c.account) for c in one.contracted],
            )
            for one in lines
        ]

    half = ("0.5", "team deal", "team-x")
    assert contracted() == [
        ("large", "input", [("1.1", "large deal", "")]),
        ("large", "output", [("7", "frame 2026", ""), ("4", "team deal", "team-x")]),
        ("small", "input", [("0.875", "frame 2026", ""), half]),
    ]
    shown = text(finance.get("/prices/"))
    assert f'href="{page(off)}"' in shown
    assert f'href="{page(own)}"' in shown
    exported = finance.get("/prices/export.csv?q=small").getvalue().decode("utf-8-sig")
    assert "0.875,frame 2026," in exported
    assert "0.5,team deal,team-x" in exported
    model = text(finance.get("/prices/model/?provider=acme&model=large"))
    assert "large deal" in model
    assert "frame 2026" in model
    registry.create_team("x", name="X", actor="ann")
    for role, teams, sees in (
        (Role.ENGINEER, ["x"], False),
        (Role.LEAD, ["x"], True),
        (Role.VIEWER, [], True),
    ):
        reader = signed_in(role, *teams)
        for address in ("/prices/", "/prices/export.csv", "/prices/model/?provider=acme&model=large"):
            answer = reader.get(address)
            seen = answer.getvalue().decode() if address.endswith("csv") else text(answer)
            assert ("large deal" in seen) is sees
            assert ("Agreements" in seen) is (sees and not address.endswith("csv"))


def test_agreement_is_entered_reviewed_and_published(finance: Client) -> None:
    made = finance.post(
        ENTER, told(("", "12.5"), effective_from=f"{TOMORROW:%Y-%m-%d}", source="the contract")
    )

    version = BookVersion.objects.get()
    assert made["Location"] == page_of(version)
    shown = finance.get(page_of(version))
    assert "1 agreement <" in text(shown)
    assert "12.5% off" in text(shown)
    (deal,) = Agreement.objects.all()
    assert (deal.model, deal.effective_from, deal.source) == ("*", TOMORROW, "the contract")
    assert "prices nothing before that is published" in text(finance.get(page(deal)))
    assert f"draft {version.pk}" in text(finance.get(LIST))
    finance.post(page_of(version), {"review": "1"})
    done = finance.post(page_of(version), {"publish": "1"}, follow=True)
    assert "Published: it is in force." in text(done)
    assert [line.state for line in finance.get(f"{LIST}?when=any").context["lines"]] == ["Later"]


def test_rows_of_prices_and_bands_become_what_they_say(finance: Client) -> None:
    sent = told(
        ("1,000,000", "", "input", "0.9"),
        ("", "", "input", "1"),
        ("", "", "searches", "9", "1000"),
        (),
        ("1000000", "", "searches", "8", "1000"),
        volume_of="list_cost",
        band_mode="whole",
        meters="input, searches",
        model="large*",
        account="team-x",
    )
    finance.post(ENTER, sent)

    deal = Agreement.objects.get()
    assert [
        (band.over, {rate.meter: (rate.unit_price, rate.per) for rate in band.rates.all()})
        for band in deal.bands.order_by("over")
    ] == [
        (Decimal(0), {"input": (Decimal(1), 1_000_000), "searches": (Decimal(9), 1000)}),
        (Decimal(1_000_000), {"input": (Decimal("0.9"), 1_000_000), "searches": (Decimal(8), 1000)}),
    ]
    assert (deal.volume_of, deal.band_mode, deal.meters) == ("list_cost", "whole", ["input", "searches"])
    assert "over $1,000,000: fixed: input $0.90/1M" in text(finance.get(page_of(deal.version)))
    again = told(("", "3"), name="other", draft=str(deal.version_id))
    finance.post(ENTER, again)
    assert set(Agreement.objects.values_list("version", flat=True)) == {deal.version_id}


@pytest.mark.parametrize(
    ("rows", "fields", "form", "cells"),
    [
        ([()], {"name": ""}, {"name"}, {}),
        ([()], {}, {"__all__"}, {}),
        ([("", "101")], {"effective_from": "soon"}, {"effective_from"}, {1: {"percent_off"}}),
        ([("much", "5"), ("", "5"), ("", "6")], {}, set(), {1: {"over"}, 3: {"percent_off"}}),
        ([("", "5", "input", "1")], {}, set(), {1: {"percent_off"}}),
        ([("", "", "input", "x"), ("", "", "searches", "1")], {}, set(), {1: {"unit_price"}, 2: {"per"}}),
        ([("5", "", "input", "x"), ("", "5")], {"volume_of": "tokens"}, set(), {1: {"unit_price"}}),
        ([("", "", "input", "1"), ("", "", "input", "2")], {}, set(), {1: {"meter"}}),
        ([("", "5"), ("9", "6")], {}, {"volume_of"}, {}),
        ([("", "5")], {"meters": "In"}, {"meters"}, {}),
    ],
)
def test_what_is_wrong_is_shown_where_it_was_typed(
    finance: Client,
    rows: list[tuple[str, ...]],
    fields: dict[str, str],
    form: set[str],
    cells: dict[int, Any],
) -> None:
    answer = finance.post(ENTER, told(*rows, **fields))

    entry = answer.context["entry"]
    assert answer.status_code == 422
    assert set(entry.form.errors) == form
    assert {row.number: set(row.errors) for row in entry.wrong_rows} == cells
    assert "RFC" not in text(answer)
    assert not BookVersion.objects.exists()


def test_another_row_is_added_without_losing_what_was_typed(finance: Client) -> None:
    sent = told(("", "101"), ("", "", "input", "x"), name="", add="1", draft="", includes_fees="on")
    answer = finance.post(ENTER, sent)

    entry = answer.context["entry"]
    assert (answer.status_code, len(entry.rows), entry.form["includes_fees"].value()) == (200, 3, "on")
    assert [row["meter"].value() or "" for row in entry.rows] == ["", "input", ""]
    assert entry.rows[0]["percent_off"].value() == "101"


def test_one_that_overlaps_another_is_refused_by_its_name(finance: Client) -> None:
    (off,) = in_force(OFF)

    answer = finance.post(ENTER, told(("", "20")))

    assert answer.status_code == 422
    assert f"agreement {off.pk}, frame 2026" in text(answer)
    assert not BookVersion.objects.filter(status=VersionStatus.DRAFT).exists()


def test_correction_replaces_what_it_was_filled_in_from(finance: Client) -> None:
    (deal,) = in_force(FIXED)
    address = f"{ENTER}?agreement={deal.pk}"
    entry = finance.get(address).context["entry"]
    filled = {name: entry.form[name].value() or "" for name in entry.form.fields}
    cells = [tuple(row[name].value() or "" for name in TERMS) for row in entry.rows]
    assert cells[:2] == [("", "", "input", "1.1", "1000000"), ("", "", "searches", "8", "1000")]

    made = finance.post(
        address, told(*cells[1:], ("", "", "input", "1.05"), **{**filled, "includes_fees": ""})
    )

    version = BookVersion.objects.get(status=VersionStatus.DRAFT)
    assert made["Location"] == page_of(version)
    (change,) = finance.get(page_of(version)).context["agreements"]
    assert (change.kind, change.before.agreement) == ("changed", deal)
    drafts.publish(drafts.review(version, by="bob"), by="bob")
    old = text(finance.get(page(deal)))
    assert "Superseded" in old
    assert f"version {version.pk}" in old
    assert [one.state for one in finance.get(page(deal)).context["history"]] == ["In force", "Superseded"]
    assert finance.post(page(deal), {"ends_on": f"{TOMORROW:%Y-%m-%d}"}).status_code == 422


def test_agreement_is_ended_or_withdrawn_by_a_draft(finance: Client) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    (deal,) = in_force({**OFF, "effective_from": f"{start:%Y-%m-%dT%H:%M:%SZ}"})
    day = f"{TOMORROW:%Y-%m-%d}"
    for wrong in ({}, {"ends_on": day, "withdraw": "on"}, {"ends_on": "2026-01-01"}, {"ends_on": "soon"}):
        assert finance.post(page(deal), wrong).status_code == 422

    made = finance.post(page(deal), {"ends_on": day})

    version = BookVersion.objects.get(status=VersionStatus.DRAFT)
    assert made["Location"] == page_of(version)
    ended = Agreement.objects.get(version=version)
    assert (ended.effective_from, ended.effective_to) == (start, TOMORROW)
    assert ended.bands.get().percent_off == Decimal("12.5")
    drafts.publish(drafts.review(version, by="bob"), by="bob")
    assert (
        finance.post(page(ended), {"ends_on": f"{TOMORROW + timedelta(days=1):%Y-%m-%d}"}).status_code == 422
    )
    finance.post(page(ended), {"withdraw": "on"})
    gone = BookVersion.objects.get(status=VersionStatus.DRAFT)
    (change,) = finance.get(page_of(gone)).context["agreements"]
    assert (change.kind, change.after) == ("ended", None)


def test_others_see_what_their_role_may(finance: Client) -> None:
    registry.create_team("x", name="X", actor="ann")
    (deal,) = in_force({**OFF, "effective_from": f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}"})
    viewer, engineer = signed_in(Role.VIEWER), signed_in(Role.ENGINEER, "x")

    assert Client().get(LIST)["Location"].startswith("/accounts/login/")
    assert Client().get(f"{LIST}export.csv").status_code == 302
    for address in (LIST, page(deal), f"{LIST}export.csv"):
        assert (viewer.get(address).status_code, engineer.get(address).status_code) == (200, 403)
    assert "Enter an agreement" not in text(viewer.get(LIST))
    for address in (ENTER, page(deal)):
        assert viewer.post(address, told(("", "1"))).status_code == 403
    (change,) = agreement_changes(deal.version)
    sentences = [f"{change.words}: booked usage would be priced otherwise.", "It is about a price alone."]
    DraftBlock.objects.create(
        version=deal.version, kind="jump", provider="acme", model="*", findings=sentences
    )
    told_others = text(engineer.get(page_of(deal.version)))
    assert "12.5" not in told_others
    assert "It changes 1 agreement" in told_others
    assert "It is about a price alone." in told_others
    assert "booked usage would be priced otherwise" in text(viewer.get(page_of(deal.version)))
