"""Every screen in a real browser under the real content policy: draws, reads, works by keyboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from playwright.sync_api import expect

from finops.accounts.models import User
from tests.browser.conftest import FINANCE, LOOKS, Visit, elsewhere

# The company is committed by its fixture; the mark has the run's database made.
pytestmark = pytest.mark.django_db
SCREENS = (
    "/",
    "/costs/?period=last-month",
    "/costs/?period=last-month&tab=changes",
    "/costs/?period=last-month&group=feature&split=tier",
    "/costs/arithmetic/?period=last-month",
    "/teams/assistant/?period=last-month",
    "/usage/?period=last-month",
    "/unattributed/",
    "/showback/",
    "/health/",
    "/ownership/",
)


@pytest.fixture(autouse=True)
def _as_they_were() -> Iterator[None]:
    yield
    _prefer(theme="system", shortcuts_enabled=True)


def test_every_screen_is_clean_in_both_themes_and_widths(visit: Visit) -> None:
    problems = []
    for theme, first in LOOKS:
        visitor = visit(color_scheme=theme)
        for address in SCREENS:
            problems += [f"{theme}: {text}" for text in visitor.look_at(address, first=first)]

    assert problems == []


def test_charts_are_drawn_styled_and_lead_to_their_costs(visit: Visit) -> None:
    page = visit(viewport={"width": 1360, "height": 900}).page

    page.goto("/costs/?period=last-month")

    bars = page.locator("#trend .barlayer .point path")
    expect(bars.first).to_be_attached()
    assert bars.count() > 100
    assert page.evaluate("document.getElementById('plotly.js-style-global').sheet.cssRules.length") == 66
    tallest = page.evaluate(
        "[...document.querySelectorAll('#trend .barlayer .point path')]"
        ".map(bar => bar.getBoundingClientRect()).sort((a, b) => b.height - a.height)"
        ".map(box => [box.x + box.width / 2, box.y + box.height / 2])[0]"
    )
    with page.expect_navigation(url="**/costs/?period=custom&from=*"):
        page.mouse.click(*tallest)


def test_a_filter_changes_the_report_in_place_and_the_address_with_it(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    page.goto("/costs/")

    page.get_by_label("Group by").select_option("model")

    page.wait_for_url("**/costs/?group=model")
    expect(page.locator("#costs-table thead th").first).to_contain_text("Model")
    expect(page.locator("#trend .barlayer .point path").first).to_be_attached()
    expect(page.locator("#status")).to_contain_text("lines")
    page.go_back()
    expect(page.locator("#costs-table thead th").first).to_contain_text("Team")
    assert visitor.complaints == []


def test_the_screens_work_without_script(visit: Visit) -> None:
    page = visit(java_script_enabled=False).page
    page.goto("/costs/?period=last-month")

    page.get_by_label("Group by").select_option("feature")
    page.get_by_role("button", name="Apply").click()

    assert page.url.endswith("/costs/?period=last-month&group=feature")
    assert page.locator("#costs-table tbody tr").count() > 10
    page.get_by_text("Add a filter").click()
    page.get_by_label("Only where").select_option("team")
    page.get_by_label("Value").fill("search")
    page.get_by_role("button", name="Add", exact=True).click()
    assert page.url.endswith("&group=feature&team=search")
    page.get_by_role("link", name="Drop the filter").click()
    assert page.url.endswith("&group=feature")


def test_the_keyboard_goes_where_it_says(visit: Visit) -> None:
    page = visit().page
    page.goto("/costs/?period=last-month")

    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "filter-period"
    page.keyboard.press("g")
    page.keyboard.press("o")
    assert "/costs/" in page.url
    page.evaluate("document.activeElement.blur()")
    with page.expect_navigation():
        page.keyboard.press("[")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    assert "CSV" in page.evaluate("document.activeElement.textContent")
    page.evaluate("document.activeElement.blur()")
    with page.expect_navigation(url="**/usage/**"):
        page.keyboard.press("g")
        page.keyboard.press("u")


def test_shortcuts_are_off_for_those_who_say_so(visit: Visit) -> None:
    _prefer(shortcuts_enabled=False)
    page = visit().page
    page.goto("/costs/")

    page.keyboard.press("?")

    expect(page.locator("dialog")).to_have_count(0)


def test_a_chosen_theme_is_set_by_the_server(visit: Visit) -> None:
    _prefer(theme="dark")
    page = visit(color_scheme="light").page
    page.goto("/")

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 17, 21)"


def test_a_failed_fetch_keeps_the_figures_and_offers_to_retry(visit: Visit) -> None:
    page = visit().page
    page.goto("/costs/?period=last-month")
    page.route("**/costs/?*", lambda route: route.abort())

    page.get_by_label("Group by").select_option("model")

    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    assert page.locator("#costs-table tbody tr").count() > 3
    page.unroute("**/costs/?*")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#costs-table thead th").first).to_contain_text("Model")


def test_the_policy_is_the_real_one(served: str) -> None:
    policy = Client().get("/accounts/login/")["Content-Security-Policy"]

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def _prefer(**choices: object) -> None:
    elsewhere(lambda: User.objects.filter(email=FINANCE).update(**choices))
