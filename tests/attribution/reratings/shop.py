"""A small price book whose prices get corrected, calls under it, and what they cost by the arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, localcontext

import numpy as np

from attribution import registry, reratings, rollups
from attribution.cost_query import CostQuery
from attribution.models import Rerating
from attribution.reports import costs
from finops.core.meters import Usage
from finops.core.money import EXACT, ZERO
from finops.core.periods import Period
from pricing import drafts
from pricing.book import Book
from pricing.catalogue import load_book
from pricing.drafts import NothingChanged
from pricing.facts import Facts, normalise
from pricing.models import BookVersion, Price, Rate
from pricing.rating import rate_usage
from pricing.slots import SlotBook
from pricing.vendored import Catalogue
from tests.attribution.factory import Call, book, dimension_set

LABEL = "desk"
BY = "finance@acme.example"


def at(text: str) -> datetime:
    """An instant, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Cost:
    """What input and output of a model cost, dollars for a million, and under which conditions."""

    model: str
    input: str
    output: str = "0"
    starts: datetime | None = None
    ends: datetime | None = None
    over: int | None = None
    hours: tuple[str, str] | None = None
    searches: str | None = None

    def rows(self) -> tuple[Price, list[Rate]]:
        price = Price(
            provider="acme",
            model=self.model,
            evidence="own",
            effective_from=self.starts,
            effective_to=self.ends,
            context_threshold=self.over,
            context_operator="gt" if self.over else "",
            schedule={"name": "peak", "windows": [list(self.hours)]} if self.hours else None,
        )
        rates = [
            Rate(meter="input", unit_price=Decimal(self.input)),
            Rate(meter="output", unit_price=Decimal(self.output)),
        ]
        if self.searches:
            rates.append(Rate(meter="web_search_calls", unit_price=Decimal(self.searches), per=1_000))
        return price, rates


def reviewed(*prices: Cost) -> BookVersion | None:
    """A reviewed version that makes the book say just this; None where it does."""
    rows = [price.rows() for price in prices]
    try:
        version = drafts.draft(Catalogue(rows, [], []), label=LABEL, by=BY)
    except NothingChanged:
        return None
    for block in version.blocks.filter(acknowledged_at=None):
        drafts.acknowledge(version, block.pk, reason="a correction", by=BY)
    return drafts.review(version, by=BY)


def publish(*prices: Cost) -> datetime:
    """Publish outright; the time of knowledge."""
    version = reviewed(*prices)
    assert version is not None
    done = drafts.publish(version, by=BY).version
    assert done is not None
    assert done.published_at is not None
    return done.published_at


def correct(*prices: Cost) -> Rerating | None:
    """Preview and approve; None where nothing changes."""
    version = reviewed(*prices)
    if version is None:
        return None
    return reratings.approve(reratings.preview(version, by=BY), BY)


@dataclass(frozen=True)
class Told:
    """One call as a test tells it."""

    model: str
    at: datetime
    input: int
    output: int = 0
    team: str = "search"
    searches: int = 0

    @property
    def facts(self) -> Facts:
        return Facts("acme", self.model)

    def cost(self, known: Book) -> Decimal:
        """By the arithmetic, with this book; zero where it has no price."""
        tariff = known.tariff(normalise(self.facts))
        usage = Usage(input_tokens=self.input, output_tokens=self.output)
        units = {"web_search_calls": Decimal(self.searches)} if self.searches else {}
        return rate_usage(tariff, at=int(self.at.timestamp()), usage=usage, units=units).cost or ZERO


@dataclass
class Shop:
    """What was booked, to be compared with what the books say."""

    told: list[Told] = field(default_factory=list)
    sets: dict[str, int] = field(default_factory=dict)
    slots: SlotBook = field(default_factory=SlotBook)

    def take(self, calls: Sequence[Told], *, fold: bool = True) -> None:
        """Book calls under the slots of now."""
        self.slots._looked_at = 0.0
        self.write(calls, self.resolve(calls))
        if fold:
            rollups.fold(wait=True)

    def resolve(self, calls: Sequence[Told]) -> list[int]:
        """The slots that these calls have now."""
        times = np.array([int(call.at.timestamp()) * 1_000_000 for call in calls])
        prompts = np.array([call.input for call in calls])
        found = self.slots.resolve([call.facts for call in calls], times, prompts)
        return [int(slot) for slot in found]

    def write(self, calls: Sequence[Told], slots: Iterable[int]) -> None:
        """Store calls under these slots, not folded."""
        for call in calls:
            if call.team not in self.sets:
                registry.ensure_team(call.team, actor=BY)
                self.sets[call.team] = dimension_set(team=call.team, feature=f"{call.team}-feature")
        searches = self.slots.unit_meter_ids(["web_search_calls"])["web_search_calls"]
        book(
            Call(
                call.at,
                self.sets[call.team],
                slot,
                {"input": call.input, "output": call.output},
                {searches: str(call.searches)} if call.searches else {},
                end_user=f"user {call.input % 3}",
                task_id=f"task {call.input % 5}",
                customer="c" if call.input % 2 else "",
                duration_ms=call.input % 700,
            )
            for call, slot in zip(calls, slots, strict=True)
        )
        self.told += calls

    def cost(self, known_at: datetime | None = None) -> Decimal:
        """All calls by the arithmetic, one by one, with the book of that time (None: now)."""
        known = load_book(known_at)
        with localcontext(EXACT):
            return sum((call.cost(known) for call in self.told), ZERO)


def booked(as_of: datetime | None = None) -> Decimal:
    """What the costs answer for everything."""
    period = Period(at("2026-01-01").date(), at("2027-01-01").date())
    report = costs(CostQuery(period=period, measures=("effective_cost",), as_of=as_of))
    found = report.total["effective_cost"]
    return Decimal(found) if found is not None else ZERO
