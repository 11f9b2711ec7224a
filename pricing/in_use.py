"""Which names of the book calls have used, as far as their price slots tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from django.utils import timezone

from pricing.agreement_changes import AgreementChange
from pricing.agreements import Agreed
from pricing.catalogue import book_agreement, published_book, seconds
from pricing.diffs import Diff
from pricing.entries import Span
from pricing.facts import Facts, normalise
from pricing.models import BookVersion, ModelAlias, Multiplier, PriceSlot, SlotRate
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
    touched = {
        called
        for (provider, model), calls in (names_in_use() if names else {}).items()
        if any(provider == one and matches(pattern, model) for one, pattern in names)
        for called in calls
    }
    return sorted(touched | agreements_touch(changed.agreements, now))


def agreements_touch(changes: Iterable[AgreementChange], before: datetime) -> set[str]:
    """Models that calls have used before a time, of which these agreements change what is booked."""
    spans = [(change, span) for change in changes if (span := change.span) is not None]
    of_past = [(change, span) for change, span in spans if span[0] is None or span[0] < before]
    if not of_past:
        return set()
    changed = [
        replace(book_agreement(agreement, known_from=0), effective=(seconds(span[0]), seconds(span[1])))
        for change, span in of_past
        for agreement in (change.before, change.after)
        if agreement is not None
    ]
    book = replace(published_book(), agreements=_by_provider(changed))
    touched = set()
    priced = SlotRate.objects.filter(known_to=None).values("slot")
    for slot in PriceSlot.objects.filter(pk__in=priced).iterator():
        facts = normalise(Facts(*(getattr(slot, name) for name in Facts._fields)))
        if any(_meet(agreed.effective, slot) for agreed in book.tariff(facts).agreements):
            touched.add(f"{slot.provider}/{slot.model}")
    return touched


def _meet(effective: Span, slot: PriceSlot) -> bool:
    """Whether the interval shares any time with the slot's."""
    start, end = effective
    first, last = seconds(slot.effective_from), seconds(slot.effective_to)
    return (start is None or last is None or start < last) and (end is None or first is None or first < end)


def _by_provider(agreements: Iterable[Agreed]) -> dict[str, list[Agreed]]:
    found: dict[str, list[Agreed]] = defaultdict(list)
    for agreed in agreements:
        found[agreed.provider].append(agreed)
    return dict(found)
