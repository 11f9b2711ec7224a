"""The screens around ingest, with something on each of them: clean to read, and worked by keyboard alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from attribution import contracts, imports, tagging_changes
from attribution.ingest.layout import Layout
from attribution.models import (
    DataImport,
    DayState,
    ProviderDay,
    ProviderPull,
    ProviderUsage,
    Quarantined,
    SpanAttribute,
)
from attribution.organisation import today
from attribution.pullers import mappings
from attribution.pullers.mappings import Mapped
from attribution.tagging import Saying
from attribution.views import imports as screen
from tests.browser.conftest import FINANCE, LOOKS, Visit, elsewhere

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("given")]
AT = (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=0)


@dataclass(frozen=True)
class Given:
    """Rows that the tests open, by their numbers."""

    done: int
    failed: int
    draft: int
    rule: int
    record: int


@pytest.fixture(scope="module")
def given(served: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Given]:
    """Something of every kind: imports in each state, a rule, a contract, a record to put right, reports."""
    directory = tmp_path_factory.mktemp("imports")
    patch = pytest.MonkeyPatch()
    patch.setattr(screen, "_hand_over", lambda _number: None)
    with override_settings(IMPORTS_DIR=directory):
        yield elsewhere(_everything)
    patch.undo()


def _everything() -> Given:
    contracts.put(
        "bots", actor="ann", mode="quarantine", required=["feature"], aliases={"team": {"Suche": "search"}}
    )
    done = _imported(b"\n".join(_line(number) for number in range(3)) + b"\n" + _line(3, feature="no slug"))
    failed = _imported(b"\x1f\x8b\x08 broken off", name="broken.json.gz")
    draft = _put_aside(_line(9) + b"\n" + _line(10, model=""), "draft.ndjson")
    saying = Saying(match={"workflow": ["bot-*"]}, sets={"team": "search"})
    rule = tagging_changes.add("Bots are Search's", saying, actor="ann", effective_from=None).rule
    SpanAttribute.objects.create(name="team", attribute="app.squad", position=1)
    _reports()
    return Given(done, failed, draft, rule.pk, Quarantined.objects.earliest("pk").pk)


def _line(number: int, **said: Any) -> bytes:
    event = {
        "event_id": f"file-{number}",
        "occurred_at": AT.isoformat(),
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"input_tokens": 1_000, "output_tokens": 10},
        "team": "search",
        **said,
    }
    return json.dumps(event).encode()


def _put_aside(content: bytes, name: str) -> int:
    made = imports.put_aside([content], name=name, file_format="native", actor=FINANCE)
    imports.describe(made.pk, file_format="native", options=imports.options_of(Layout({}, {}), None))
    return made.pk


def _imported(content: bytes, name: str = "calls.ndjson") -> int:
    number = _put_aside(content, name)
    options = DataImport.objects.get(pk=number).options
    imports.start(number, file_format="native", options=options, actor=FINANCE)
    imports.carry_out(number)
    return number


def _reports() -> None:
    now = timezone.now()
    web = mappings.put(
        Mapped(
            provider="openai",
            name="web",
            api_keys=["key_web"],
            sources=["shop"],
            names={"team": "search"},
            book_from=today() - timedelta(days=30),
        ),
        actor="ann",
    )
    ProviderDay.objects.create(
        mapping=web,
        day=today() - timedelta(days=9),
        state=DayState.HELD,
        reason="Clients told of more than the provider reports: gpt-4o standard sync.",
        difference={"input_tokens": -120},
        decided_at=now,
        checked_at=now,
    )
    ProviderPull.objects.create(
        provider="openai", report="costs", problem="/organization/costs answered 401."
    )
    ProviderUsage.objects.create(
        provider="openai",
        report="completions",
        row_id="1",
        api_key="key_nobody_knows",
        project="proj_1",
        starts_at=now - timedelta(days=2),
        ends_at=now - timedelta(days=1),
        usage={"input_tokens": 1_200_000},
        event={},
        raw={},
        first_seen_at=now,
        changed_at=now,
    )


def test_every_screen_is_clean_in_both_themes_and_widths(visit: Visit, given: Given) -> None:
    screens = (
        "/imports/",
        f"/imports/{given.done}/",
        f"/imports/{given.failed}/",
        f"/imports/{given.draft}/",
        "/governance/",
        f"/governance/rules/{given.rule}/",
        "/governance/rules/new/",
        "/governance/try/?tags=workflow%3Dbot-1",
        "/governance/contracts/",
        "/governance/contracts/entry/?source=bots",
        "/governance/keys/",
        "/quarantine/",
        f"/quarantine/{given.record}/",
        "/quarantine/?state=resolved",
        "/span-attributes/",
        "/provider-keys/",
        "/provider-keys/?provider=openai&name=web",
        "/health/",
    )
    problems = []
    for theme, first in LOOKS:
        visitor = visit(color_scheme=theme)
        for address in screens:
            problems += [f"{theme}: {text}" for text in visitor.look_at(address, first=first)]

    assert problems == []


def test_what_is_refused_by_a_form_is_led_to_by_keyboard(visit: Visit) -> None:
    visitor = visit(viewport={"width": 390, "height": 900})
    page = visitor.page
    page.goto("/provider-keys/")

    _press(page, page.get_by_role("button", name="Save"))

    link = page.get_by_role("link", name="Told of by")
    expect(link).to_be_visible()
    assert visitor.axe() == []
    _press(page, link)
    assert page.evaluate("document.activeElement.name") == "sources"


def test_a_file_is_imported_and_undone_by_keyboard(visit: Visit, tmp_path: Path) -> None:
    visitor = visit()
    page = visitor.page
    file = tmp_path / "own.ndjson"
    file.write_bytes(b"\n".join(_line(number, event_id=f"own-{number}") for number in range(4)))
    page.goto("/imports/")

    chooser = page.get_by_label("File", exact=True)
    _tab_to(page, chooser)
    chooser.set_input_files(file)  # what the system's own dialog does
    _tab_to(page, page.get_by_label("Format"))
    page.keyboard.type("Events")
    _press(page, page.get_by_role("button", name="Upload and look at it"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Import own.ndjson?")
    expect(page.get_by_role("heading", name="The first 4 rows")).to_be_visible()
    assert visitor.axe() == []

    _press(page, page.get_by_role("button", name="Import all rows"))
    expect(page.locator("#import-progress h2")).to_contain_text("Waiting")
    assert visitor.axe() == []
    number = int(page.url.rstrip("/").rpartition("/")[2])
    elsewhere(lambda: imports.carry_out(number))

    # The page notices by itself.
    expect(page.locator("#import-progress h2")).to_contain_text("Done", timeout=10_000)
    summary = page.get_by_text("Undo this import")
    _press(page, summary)
    _press(page, page.get_by_role("button", name="Take 4 calls out of the books"))
    expect(page.locator("body")).to_contain_text("4 calls of own.ndjson were taken out of the books")
    expect(page.locator("#import-progress h2")).to_contain_text("Undone")
    assert visitor.axe() == []
    assert visitor.complaints == []


def test_a_record_is_put_right_and_replayed_by_keyboard(visit: Visit, given: Given) -> None:
    visitor = visit()
    page = visitor.page
    page.goto("/quarantine/")

    _press(page, page.get_by_role("link", name="file-3"))
    expect(page.get_by_role("heading", name="Put right and replay")).to_be_visible()
    event = page.locator("textarea")
    _press(page, page.get_by_role("button", name="Replay"))
    expect(page.get_by_text("Nothing was booked")).to_be_visible()
    assert visitor.axe() == []
    _tab_to(page, event)
    said = event.input_value()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(said.replace("no slug", "finder"))
    _press(page, page.get_by_role("button", name="Replay"))

    expect(page.locator("body")).to_contain_text("Replayed.")
    assert page.url.endswith("/quarantine/")
    expect(page.get_by_role("link", name="file-3")).to_have_count(0)
    # The refusal was answered 422, which a browser tells in its console.
    assert [text for text in visitor.complaints if "422" not in text] == []


def _press(page: Page, target: Locator) -> None:
    """Go there by Tab, and press Enter."""
    _tab_to(page, target)
    page.keyboard.press("Enter")


def _tab_to(page: Page, target: Locator) -> None:
    """Press Tab until it has the focus, and shows it."""
    expect(target).to_have_count(1)
    for _ in range(150):
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate("element => element.matches(':focus-visible')")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} cannot be reached by Tab")
