"""A real server, a real browser: Debian's Chromium; the tests are skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from attribution.ingest import writer
from attribution.organisation import today
from finops.accounts.models import User
from finops.demo.loading import Recipe, load
from tests import price_list
from tests.emptying import empty

AXE = (Path(__file__).parent / "vendor/axe-core-4.14.1/axe.min.js").read_text()
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
# Playwright's own loop runs in this thread; Django would refuse the test's database calls beside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
WIDTHS = NARROW, WIDE = 390, 1360
# Each theme, with the width at which its screens are loaded.
LOOKS: tuple[tuple[Literal["light", "dark"], int], ...] = (("light", WIDE), ("dark", NARROW))
FINANCE = "finance@demo.example"
Result = TypeVar("Result")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium(django_db_setup: None) -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(django_db_setup: None, chromium: Browser, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """The address of a server with a small company in its books, for all tests of a module."""
    with django_db_blocker.unblock(), override_settings(STORAGES=_plain_storages()):
        writer.forget()
        price_list.load()
        load(Recipe(days=70, events=3_000, seed=7, until=today()))
        server = LiveServer("localhost")
        yield server.url
        server.stop()
        empty()
        with connection.cursor() as cursor:
            # The server's threads leave their connections open; the run could not drop its database.
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        writer.forget()


def _plain_storages() -> dict[str, object]:
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    return {**settings.STORAGES, "staticfiles": plain}


def elsewhere(function: Callable[[], Result]) -> Result:
    """Run it on a connection of its own, committed, so that the server sees what it did."""

    def run() -> Result:
        try:
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def _signed_in(person: str) -> str:
    client = Client()
    client.force_login(User.objects.get(email=person))
    return client.cookies[settings.SESSION_COOKIE_NAME].value


class Visitor:
    """Somebody signed in, at one width, in one theme; remembers what the console complained about."""

    def __init__(self, browser: Browser, address: str, person: str, **options: object) -> None:
        cookie = elsewhere(lambda: _signed_in(person))
        self.context: BrowserContext = browser.new_context(base_url=address, **options)  # type: ignore[arg-type]
        self.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": address}])
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self._note(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def look_at(self, address: str, *, first: int) -> list[str]:
        """What is wrong with a screen: by axe-core and the console, and where it scrolls sideways.

        It is loaded at the ``first`` of the widths and then made as wide or as narrow as the other.
        """
        problems: list[str] = []
        self._resize(first)
        self.page.goto(address)
        # Nothing is fetched once it is loaded, and by then its charts are drawn.
        assert self.page.evaluate(
            "[...document.querySelectorAll('[data-chart]')].every(one => one.dataset.drawn)"
        )
        for width in sorted(WIDTHS, key=lambda one: one != first):
            self._resize(width)
            found = [*self.axe(), *self.complaints, *([] if self._fits() else ["scrolls sideways"])]
            problems += [f"{address} at {width}: {text}" for text in found]
            self.complaints.clear()
        return problems

    def _resize(self, width: int) -> None:
        self.page.set_viewport_size({"width": width, "height": 900})

    def _fits(self) -> bool:
        """Whether the page is no wider than the window; charts are drawn again a moment after a resize."""
        try:
            self.page.wait_for_function("document.documentElement.scrollWidth <= innerWidth", timeout=3_000)
        except PlaywrightTimeout:
            return False
        return True

    def axe(self) -> list[str]:
        """What axe-core finds wrong with the page as it is."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        # What is wrong is told node by node; to tell the same of all that is right takes long.
        found = self.page.evaluate("axe.run({resultTypes: ['violations']}).then(result => result.violations)")
        return [f"{one['id']}: {[node['target'] for node in one['nodes']][:3]}" for one in found]


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(chromium: Browser, served: str) -> Iterator[Visit]:
    """Lets somebody signed in look around, somebody from finance unless said; gone when the test ends."""
    visitors: list[Visitor] = []

    def enter(person: str = FINANCE, **options: object) -> Visitor:
        visitors.append(Visitor(chromium, served, person, **options))
        return visitors[-1]

    yield enter
    for visitor in visitors:
        visitor.context.close()
