"""Books remainders of settled days, each once: decided and written down first, then sent as it was written.

A process that dies in between leaves the decision; the next one sends the same events again, and their
identity makes those that arrived before duplicates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from attribution import rollups
from attribution.ingest.intake import Sender, take_in
from attribution.ingest.native import MOST_EVENTS, from_records
from attribution.models.provider_reports import DayState, ProviderDay, ProviderMapping
from attribution.pullers.providers import Provider
from attribution.pullers.remainders import Remainder, remainder

_NOT_COUNTS = frozenset({"units", "reasoning_tokens"})


@dataclass(slots=True)
class Booked:
    """What a run did with settled days."""

    days: int = 0
    events: int = 0
    held: int = 0
    differing: int = 0  # booked before, and different now


def settle(provider: Provider, first: date, end: date) -> Booked:
    """Decide and book the settled days among those from ``first`` up to, not including, ``end``.

    Their reports must just have been read. A day counts as settled ``PROVIDER_SETTLE_DAYS`` after its end.
    """
    done = Booked()
    # What was acknowledged, and is not in the sums yet, could not be taken off.
    rollups.fold(wait=True)
    for mapping in ProviderMapping.objects.filter(provider=provider.name, is_active=True):
        for day in _settled(max(first, mapping.book_from), end):
            _settle(mapping, day, done)
    return done


def _settled(first: date, end: date) -> Iterator[date]:
    today = timezone.now().date()  # UTC, as the buckets are
    last = min(end, today - timedelta(days=settings.PROVIDER_SETTLE_DAYS))
    day = first
    while day < last:
        yield day
        day += timedelta(days=1)


def _settle(mapping: ProviderMapping, day: date, done: Booked) -> None:
    row = ProviderDay.objects.filter(mapping=mapping, day=day).first()
    if row is not None and row.state == DayState.BOOKING:
        done.events += _book(row)
        done.days += 1
        return
    now_left = remainder(mapping, day)
    if row is not None and row.state == DayState.BOOKED:
        difference = _difference(row, now_left)
        ProviderDay.objects.filter(pk=row.pk).update(
            difference=difference, doubt=now_left.reason, checked_at=timezone.now()
        )
        done.differing += bool(difference or now_left.reason)
    elif not now_left.is_empty:
        row = _decide(mapping, day, now_left)
        if row.state == DayState.HELD:
            done.held += 1
        else:
            done.events += _book(row)
            done.days += 1


def _decide(mapping: ProviderMapping, day: date, found: Remainder) -> ProviderDay:
    now = timezone.now()
    row, _ = ProviderDay.objects.update_or_create(
        mapping=mapping,
        day=day,
        defaults={
            "state": DayState.HELD if found.reason else DayState.BOOKING,
            "reason": found.reason,
            "events": found.events,
            "difference": found.left if found.reason else {},
            "decided_at": now,
            "checked_at": now,
        },
    )
    return row


def _book(row: ProviderDay) -> int:
    """Send what was decided; how many events are in the books. What they refuse is left out, and said."""
    booked: list[dict[str, Any]] = []
    refused: Counter[str] = Counter()
    source = f"{row.mapping.provider}-usage-api"
    for start in range(0, len(row.events), MOST_EVENTS):
        batch = row.events[start : start + MOST_EVENTS]
        outcome = take_in(from_records(batch), Sender(source))
        lost = {outcome.arrivals.index[place] for place in outcome.conflicts}
        refused.update(["another event has this id"] * len(lost))
        for rejection in outcome.arrivals.rejected:
            lost.add(rejection.index)
            refused[f"{rejection.problem.field}: {rejection.problem.message}"] += 1
        booked += [event for place, event in enumerate(batch) if place not in lost]
    said = "; ".join(f"{number} refused, {why}" for why, number in refused.items())
    ProviderDay.objects.filter(pk=row.pk).update(state=DayState.BOOKED, events=booked, reason=said)
    return len(booked)


def _difference(row: ProviderDay, found: Remainder) -> dict[str, int]:
    """What is left now less what is booked: the counts of the day that are other than zero."""
    counts: Counter[str] = Counter(found.left)
    for event in row.events:
        counts.subtract(_counts(event["usage"]))
    return {name: count for name, count in counts.items() if count}


def _counts(usage: Mapping[str, Any]) -> dict[str, int]:
    return {
        **{name: count for name, count in usage.items() if name not in _NOT_COUNTS},
        **usage.get("units", {}),
    }
