"""Usage that the price book knows too little of: unpriced, partially priced, of models new to the books."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection

from attribution.reports import meter_labels
from finops.core.meters import HOT_METERS

_SUMS = ", ".join(f"sum({meter.label}) AS {meter.label}" for meter in HOT_METERS)
_VALUES = ", ".join(f"({meter.value}, {meter.label}::numeric)" for meter in HOT_METERS)
_CONDITIONS = ("service_tier", "processing", "speed", "region", "host")
_GAPS = f"""
    WITH spent AS MATERIALIZED (
        SELECT slot_id, sum(calls) AS calls, max(day) AS last, {_SUMS}
        FROM usage_day WHERE day >= %(first)s GROUP BY slot_id HAVING sum(calls) > 0
    ),
    metered AS (
        SELECT slot_id, v.meter_id, v.quantity
        FROM spent, LATERAL (VALUES {_VALUES}) v(meter_id, quantity) WHERE v.quantity > 0
        UNION ALL
        SELECT slot_id, meter_id, sum(quantity) FROM unit_day
        WHERE day >= %(first)s GROUP BY 1, 2 HAVING sum(quantity) > 0
    ),
    judged AS (
        SELECT m.*, EXISTS (
            SELECT FROM slot_rate r
            WHERE r.slot_id = m.slot_id AND r.meter_id = m.meter_id AND r.known_to IS NULL
        ) AS is_priced
        FROM metered m
    ),
    slot AS (
        SELECT slot_id, bool_or(is_priced) AS is_partial,
               jsonb_object_agg(meter_id, quantity::text) FILTER (WHERE NOT is_priced) AS missing
        FROM judged GROUP BY slot_id HAVING bool_or(NOT is_priced)
    )
    SELECT s.provider, s.model, {", ".join(f"s.{name}" for name in _CONDITIONS)},
           slot.is_partial, spent.calls, spent.last, slot.missing
    FROM slot JOIN spent USING (slot_id) JOIN price_slot s ON s.id = slot.slot_id
    ORDER BY spent.calls DESC, slot.slot_id
"""
_NEW_MODELS = """
    WITH used AS MATERIALIZED (
        SELECT slot_id, min(day) AS first, sum(calls) AS calls FROM usage_day GROUP BY slot_id
    )
    SELECT s.provider, s.model, min(used.first), sum(used.calls),
           bool_or(EXISTS (SELECT FROM slot_rate r WHERE r.slot_id = s.id AND r.known_to IS NULL))
    FROM used JOIN price_slot s ON s.id = used.slot_id
    GROUP BY 1, 2 HAVING min(used.first) >= %(first)s
    ORDER BY 3 DESC, 1, 2
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """Usage under one set of facts that has no price, or none for some meters."""

    provider: str
    model: str
    conditions: str
    is_partial: bool
    calls: int
    last: date
    missing: Mapping[str, Decimal]  # quantities without a price, by meter


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model that no call named before."""

    provider: str
    model: str
    first: date
    calls: int
    is_priced: bool


def gaps(first: date) -> Sequence[Gap]:
    """Everything unpriced or partially priced since a reporting day, most calls first. One query."""
    labels = meter_labels()
    with connection.cursor() as cursor:
        cursor.execute(_GAPS, {"first": first})
        rows = cursor.fetchall()
    merged: dict[tuple[str, str, str, bool], Gap] = {}
    for provider, model, *conditions, is_partial, calls, last, missing in rows:
        words = ", ".join(value for value in conditions if value)
        key = (provider, model, words, is_partial)
        known = merged.get(key)
        quantities = dict(known.missing) if known else {}
        for meter, quantity in _numbered(missing).items():
            name = labels.get(meter, str(meter))
            quantities[name] = quantities.get(name, Decimal(0)) + quantity
        merged[key] = Gap(
            *key,
            calls=int(calls) + (known.calls if known else 0),
            last=max(last, known.last) if known else last,
            missing=quantities,
        )
    return sorted(merged.values(), key=lambda gap: (-gap.calls, gap.provider, gap.model))


def new_models(first: date) -> Sequence[NewModel]:
    """Models whose first call was on or after a reporting day, latest first. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_NEW_MODELS, {"first": first})
        return [
            NewModel(provider, model, day, int(calls), is_priced)
            for provider, model, day, calls, is_priced in cursor.fetchall()
        ]


def _numbered(stored: str | Mapping[str, str]) -> dict[int, Decimal]:
    told = json.loads(stored) if isinstance(stored, str) else stored
    return {int(meter): Decimal(quantity) for meter, quantity in told.items()}
