"""Which names of the book calls have used, as far as their price slots tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from pricing.catalogue import published_book
from pricing.facts import Facts, normalise
from pricing.models import PriceSlot


def names_in_use() -> Mapping[tuple[str, str], list[str]]:
    """(provider, model) as the book calls them, to the names by which calls asked for them, sorted."""
    book = published_book()
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for provider, model, host in PriceSlot.objects.values_list("provider", "model", "host").distinct():
        facts = normalise(Facts(provider, model, host))
        for called_provider, called_model, _ in book.tariff(facts).names:
            found[called_provider, called_model].add(f"{provider}/{model}")
    return {name: sorted(calls) for name, calls in found.items()}
