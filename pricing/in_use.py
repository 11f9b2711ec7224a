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
from pricing.models.slots import NO_CALLS
from pricing.patterns import matches


def names_in_use() -> Mapping[tuple[str, str], list[str]]:
    """(provider, model) as the book calls them, to the names by which calls asked for them, sorted."""
    book = published_book()
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    slots = PriceSlot.objects.exclude(schedule=NO_CALLS)
    for provider, model, host in slots.values_list("provider", "model", "host").distinct():
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
    return {
        f"{facts.provider}/{facts.model}"
        for facts, spans in _priced_slots().items()
        if any(agreed.meets(normalise(facts)) for agreed in changed)
        and any(_meet(agreed.effective, span) for agreed in book.agreed(normalise(facts)) for span in spans)
    }


def _priced_slots() -> dict[Facts, list[Span]]:
    """What priced calls say about themselves, with the intervals of their slots."""
    found: dict[Facts, list[Span]] = defaultdict(list)
    priced = PriceSlot.objects.filter(pk__in=SlotRate.objects.filter(known_to=None).values("slot"))
    for *facts, start, end in priced.values_list(*Facts._fields, "effective_from", "effective_to"):
        found[Facts(*facts)].append((seconds(start), seconds(end)))
    return found


def _meet(one: Span, other: Span) -> bool:
    """Whether two intervals share any time."""
    starts = [edge for edge, _ in (one, other) if edge is not None]
    ends = [edge for _, edge in (one, other) if edge is not None]
    return not starts or not ends or max(starts) < min(ends)


def _by_provider(agreements: Iterable[Agreed]) -> dict[str, list[Agreed]]:
    found: dict[str, list[Agreed]] = defaultdict(list)
    for agreed in agreements:
        found[agreed.provider].append(agreed)
    return dict(found)
