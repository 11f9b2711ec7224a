"""What a provider reports of a day less what clients told of it: the calls that nobody told us of.

Reported rows and calls are compared by model, tier, processing and speed. A remainder is only ever given
where it is certain; where it is not, the day has a reason instead, and nothing of it is booked.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import ceil
from typing import Any

from django.db import connection

from attribution.ingest.schema import MOST_TOKENS
from attribution.ingest.usage_exports import OPERATION, shares
from attribution.models.provider_reports import ProviderMapping, ProviderUsage
from attribution.pullers.mappings import rows_of
from attribution.pullers.providers import midnight, provider_of
from finops.core.meters import USAGE_FIELDS, Meter, excess, split
from pricing.facts import STANDARD, Facts, normalise

# A report's model carries the day of its version where a client may not, or says that it wants the latest.
_VERSION = re.compile(r"-(?:\d{4}-\d\d-\d\d|\d{8}|latest)$")
_SEARCHES = "web_search_calls"
_COUNTS = (*(name for name in USAGE_FIELDS if name != "reasoning_tokens"), _SEARCHES)
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Served:
    """What rows and calls are compared by."""

    model: str  # without its version
    service_tier: str
    processing: str
    speed: str = STANDARD

    @classmethod
    def of(cls, facts: Facts) -> Served:
        """The facts of a price, in the words of the price book."""
        normal = normalise(facts)
        model = _VERSION.sub("", normal.model)
        return cls(model, normal.service_tier, normal.processing, normal.speed)

    def __str__(self) -> str:
        speed = self.speed if self.speed != STANDARD else ""
        return " ".join(part for part in (self.model, self.service_tier, self.processing, speed) if part)


@dataclass(slots=True)
class Remainder:
    """Of one mapping's day. With a ``reason`` there is something to book, but not with certainty."""

    reason: str = ""
    left: dict[str, int] = field(default_factory=dict)  # of all rows, by count
    events: list[dict[str, Any]] = field(default_factory=list)  # Any: as the ingest takes them
    is_empty: bool = True  # nothing was reported, nothing was told


def remainder(mapping: ProviderMapping, day: date) -> Remainder:
    """What to book of a UTC day as things are now. Three queries."""
    provider = provider_of(mapping.provider)
    reported = ProviderUsage.objects.filter(
        provider=mapping.provider, starts_at=midnight(day), gone_at=None
    ).order_by("pk")
    rows = rows_of(mapping, reported)
    told = _told(mapping, day)
    found = Remainder(is_empty=not rows and not told)
    by_served: dict[Served, list[ProviderUsage]] = defaultdict(list)
    for row in rows:
        if row.problem:
            found.reason = f"A row of the report cannot be read: {row.problem}"
        else:
            by_served[_served(row)].append(row)
    left: Counter[str] = Counter()
    for served in sorted({*by_served, *told}, key=str):
        counts, events, reason = _of_one(served, by_served.get(served, []), told.get(served, {}), mapping)
        left.update(counts)
        found.events += events
        found.reason = found.reason or reason
    if not found.reason and _is_imported(mapping, day):
        found.reason = "The same report was imported from a file."
    found.left = {name: count for name, count in left.items() if count}
    if found.reason:
        found.events = []
    for event in found.events:
        event["source"] = provider.source
    return found


def _of_one(
    served: Served, rows: Sequence[ProviderUsage], told: Counts, mapping: ProviderMapping
) -> tuple[Counter[str], list[dict[str, Any]], str]:
    """What is left, what is to be booked of it, and why not."""
    left: Counter[str] = Counter()
    for row in rows:
        left.update(_counts(row))
    left.subtract(told)
    if not any(told.values()):
        return left, [event for row in rows for event in _events(row, _counts(row), mapping)], ""
    if not any(left.values()):
        return left, [], ""
    if not rows:
        return left, [], f"Clients told of calls that the provider does not report: {served}."
    if min(left.values()) < 0 or _is_impossible(left):
        return left, [], f"Clients told of more than the provider reports: {served}."
    if len(rows) > 1:
        return (
            left,
            [],
            f"The provider reports {served} in {len(rows)} rows; which one calls are of is not known.",
        )
    return left, list(_events(rows[0], left, mapping)), ""


def _events(row: ProviderUsage, counts: Counts, mapping: ProviderMapping) -> Iterator[dict[str, Any]]:
    """Events that say so much; several where it is more than one may say."""
    tokens = {name: counts.get(name, 0) for name in USAGE_FIELDS}
    searches = counts.get(_SEARCHES, 0)
    if not searches and not any(tokens.values()):
        return
    parts = max(1, ceil(max(tokens.values()) / MOST_TOKENS))
    for part, usage in enumerate(shares(tokens, parts)):
        units = {"units": {_SEARCHES: searches}} if searches and not part else {}
        yield {
            **row.event,
            **mapping.names,
            "event_id": row.event["event_id"] + (f"-{part + 1}" if part else ""),
            "usage": {**usage, **units},
        }


def _served(row: ProviderUsage) -> Served:
    said = row.event
    return Served.of(
        Facts(
            said["provider"],
            said["model"],
            service_tier=said.get("service_tier") or "",
            processing=said.get("processing") or "",
            speed=said.get("speed") or "",
        )
    )


def _counts(row: ProviderUsage) -> Counter[str]:
    units = row.usage.get("units", {})
    counts = Counter({name: row.usage.get(name, 0) for name in _COUNTS})
    counts[_SEARCHES] = int(units.get(_SEARCHES, 0))
    return counts


def _is_impossible(counts: Counts) -> bool:
    """Whether a part is larger than its whole: a remainder that no call can have left."""
    return excess(split(**{name: counts.get(name, 0) for name in USAGE_FIELDS})) is not None


def _told(mapping: ProviderMapping, day: date) -> dict[Served, Counter[str]]:
    """What clients told of the mapping's sources, as far as it is counted.

    Our own cache's answers never reached the provider.
    """
    told: dict[Served, Counter[str]] = defaultdict(Counter)
    asked: dict[str, Any] = {
        "first": midnight(day),
        "end": midnight(day + timedelta(days=1)),
        "sources": mapping.sources,
        "provider": mapping.provider,
        "searches": _SEARCHES,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TOLD, asked)
        for model, tier, processing, speed, *counts in cursor.fetchall():
            facts = Facts(mapping.provider, model, service_tier=tier, processing=processing, speed=speed)
            told[Served.of(facts)].update(dict(zip(_COUNTS, map(ceil, counts), strict=True)))
    return {served: counts for served, counts in told.items() if any(counts.values())}


def _is_imported(mapping: ProviderMapping, day: date) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            _IMPORTED,
            {
                "first": midnight(day),
                "end": midnight(day + timedelta(days=1)),
                "ours": provider_of(mapping.provider).source,
                "sources": mapping.sources,
                "operation": OPERATION,
                "provider": mapping.provider,
                "keys": mapping.api_keys,
                "projects": mapping.projects,
            },
        )
        return cursor.fetchone() is not None


_UNITS = {
    "audio_input_tokens": (Meter.AUDIO_INPUT, Meter.AUDIO_CACHED),
    "audio_cached_tokens": (Meter.AUDIO_CACHED,),
    "audio_output_tokens": (Meter.AUDIO_OUTPUT,),
    "image_input_tokens": (Meter.IMAGE_INPUT, Meter.IMAGE_CACHED),
    "image_cached_tokens": (Meter.IMAGE_CACHED,),
    "image_output_tokens": (Meter.IMAGE_OUTPUT,),
}
_PART_OF_INPUT = (Meter.AUDIO_INPUT, Meter.AUDIO_CACHED, Meter.IMAGE_INPUT, Meter.IMAGE_CACHED)


def _units(*meters: Meter) -> str:
    listed = ", ".join(str(int(meter)) for meter in meters)
    return f"coalesce(sum(used.quantity) FILTER (WHERE used.meter_id IN ({listed})), 0)"


_SERVED = """
    JOIN dimension_set arrived ON arrived.id = used.dimension_set_id
    JOIN price_slot slot ON slot.id = used.slot_id
    WHERE used.bucket >= %(first)s AND used.bucket < %(end)s
      AND arrived.source = ANY(%(sources)s::text[]) AND slot.provider = %(provider)s
      AND NOT slot.from_response_cache"""
# The counts under their wire names, in the order of _COUNTS: totals contain their parts.
_TOLD = f"""
WITH tokens AS (
    SELECT model, service_tier, processing, speed, sum(input) AS input, sum(cache_read) AS cache_read,
           sum(cache_write) AS cache_write, sum(cache_write_1h) AS cache_write_1h,
           sum(output + reasoning) AS output
    FROM usage_hour used {_SERVED}
    GROUP BY model, service_tier, processing, speed
),
units AS (
    SELECT model, service_tier, processing, speed,
           {_units(*_PART_OF_INPUT)} AS input, {_units(Meter.AUDIO_CACHED, Meter.IMAGE_CACHED)} AS cached,
           {_units(Meter.AUDIO_OUTPUT, Meter.IMAGE_OUTPUT)} AS output,
           {", ".join(f"{_units(*meters)} AS {name}" for name, meters in _UNITS.items())},
           coalesce(sum(used.quantity) FILTER (WHERE named.name = %(searches)s), 0) AS searches
    FROM unit_hour used
    LEFT JOIN unit_meter named ON named.id = used.meter_id {_SERVED}
    GROUP BY model, service_tier, processing, speed
)
SELECT model, service_tier, processing, speed,
       tokens.input + cache_read + cache_write + cache_write_1h + coalesce(units.input, 0),
       cache_read + coalesce(units.cached, 0), cache_write + cache_write_1h, cache_write_1h,
       tokens.output + coalesce(units.output, 0),
       {", ".join(f"coalesce(units.{name}, 0)" for name in _UNITS)}, coalesce(units.searches, 0)
FROM tokens LEFT JOIN units USING (model, service_tier, processing, speed)
"""
# Sums of a report that came another way. Where its single rows are dropped, whose they were is not known.
_IMPORTED = """
SELECT 1
FROM usage_hour used
JOIN dimension_set arrived ON arrived.id = used.dimension_set_id
JOIN price_slot slot ON slot.id = used.slot_id
CROSS JOIN LATERAL (
    SELECT bool_or(
               call.detail->'tags'->>'api_key_id' = ANY(%(keys)s::text[])
               OR coalesce(call.detail->'tags'->>'project_id', call.detail->'tags'->>'workspace_id')
                  = ANY(%(projects)s::text[])
               OR NOT coalesce(
                   call.detail->'tags' ?| ARRAY['api_key_id', 'project_id', 'workspace_id'], false)
           ) AS ours, count(*) AS calls
    FROM call_event call
    WHERE call.occurred_at >= %(first)s AND call.occurred_at < %(end)s
      AND call.dimension_set_id = arrived.id AND call.slot_id = slot.id
) single
WHERE used.bucket >= %(first)s AND used.bucket < %(end)s
  AND arrived.operation = %(operation)s AND arrived.source <> %(ours)s
  AND arrived.source <> ALL(%(sources)s::text[]) AND slot.provider = %(provider)s
  AND (coalesce(single.ours, false) OR single.calls = 0)
LIMIT 1
"""
