"""The screens of prices, with something on each of them: clean to read, and a draft taken to its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from attribution import charging, reratings
from pricing import drafts, fx, imports, terms
from pricing.agreeing import Entered, enter_agreement
from pricing.agreement_bodies import read_agreement
from pricing.models import BookVersion, Commitment, Price, Rate
from pricing.placing import Room
from pricing.publishing import publish
from pricing.term_bodies import read_term
from pricing.vendored import Catalogue
from tests.browser.conftest import FINANCE, LOOKS, Visit, elsewhere

pytestmark = pytest.mark.django_db
SHEET = (
    "provider,model,input,output,from,source\n"
    "acme,large,9,40,,their page https://acme.example/pricing\n"
    "acme,small,1.1,4,2026-01-01,\n"
    "acme,new,3,12,,\n"
)
# Of a model that the company uses, on days that are booked.
DEARER = "provider,model,input,output\nanthropic,claude-sonnet-5,2.2,11\n"


@dataclass(frozen=True)
class Given:
    """Versions, a re-rating, an agreement and a commitment that the tests open, by their numbers."""

    blocked: int
    published: int
    rerating: int
    agreement: int
    negotiating: int
    commitment: int


@pytest.fixture(scope="module")
def given(served: str) -> Given:
    return elsewhere(_everything)


def _everything() -> Given:
    midnight = imports.next_midnight(timezone.now())
    ends = midnight + timedelta(days=9)
    rows = [_price("large", "5"), _price("small", "1"), _price("promo", "1", ends=ends)]
    first = publish(Catalogue(rows, [], []), label="desk", digest="browser", published_by=FINANCE).version
    assert first is not None
    blocked = imports.import_sheet(SHEET.encode(), name="acme.csv", by=FINANCE, apply_from=midnight)
    version = drafts.start(label="desk", by=FINANCE)
    room = Room.beside(version, {"acme"})
    later, rates = _price("small", "1.05")
    later.effective_from = midnight
    room.make_room(later, rates)
    drafts.write(version, room.changes(), by=FINANCE)
    drafts.review(version, by=FINANCE)
    drafts.publish(version, by=FINANCE)
    dearer = imports.import_sheet(
        DEARER.encode(), name="dearer.csv", by=FINANCE, apply_from=midnight - timedelta(days=20)
    )
    rerating = reratings.preview(dearer, by=FINANCE)
    agreed = _agreed({"provider": "mistral", "percent_off": "12.5"})
    drafts.publish(drafts.review(_acknowledged(agreed.version), by=FINANCE), by=FINANCE)
    bands = [{"percent_off": "5"}, {"over": "1000000", "percent_off": "9"}]
    waiting = _agreed({"provider": "acme", "bands": bands, "volume_of": "tokens", "band_mode": "whole"})
    return Given(
        blocked.pk,
        version.pk,
        rerating.pk,
        agreed.agreement.pk,
        waiting.version.pk,
        _committed(midnight.date()),
    )


def _committed(day: date) -> int:
    """The number of a commitment in euros that the company draws on."""
    said = {"name": "Spend", "kind": "prepaid", "provider": "anthropic", "currency": "EUR", "amount": "20"}
    days = {"starts_on": f"{day - timedelta(days=50)}", "ends_on": f"{day + timedelta(days=300)}"}
    fx.book_rate("EUR", day - timedelta(days=50), Decimal("0.92"), source="ECB", by=FINANCE)
    made = terms.enter(read_term(Commitment, {**said, **days}), by=FINANCE, is_team=bool)
    charging.derive(wait=True)
    return made.pk


def _agreed(body: dict[str, object]) -> Entered:
    said, problems = read_agreement({"name": "frame contract", "source": "https://acme.example/msa", **body})
    assert said is not None, problems
    return enter_agreement(said, by=FINANCE)


def _acknowledged(version: BookVersion) -> BookVersion:
    for block in version.blocks.all():
        drafts.acknowledge(version, block.pk, reason="signed", by=FINANCE)
    return version


def _price(model: str, dearness: str, *, ends: datetime | None = None) -> tuple[Price, list[Rate]]:
    row = Price(provider="acme", model=model, evidence="own", effective_to=ends, note="as agreed")
    return row, [
        Rate(meter="input", unit_price=Decimal(dearness)),
        Rate(meter="output", unit_price=Decimal(4)),
    ]


def _screens(given: Given) -> tuple[str, ...]:
    return (
        "/prices/",
        "/prices/?provider=mistral&when=any",
        "/prices/?q=nothing-like-it",
        "/prices/model/?provider=acme&model=small",
        "/prices/model/?provider=mistral&model=mistral-large-4",
        "/prices/versions/",
        f"/prices/versions/{given.blocked}/",
        f"/prices/versions/{given.published}/",
        f"/prices/versions/{given.negotiating}/",
        "/prices/enter/",
        "/prices/agreements/",
        f"/prices/agreements/{given.agreement}/",
        f"/prices/agreements/enter/?agreement={given.agreement}",
        "/prices/commitments/",
        f"/prices/commitments/{given.commitment}/",
        f"/prices/commitments/{given.commitment}/correct/",
        "/prices/exchange-rates/",
        "/prices/import/",
        "/prices/health/",
        "/reratings/",
        f"/reratings/{given.rerating}/",
        f"/reratings/{given.rerating}/?team=assistant",
    )


def test_every_screen_is_clean_in_both_themes_and_widths(visit: Visit, given: Given) -> None:
    problems = []
    for theme, first in LOOKS:
        visitor = visit(color_scheme=theme)
        for address in _screens(given):
            problems += [f"{theme}: {text}" for text in visitor.look_at(address, first=first)]

    assert problems == []


def test_a_sheet_is_imported_looked_at_and_published_by_keyboard(
    visit: Visit, given: Given, tmp_path: Path
) -> None:
    sheet = tmp_path / "keys.csv"
    sheet.write_text("provider,model,input,output\nacme,large,7,30\nacme,promo,9,30\n")
    page = visit().page
    page.goto("/prices/import/")
    page.get_by_label("CSV or JSON sheet").set_input_files(sheet)
    page.get_by_role("button", name="Make a draft", exact=True).press("Enter")

    page.wait_for_url("**/prices/versions/*/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 changed")
    expect(page.get_by_role("button", name="Mark as reviewed")).to_be_disabled()
    page.get_by_label("Why it is right").first.fill("announced on their page")
    page.get_by_role("button", name="Acknowledge").first.press("Enter")
    page.get_by_role("button", name="Leave this model out").press("Enter")
    page.get_by_role("button", name="Mark as reviewed").press("Enter")
    page.get_by_role("button", name="Publish").press("Enter")

    expect(page.get_by_role("main")).to_contain_text("Published: it is in force.")
    number = int(page.url.rstrip("/").rsplit("/", 1)[1])
    assert elsewhere(lambda: BookVersion.objects.get(pk=number).published_by) == FINANCE


def test_the_list_is_narrowed_without_script(visit: Visit, given: Given) -> None:
    page = visit(java_script_enabled=False).page
    page.goto("/prices/")

    page.get_by_label("Provider").select_option("acme")
    page.get_by_label("Model contains").fill("sma")
    page.get_by_role("button", name="Show", exact=True).click()

    assert "provider=acme&q=sma" in page.url
    assert page.locator("tbody tr").count() == 2


def test_an_agreement_is_entered_by_keyboard_with_a_row_more(visit: Visit, given: Given) -> None:
    page = visit().page
    page.goto("/prices/agreements/enter/")
    page.get_by_label("Name").fill("rates of large")
    page.get_by_label("Provider").fill("acme")
    page.get_by_label("Meter, row 1").fill("input")
    page.get_by_label("Price, row 1").fill("4.5")
    page.get_by_role("button", name="Add a row").press("Enter")
    page.get_by_label("Meter, row 4").fill("output")
    expect(page.get_by_label("Name")).to_have_value("rates of large")
    page.get_by_label("Price, row 4").fill("x")
    page.get_by_label("Price, row 4").press("Enter")
    expect(page.get_by_label("Price, row 4")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Price, row 4").fill("3.9")
    page.get_by_role("button", name="Put it into the draft").press("Enter")

    page.wait_for_url("**/prices/versions/*/")
    expect(page.get_by_role("main")).to_contain_text("fixed: input $4.50/1M, output $3.90/1M")
