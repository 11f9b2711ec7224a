"""The vendored book without a database, and small books for single rules."""

from __future__ import annotations

from functools import cache
from typing import Any

from pricing.book import Book, Tariff
from pricing.catalogue import book_alias, book_factor, book_row
from pricing.facts import Facts, normalise
from pricing.vendored import read_catalogue


@cache
def vendored_book() -> Book:
    """The list prices as they are published."""
    catalogue = read_catalogue()
    rows = []
    for number, (price, rates) in enumerate(catalogue.prices, start=1):
        price.pk = number
        rows.append(book_row(price, rates, known_from=0))
    factors = [book_factor(multiplier, known_from=0) for multiplier in catalogue.multipliers]
    return Book.of(rows, factors, [book_alias(alias) for alias in catalogue.aliases])


def tariff(provider: str, model: str, **facts: Any) -> Tariff:
    """What the list prices say about calls with these facts."""
    return vendored_book().tariff(normalise(Facts(provider, model)._replace(**facts)))
