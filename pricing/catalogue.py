"""Reads the published book out of the database into ``pricing.book`` values: four queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pricing.book import Alias, Book, BookRow, Factor, Span, UnitPrice
from pricing.models import (
    BookVersion,
    ContextMode,
    ContextOperator,
    ModelAlias,
    Multiplier,
    Price,
    PriceKind,
    Rate,
    Versioned,
    VersionStatus,
)
from pricing.schedules import Schedule


def current_version() -> str:
    """Names the state of the book: another one after every publication, '' before the first."""
    latest = BookVersion.objects.filter(status=VersionStatus.PUBLISHED).order_by("-pk")
    for number, published_at in latest.values_list("pk", "published_at")[:1]:
        return f"{number} {published_at}"
    return ""


_remembered: Book | None = None


def published_book() -> Book:
    """The book as published now; kept by each process until the next publication. One query."""
    global _remembered
    if _remembered is None or _remembered.version != current_version():
        _remembered = load_book()
    return _remembered


def load_book(known_at: datetime | None = None) -> Book:
    """The book as known at a time (None: now)."""
    version = current_version()
    prices = Price.objects.known(known_at).select_related("version").prefetch_related("rates")
    factors = Multiplier.objects.known(known_at).select_related("version")
    aliases = ModelAlias.objects.known(known_at)
    return Book.of(
        [book_row(price, price.rates.all(), known_from=_known(price)) for price in prices],
        [book_factor(multiplier, known_from=_known(multiplier)) for multiplier in factors],
        [book_alias(alias) for alias in aliases],
        version,
    )


def book_row(price: Price, rates: Iterable[Rate], *, known_from: float) -> BookRow:
    """A price and its rates as the arithmetic sees them; ``known_from`` is in Unix seconds."""
    return BookRow(
        id=price.pk,
        provider=price.provider,
        model=price.model,
        rates={rate.meter: UnitPrice(rate.unit_price, rate.per, rate.minimum) for rate in rates},
        fees=price.kind == PriceKind.FEES,
        service_tier=price.service_tier,
        processing=price.processing,
        speed=price.speed,
        region=price.region,
        host=price.host,
        over=_exclusive_bound(price),
        marginal=price.mode == ContextMode.MARGINAL,
        schedule=Schedule.parse(price.schedule) if price.schedule else None,
        effective=_span(price),
        known_from=known_from,
        source=price.source,
        evidence=price.evidence,
    )


def book_factor(multiplier: Multiplier, *, known_from: float) -> Factor:
    """A multiplier as the arithmetic sees it."""
    names = (multiplier.provider, multiplier.model, multiplier.region)
    return Factor(*names, multiplier.factor, _span(multiplier), known_from)


def book_alias(alias: ModelAlias) -> Alias:
    """An alias as the arithmetic sees it."""
    target = (alias.target_provider, alias.target_model)
    return Alias(alias.provider, alias.host, alias.model, *target, _span(alias))


def seconds(instant: datetime | None) -> int | None:
    """Unix seconds of the end of an interval."""
    return None if instant is None else int(instant.timestamp())


def _exclusive_bound(price: Price) -> int:
    if price.context_threshold is None:
        return 0
    return price.context_threshold - (price.context_operator == ContextOperator.AT_LEAST)


def _span(part: Versioned) -> Span:
    return (seconds(part.effective_from), seconds(part.effective_to))


def _known(part: Versioned) -> float:
    published_at = part.version.published_at
    assert published_at is not None
    return published_at.timestamp()
