"""Which names of the book calls have used, as far as their price slots tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from django.utils import timezone

from pricing.catalogue import published_book
from pricing.diffs import Diff
from pricing.facts import Facts, normalise
from pricing.models import BookVersion, ModelAlias, Multiplier, PriceSlot
from pricing.patterns import matches


def names_in_use() -> Mapping[tuple[str, str], list[str]]:
    """(provider, model) as the book calls them, to the names by which calls asked for them, sorted."""
    book = published_book()
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for provider, model, host in PriceSlot.objects.values_list("provider", "model", "host").distinct():
        facts = normalise(Facts(provider, model, host))
        found[facts.provider, facts.model].add(f"{provider}/{model}")
        for called_provider, called_model, _ in book.tariff(facts).names:
            found[called_provider, called_model].add(f"{provider}/{model}")
    return {name: sorted(calls) for name, calls in found.items()}


def usage_touched(version: BookVersion, changed: Diff) -> list[str]:
    """Models that calls have used and that an open version prices otherwise for time gone by, sorted.

    Such usage is restated by a re-rating. What only changes from now on touches none: what is booked lies
    before.
    """
    now = timezone.now()
    names = [
        (change.price.provider, change.price.model) for change in changed.changes if change.starts_before(now)
    ]
    for model, link in ((Multiplier, "multiplier"), (ModelAlias, "alias")):
        ended = version.supersessions.exclude(**{link: None}).values(link)
        rows = model._default_manager.filter(version=version) | model._default_manager.filter(pk__in=ended)
        names += [
            (row.provider, row.model)
            for row in rows
            if row.effective_from is None or row.effective_from < now
        ]
    if not names:
        return []
    return sorted(
        {
            called
            for (provider, model), calls in names_in_use().items()
            if any(provider == one and matches(pattern, model) for one, pattern in names)
            for called in calls
        }
    )
