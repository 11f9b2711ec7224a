"""Reads the published book out of the database into ``pricing.book`` values: four queries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pricing.book import Alias, Book, BookRow, Factor, Span, UnitPrice
from pricing.models import (
    BookVersion,
    ContextMode,
    ContextOperator,
    ModelAlias,
    Multiplier,
    Price,
    PriceKind,
    VersionStatus,
)
from pricing.schedules import Schedule


def current_version() -> int:
    """The id of the latest published version; 0 before the first."""
    latest = BookVersion.objects.filter(status=VersionStatus.PUBLISHED).order_by("-pk").values_list("pk", flat=True)
    return latest.first() or 0


def load_book(known_at: datetime | None = None) -> Book:
    """The book as known at a time (None: now)."""
    version = current_version()
    prices = Price.objects.known(known_at).select_related("version").prefetch_related("rates")
    factors = Multiplier.objects.known(known_at).select_related("version")
    aliases = ModelAlias.objects.known(known_at)
    return Book.of(
        [book_row(price) for price in prices],
        [
            Factor(m.provider, m.model, m.region, m.factor, _span(m), _known(m)) for m in factors
        ],
        [
            Alias(a.provider, a.host, a.model, a.target_provider, a.target_model, _span(a)) for a in aliases
        ],
        version,
    )


def book_row(price: Price) -> BookRow:
    """One stored price as the arithmetic sees it."""
    return BookRow(
        id=price.pk,
        provider=price.provider,
        model=price.model,
        rates={rate.meter: UnitPrice(rate.unit_price, rate.per, rate.minimum) for rate in price.rates.all()},
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
        known_from=_known(price),
        source=price.source,
        evidence=price.evidence,
    )


def _exclusive_bound(price: Price) -> int:
    if price.context_threshold is None:
        return 0
    return price.context_threshold - (price.context_operator == ContextOperator.AT_LEAST)


def _span(part: Any) -> Span:  # Any: every versioned model has the interval
    return (_second(part.effective_from), _second(part.effective_to))


def _second(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp())


def _known(part: Any) -> float:  # Any: every versioned model has a version
    return part.version.published_at.timestamp()  # type: ignore[no-any-return]
