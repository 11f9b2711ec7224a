"""The screens of the books: complete, small, sharable, and equal to the books' own answers."""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal

import openpyxl
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from attribution.calls import CallQuery, calls
from attribution.models import Attribution, Part
from attribution.organisation import today
from attribution.reports import CostQuery, Filter, costs
from finops.accounts.models import User
from finops.core.periods import Period
from finops.ui import presets
from pricing.models import Commitment
from tests.attribution.charges import charge
from tests.attribution.factory import EPOCH, dimension_set, price_slot

pytestmark = pytest.mark.django_db
LAST_MONTH = Period.month_of(presets.add_months(today().replace(day=1), -1))
MONTH = f"{LAST_MONTH.first:%Y-%m}"
PAGES = [
    "/",
    "/?period=last-month&compare=last-year&cost=list",
    "/costs/",
    "/costs/?period=last-month&tab=changes",
    "/costs/?period=last-month&group=feature&split=model",
    "/costs/?period=last-90-days&compare=none&group=model&sort=name",
    "/costs/?period=today&group=customer",
    "/costs/?period=last-13-months&group=business_unit",
    "/costs/?period=last-month&group=charge_kind&cost=billed",
    "/costs/arithmetic/?period=last-month",
    "/costs/arithmetic/?period=last-month&team=assistant&cost=list",
    "/costs/arithmetic/?period=last-month&team=nobody-such",
    "/teams/assistant/",
    "/features/reply-drafts/?period=last-month",
    "/tiers/free/?period=last-month&compare=none",
    "/usage/",
    "/usage/?period=last-month&team=&unpriced=1",
    "/unattributed/",
    f"/showback/{MONTH}/",
    f"/showback/{MONTH}/?team=assistant",
    "/health/",
]


def total(period: Period = LAST_MONTH, **filters: object) -> Decimal:
    amount = costs(CostQuery(period=period, **filters)).total["effective_cost"]  # type: ignore[arg-type]
    assert isinstance(amount, Decimal)
    return amount


def rows_of(client: Client, address: str) -> list[list[str]]:
    answer = client.get(address)
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.parametrize("address", PAGES)
def test_every_screen_answers_small_and_with_a_title(browse: Client, address: str) -> None:
    answer = browse.get(address)

    text = answer.content.decode()
    assert answer.status_code == 200
    assert len(answer.content) < 100_000
    assert text.count("<h1") == 1
    assert "Invalid" not in re.findall(r"<title>(.*?)</title>", text)[0]


def test_the_overview_needs_at_most_twelve_queries(browse: Client) -> None:
    browse.get("/")

    with CaptureQueriesContext(
        connection,
    ) as queries:
        browse.get("/")

    # Savepoints are the test's; a SET tells the planner something and asks nothing.
    asked = [sql["sql"] for sql in queries if not re.match(r"(RELEASE )?SAVEPOINT|SET LOCAL", sql["sql"])]
    assert len(asked) <= 12, "\n".join(sql[:110] for sql in asked)


@pytest.mark.parametrize(
    "query",
    ["period=last-month", "period=last-month&group=model", "period=last-month&group=feature&split=tier"],
)
def test_a_file_has_the_screens_rows_and_the_books_total(browse: Client, query: str) -> None:
    rows = rows_of(browse, f"/costs/export.csv?{query}")

    cost = rows[0].index("Effective cost (USD)")
    assert rows[-1][0] == "Total"
    assert Decimal(rows[-1][cost]) == total()
    assert sum(Decimal(row[cost] or 0) for row in rows[1:-1]) == total()


def test_a_workbook_says_what_it_is(browse: Client) -> None:
    answer = browse.get("/costs/export.xlsx?period=last-month&team=assistant")

    book = openpyxl.load_workbook(io.BytesIO(b"".join(answer.streaming_content)))  # type: ignore[attr-defined]
    about = {row[0].value: row[1].value for row in book["About"].rows}
    assert about["Filters"] == "Team is assistant"
    assert about["From (included)"] == LAST_MONTH.first.isoformat()
    assert Decimal(about["Total to check"]) > 0


def test_the_showback_adds_up_to_the_cent(browse: Client) -> None:
    rows = rows_of(browse, f"/showback/{MONTH}/export.csv")

    cents, exact = rows[0].index("Cost (USD)"), rows[0].index("Exact cost (USD)")
    body, last = rows[1:-1], rows[-1]
    assert sum(Decimal(row[exact]) for row in body) == Decimal(last[exact]) == total()
    assert sum(Decimal(row[cents]) for row in body) == Decimal(last[cents]) == round(total(), 2)
    assert all(abs(Decimal(row[cents]) - Decimal(row[exact])) < Decimal("0.02") for row in body)


@pytest.fixture
def charged(company: None) -> None:
    """Last month: capacity that nobody used, its purchase, a credit and a tax of a team's usage."""
    day = LAST_MONTH.first
    nobodys = dimension_set(source="commitments"), price_slot(model="", provider="azure")
    made = CallQuery(period=LAST_MONTH, filters={"team": Filter(("assistant",))}, limit=1)
    call = calls(made).calls[0]
    used = Attribution.objects.get(pk=call.attribution_id).dimension_set_id, call.slot_id
    bought = Commitment.objects.create(
        name="PTU 2026",
        provider="azure",
        kind="reserved",
        starts_on=day,
        ends_on=LAST_MONTH.end,
        entered_by="ann",
        known_from=EPOCH,
    )
    charge(day, Part.UNUSED, nobodys, effective="12.5", origin_id=bought.pk)
    charge(day, Part.PURCHASE, nobodys, billed="40", origin_id=bought.pk)
    charge(day, Part.CREDIT, used, effective="-0.3", billed="-0.3")
    charge(day, Part.TAX, used, effective="0.7", billed="0.7")


@pytest.mark.usefixtures("charged")
@pytest.mark.parametrize("cost", ["effective", "list", "contracted", "billed"])
@pytest.mark.parametrize("more", ["", "&team=assistant", "&charge_kind=!usage", "&customer="])
def test_the_arithmetic_of_a_cost_sums_to_it(browse: Client, cost: str, more: str) -> None:
    query = f"period=last-month{more}" + (f"&cost={cost}" if cost != "effective" else "")
    table = browse.get(f"/costs/?{query}").context["table"]

    found = browse.get(table.total.sums_url).context["found"]
    assert found.total == table.total.known_cost
    assert all(
        term.line.rate is None or term.line.cost == term.line.quantity * term.line.rate.price
        for term in found.terms
    )
    rows = rows_of(browse, table.total.sums_url.replace("/?", "/export.csv?"))
    at = next(n for n, title in enumerate(rows[0]) if title.endswith(" cost (USD)"))
    assert sum(Decimal(row[at] or 0) for row in rows[1:-1]) == Decimal(rows[-1][at]) == found.total


@pytest.mark.usefixtures("charged")
def test_screens_show_what_is_charged_beside_usage(browse: Client) -> None:
    overview = browse.get("/?period=last-month")
    steps = overview.context["from_list"]
    assert steps.effective == total()
    assert steps.listed + sum(step.effective for step in steps.steps) == steps.effective
    assert steps.listed + sum(step.billed for step in steps.steps) == steps.billed
    assert (
        "Commitment PTU 2026: unused" in browse.get("/costs/arithmetic/?period=last-month").content.decode()
    )
    assert browse.get("/unattributed/?period=last-month").context["ownerless"][0].cost == Decimal("12.5")
    changes = browse.get("/costs/?period=last-month&tab=changes").context["changes"]
    assert changes.total.effects.charges == Decimal("12.9")
    assert changes.total.effects.total == changes.total.now - changes.total.before
    assert changes.total.now == total()

    rows = rows_of(browse, f"/showback/{MONTH}/export.csv")
    exact, kind, team = (rows[0].index(title) for title in ("Exact cost (USD)", "Charge", "Team"))
    beside = [(row[kind], row[team], Decimal(row[exact])) for row in rows[1:-1] if row[kind] != "Usage"]
    assert sorted(beside) == [
        ("Commitment", "", Decimal("12.5")),
        ("Credit", "Assistant", Decimal("-0.3")),
        ("Tax", "Assistant", Decimal("0.7")),
    ]
    billed = rows[0].index("Billed cost (USD)")
    assert sum(Decimal(row[billed]) for row in rows[1:-1]) == Decimal(rows[-1][billed]) == steps.billed


def test_what_changed_sums_to_the_change_on_the_screen(browse: Client) -> None:
    answer = browse.get("/costs/?period=last-month&tab=changes")

    changes = answer.context["changes"]
    before = LAST_MONTH.before()
    assert changes.total.now == total()
    assert changes.total.before == total(before)
    assert changes.total.effects.total == total() - total(before)
    assert all(line.effects.total == line.now - line.before for line in changes.lines)
    for side, cost in (("before_url", changes.total.before), ("now_url", changes.total.now)):
        assert browse.get(getattr(changes.total, side)).context["found"].total == cost


def test_the_changes_of_a_team_open_the_arithmetic_of_that_team(browse: Client) -> None:
    changes = browse.get("/teams/assistant/?period=last-month").context["changes"]

    assert browse.get(changes.total.now_url).context["found"].total == changes.total.now
    first = changes.lines[0]
    assert browse.get(first.before_url).context["found"].total == first.before


def test_a_querystring_that_says_defaults_is_redirected_to_the_short_one(browse: Client) -> None:
    answer = browse.get("/costs/?group=team&period=last-month&sort=-cost&from=2026-01-01")

    assert (answer.status_code, answer["Location"]) == (302, "/costs/?period=last-month")


def test_what_a_view_cannot_mean_is_named_with_a_way_out(browse: Client) -> None:
    answer = browse.get("/costs/?group=planet&period=last-month")

    assert answer.status_code == 400
    assert b"planet" in answer.content
    assert b'href="/costs/?period=last-month"' in answer.content


def test_an_open_page_is_answered_with_its_report_and_address(browse: Client) -> None:
    answer = browse.get("/costs/?group=model&sort=-cost", headers={"HX-Request": "true"})

    assert answer.content.lstrip().startswith(b'<div id="report"')
    assert answer["HX-Push-Url"] == "/costs/?group=model"
    assert "HX-Request" in answer["Vary"]


def test_a_filter_that_empties_the_view_can_be_dropped(browse: Client) -> None:
    answer = browse.get("/costs/?period=last-month&model=no-such-model")

    assert answer.status_code == 200
    assert "Without “Model is no-such-model”" in answer.content.decode()


def test_a_call_is_explained_down_to_its_price(browse: Client) -> None:
    call = next(call for call in calls(CallQuery(period=LAST_MONTH)).calls if call.cost.effective_cost)

    answer = browse.get(f"/usage/{call.source}/{call.event_id}/")

    text = answer.content.decode()
    assert answer.status_code == 200
    assert str(call.rule) in text.replace("&quot;", '"')
    assert "Where the price comes from" in text


def test_calls_are_paged_without_gaps_or_repetition(browse: Client) -> None:
    first = browse.get("/usage/?period=last-month")
    second = browse.get(first.context["following"])

    seen = [row["call"].identity for page in (first, second) for row in page.context["rows"]]
    assert len(seen) == len(set(seen)) == 100


@pytest.mark.parametrize("address", ["/teams/search/", "/usage/demo/no-such-event/", "/features/no-such/"])
def test_a_lead_sees_nothing_of_other_teams(company: None, address: str) -> None:
    client, lead = Client(), User.objects.get(email="lead@demo.example")
    client.force_login(lead)

    assert "search" not in lead.team_slugs
    assert client.get(address).status_code == 404


def test_a_leads_total_is_that_of_the_own_teams(company: None) -> None:
    client, lead = Client(), User.objects.get(email="lead@demo.example")
    client.force_login(lead)

    table = client.get("/costs/?period=last-month").context["table"]

    assert table.total.cost == total(visible_teams=lead.team_slugs)
    assert {line.value for line in table.lines} <= lead.team_slugs


def test_an_engineer_is_not_offered_contracted_cost(company: None) -> None:
    client = Client()
    client.force_login(User.objects.get(email="engineer@demo.example"))

    assert client.get("/costs/?cost=contracted").status_code == 400
    assert client.get("/costs/?cost=billed").status_code == 400
    assert client.get("/costs/?cost=list").status_code == 200


@pytest.mark.parametrize("address", PAGES)
def test_a_stranger_is_sent_to_sign_in(company: None, address: str) -> None:
    answer = Client().get(address)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=")
