"""Agreements as they are told to the API, beside the vendored book and without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from finops.core.meters import Usage
from pricing.agreement_bodies import read_agreement
from pricing.agreements import Agreed
from pricing.book import Book
from pricing.catalogue import seconds
from pricing.entries import UnitPrice
from pricing.facts import Facts, normalise
from pricing.rating import Rating, rate_usage
from tests.pricing.books import vendored_book

NOON = 1_794_312_000  # 2026-11-10T12:00:00Z
Json = Mapping[str, Any]  # Any: JSON


def agreed(body: Json, number: int = 1) -> Agreed:
    """The agreement of a body that the API would take."""
    terms, problems = read_agreement({"name": f"agreement {number}", **body})
    assert terms is not None, problems
    agreement, ((band, rates), *_) = terms
    names = ("name", "provider", "model", "account", "host", "region", "service_tier", "processing", "speed")
    return Agreed(
        id=number,
        **{name: getattr(agreement, name) for name in names},
        meters=frozenset(agreement.meters),
        includes_fees=agreement.includes_fees,
        percent_off=band.percent_off,
        rates={rate.meter: UnitPrice(rate.unit_price, rate.per) for rate in rates},
        effective=(seconds(agreement.effective_from), seconds(agreement.effective_to)),
    )


def book_with(*bodies: Json, book: Book | None = None) -> Book:
    """A book, the vendored one unless said, and these agreements numbered from one."""
    found: dict[str, list[Agreed]] = {}
    for number, body in enumerate(bodies, start=1):
        one = agreed(body, number)
        found.setdefault(one.provider, []).append(one)
    return replace(book or vendored_book(), agreements=found)


def rated(
    book: Book, name: str, *, at: int = NOON, units: Mapping[str, Any] | None = None, **told: Any
) -> Rating:
    """One call of ``provider/model``; its tokens and what else it says about itself."""
    provider, _, model = name.partition("/")
    tokens = {f"{key}_tokens": told.pop(key) for key in list(told) if f"{key}_tokens" in Usage.__slots__}
    tariff = book.tariff(normalise(Facts(provider, model, **told)))
    return rate_usage(tariff, at=at, usage=Usage(**tokens), units=units)
