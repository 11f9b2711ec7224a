"""The screens of commitments, credits, taxes and rates of exchange: entered and corrected by form."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from attribution import registry
from attribution.models import ChargeDay, Origin
from finops.accounts.models import Role
from pricing import fx
from pricing.models import Commitment, Credit, FxRate, Tax
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db
LISTS = ("/prices/commitments/", "/prices/credits/", "/prices/taxes/")
RATES = "/prices/exchange-rates/"
TODAY = timezone.now().date()
TERM = {
    "name": "Anthropic 2026",
    "provider": "Anthropic",
    "starts_on": f"{TODAY - timedelta(days=40)}",
    "ends_on": f"{TODAY + timedelta(days=325)}",
    "currency": "USD",
}
PREPAID = {**TERM, "kind": "prepaid", "amount": "90000", "credit": "100000", "attribute_unused_to": "nobody"}


@pytest.fixture
def finance() -> Client:
    return signed_in(Role.FINANCE)


def text(answer: Any, status: int = 200) -> str:  # Any: the test response of the stubs is private
    assert answer.status_code == status
    return " ".join(answer.content.decode().split())


def entered(client: Client, path: str, body: dict[str, str]) -> str:
    """Where the entry leads to."""
    answer = client.post(path, body)
    assert answer.status_code == 302, text(answer, answer.status_code)
    return str(answer["Location"])


def drawn(term: Commitment | Credit, origin: str, day: date, **figures: int) -> None:
    ChargeDay.objects.create(origin=origin, origin_id=term.pk, day=day, **figures)


def test_a_commitment_is_entered_corrected_ended_and_withdrawn(finance: Client) -> None:
    assert "No commitment holds today" in text(finance.get(LISTS[0]))
    page = entered(finance, "/prices/commitments/enter/", PREPAID)
    first = Commitment.objects.get()
    assert (first.provider, first.model, first.credit_usd) == ("anthropic", "*", Decimal(100_000))
    assert "Nothing is drawn from it yet" in text(finance.get(page))

    form = text(finance.get(f"{page}correct/"))
    assert 'value="90000"' in form
    assert 'value="Anthropic 2026"' in form
    moved = entered(finance, f"{page}correct/", {**PREPAID, "provider": "anthropic", "amount": "95000"})
    shown = text(finance.get(moved))
    assert "Amount: 90000 → 95000" in shown
    assert "In dollars" not in shown
    assert "What holds now" in text(finance.get(page))
    assert "was replaced by" in text(finance.post(page, {"end": "1", "ends_on": f"{TODAY}"}), 422)

    assert "It must end after" in text(finance.post(moved, {"end": "1", "ends_on": "2020-01-01"}), 422)
    ended = entered(finance, moved, {"end": "1", "ends_on": f"{TODAY + timedelta(days=1)}"})
    assert "This field is required" in text(finance.post(ended, {"withdraw": "1"}), 422)
    assert entered(finance, ended, {"withdraw": "1", "reason": "twice"}) == LISTS[0]
    assert "It was withdrawn" in text(finance.get(ended))
    assert Commitment.objects.known().count() == 0


def test_what_is_wrong_stands_at_its_field(finance: Client) -> None:
    refused = text(
        finance.post("/prices/commitments/enter/", {**PREPAID, "units": "4", "amount": "much"}), 422
    )
    assert '<a href="#id_amount">Paid in advance</a>: A valid number is required.' in refused
    refused = text(finance.post("/prices/commitments/enter/", {**PREPAID, "units": "4"}), 422)
    assert '<a href="#id_units">Units</a>: Prepaid spend has no hours; leave this out.' in refused
    refused = text(finance.post("/prices/commitments/enter/", {**PREPAID, "currency": "EUR"}), 422)
    assert '<a href="#id_currency">Currency</a>: No rate of exchange of EUR is booked' in refused
    entered(finance, "/prices/commitments/enter/", PREPAID)
    refused = text(finance.post("/prices/commitments/enter/", PREPAID), 422)
    assert '<a href="#id_name">Name</a>: There is already a commitment' in refused
    refused = text(finance.post("/prices/taxes/enter/", {**TERM, "percent": "0"}), 422)
    assert '<a href="#id_percent">Per cent of the bill</a>: Above 0' in refused


def test_credits_and_taxes_are_entered_with_what_their_kind_needs(finance: Client) -> None:
    registry.create_team("search", actor="test")
    entered(finance, "/prices/credits/enter/", {**TERM, "kind": "grant", "amount": "1000"})
    refund = {
        **TERM,
        "name": "sorry",
        "kind": "refund",
        "amount": "12.5",
        "attribute_to": "team",
        "team": "search",
    }
    page = entered(finance, "/prices/credits/enter/", {**refund, "ends_on": ""})
    tax = entered(finance, "/prices/taxes/enter/", {**TERM, "name": "VAT", "percent": "19"})

    assert "the team search" in text(finance.get(page))
    assert "19%" in text(finance.get(tax))
    assert Credit.objects.get(kind="refund").ends_on == date.fromisoformat(TERM["starts_on"]) + timedelta(
        days=1
    )
    assert Tax.objects.get().attribute_to == "use"
    corrected = entered(finance, f"{tax}correct/", {**TERM, "name": "VAT", "percent": "20"})
    assert "Percent: 19 → 20" in text(finance.get(corrected))


def test_use_is_shown_with_its_chart_and_adds_up_by_month(
    finance: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    page = entered(finance, "/prices/commitments/enter/", PREPAID)
    term = Commitment.objects.get()
    start = term.starts_on
    drawn(
        term, Origin.COMMITMENT, start, covered=30_000, cost=27_000, used=27_000, purchase=90_000, left=70_000
    )
    drawn(term, Origin.COMMITMENT, start + timedelta(days=35), covered=1_000, cost=900, used=900, left=69_000)
    capacity = {
        **TERM,
        "name": "PTU",
        "kind": "provisioned",
        "hourly_price": "2",
        "attribute_unused_to": "use",
    }
    ptu = entered(finance, "/prices/commitments/enter/", capacity)
    drawn(
        Commitment.objects.get(name="PTU"), Origin.COMMITMENT, start, cost=48, used=12, unused=36, purchase=48
    )

    shown = text(finance.get(page))
    assert "Anthropic 2026: 31.0% used" in shown
    assert ">$69,000</span> left" in shown
    assert 'data-chart="drawdown-data"' in shown
    assert shown.count('<th scope="row">') == 4  # two months, their sum, one entry
    assert "PTU: 25.0% used" in text(finance.get(ptu))
    with django_assert_max_num_queries(7):
        listed = text(finance.get(LISTS[0]))
    assert "2 commitments hold today" in listed
    assert "31.0%" in listed
    assert "25.0%" in listed
    assert "None of the commitments fits" in text(finance.get(LISTS[0], {"state": "over"}))
    assert "Anthropic 2026" not in text(finance.get(LISTS[0], {"q": "ptu"}))
    text(finance.get(LISTS[0], {"state": "soon"}), 400)


@pytest.mark.parametrize("path", LISTS)
def test_who_may_see_and_change_what_was_negotiated(client: Client, finance: Client, path: str) -> None:
    registry.create_team("search", actor="test")
    assert client.get(path)["Location"].startswith("/accounts/login/?next=/prices/")
    text(signed_in(Role.ENGINEER, "search").get(path), 403)
    viewer = signed_in(Role.VIEWER)
    assert "enter/" not in text(viewer.get(path))
    text(viewer.get(f"{path}enter/"), 403)
    text(viewer.post(f"{path}enter/", PREPAID), 403)
    text(finance.get(f"{path}999/"), 404)


def test_a_lead_sees_what_was_agreed_but_not_what_others_use(finance: Client) -> None:
    registry.create_team("search", actor="test")
    page = entered(finance, "/prices/commitments/enter/", PREPAID)
    drawn(Commitment.objects.get(), Origin.COMMITMENT, TODAY, covered=31_000, used=27_900, left=69_000)
    lead = signed_in(Role.LEAD, "search")

    assert "for those who see the cost of all teams" in text(lead.get(page))
    assert "69,000" not in text(lead.get(page)) + text(lead.get(LISTS[0]))


def test_rates_are_booked_one_by_one_or_pasted_and_the_past_is_locked(finance: Client) -> None:
    assert "Everything is in dollars so far" in text(finance.get(RATES))
    this = f"{TODAY:%Y-%m}"
    entered(finance, RATES, {"currency": "eur", "month": this, "rate": "0.93", "source": "ECB"})
    pasted = f"currency,rate,month\nEUR,0.91,2024-01\n\nJPY,151.25,{this}\n"
    entered(finance, RATES, {"paste": "1", "csv": pasted})
    entered(finance, RATES, {"currency": "EUR", "month": this, "rate": "0.94"})

    shown = text(finance.get(RATES))
    assert "Rates of 2 currencies are booked" in shown
    assert shown.count("Locked") == 1
    assert "151.25" in shown
    assert "What was booked before" in shown
    assert "JPY:" not in text(finance.get(RATES, {"currency": "EUR"}))
    assert fx.rates("EUR", [TODAY, date(2024, 1, 1)]) == {
        date(2024, 1, 1): Decimal("0.91"),
        TODAY.replace(day=1): Decimal("0.94"),
    }

    past = text(finance.post(RATES, {"currency": "EUR", "month": "2024-01", "rate": "0.9"}), 422)
    assert '<a href="#id_rate">Rate</a>: The rate of EUR 2024-01 is booked as 0.91' in past
    before = FxRate.objects.count()
    for lines, problem in (
        ("", "This field is required"),
        ("EUR,2024-02,1,ECB,more", "line 1 has more cells"),
        ("EUR,2024-02,1\nEUR,2024-01,2", "line 2, rate: The rate of EUR 2024-01"),
        ("EUR,2024-02,1\nEUR,soon,2", "line 2, month: Give a month"),
        ("currency,moon\nEUR,1", "No such column: moon"),
    ):
        assert problem in text(finance.post(RATES, {"paste": "1", "csv": lines}), 422)
    assert FxRate.objects.count() == before
    viewer = signed_in(Role.VIEWER)
    assert "Book a month" not in text(viewer.get(RATES))
    text(viewer.post(RATES, {}), 403)
