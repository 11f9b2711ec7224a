"""What report statements are made of: bound values, filters, and a measure's place in a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from attribution.cost_query import COSTS, COUNTS, TOKENS, CostQuery, Filter, Place, known_dimension
from attribution.models.charges import ChargeKind
from finops.core.meters import HOT_METERS, Meter

HOT = tuple(meter.label for meter in HOT_METERS)
SUMMED = ("calls", "errors", "retries", "tool_calls", *HOT)
ADDITIVE = (*COSTS, *COUNTS, *TOKENS)
TOTAL = 3
# A model's tier is its list price for a million output tokens at standard service: up to 2 dollars,
# up to 15, above. Models that generate nothing (embeddings) are the cheapest tier.
BUDGET_UP_TO, MID_UP_TO = "0.000002", "0.000015"


@dataclass(slots=True)
class Statement:
    """SQL under construction, with its parameters: values from outside are never in the text."""

    parameters: dict[str, Any] = field(default_factory=dict)  # Any: whatever the driver adapts

    def bind(self, value: object) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"


class AsOf(Protocol):
    """Anything that is asked at today's knowledge (None) or at that of a time."""

    @property
    def as_of(self) -> datetime | None: ...


def known(alias: str, query: AsOf, statement: Statement) -> str:
    """The condition that a bitemporal row was known at the time asked for (else: is known now)."""
    if query.as_of is None:
        return f"{alias}.known_to IS NULL"
    at = statement.bind(query.as_of)
    return (
        f"({alias}.known_from IS NULL OR {alias}.known_from <= {at})"
        f" AND ({alias}.known_to IS NULL OR {alias}.known_to > {at})"
    )


def condition(sql: str, wanted: Filter, statement: Statement) -> str:
    """A filter on an expression that is NULL where there is no value."""
    holds = f"coalesce({sql} = ANY({statement.bind(list(wanted.values))}::text[]), false)"
    if wanted.empty:
        holds = f"({holds} OR {sql} IS NULL)"
    return f"NOT {holds}" if wanted.negated else holds


def filters_on(place: Place, query: CostQuery, statement: Statement) -> list[str]:
    """The question's filters on dimensions that this table knows."""
    return [
        condition(known_dimension(name).sql, wanted, statement)
        for name, wanted in query.filters.items()
        if known_dimension(name).place == place
    ]


USAGE = f"'{ChargeKind.USAGE}'::text"
MONTH = "date_trunc('month', u.day::timestamp)::date"
UNPRICED = "CASE WHEN hot_rate.slot_id IS NULL THEN calls ELSE 0 END"
HOT_VALUES = ", ".join(f"({meter.value}, {meter.label})" for meter in HOT_METERS)
SLOT_SUMS = ", ".join(f"sum({meter.label}) AS {meter.label}" for meter in HOT_METERS)
UNPRICED_QUANTITIES = f"""
    SELECT jsonb_object_agg(meter_id, quantity::text)
    FROM (
        SELECT meter_id, sum(quantity) AS quantity
        FROM (
            SELECT slot_id, v.meter_id, v.quantity
            FROM (SELECT slot_id, {SLOT_SUMS} FROM spent GROUP BY slot_id) slot_spent,
                 LATERAL (VALUES {HOT_VALUES}) v(meter_id, quantity)
            UNION ALL
            SELECT slot_id, meter_id, quantity FROM unit_spent
        ) metered
        WHERE NOT EXISTS (
            SELECT FROM rate
            WHERE rate.slot_id = metered.slot_id AND rate.meter_id = metered.meter_id
        )
        GROUP BY meter_id
        HAVING sum(quantity) <> 0
    ) unpriced"""


def columns_of(measure: str) -> tuple[str, str]:
    """How a measure is taken from a row of usage, and from a row of units."""
    if measure in COSTS:
        return hot_cost(measure), f"quantity * {COSTS[measure]}"
    if measure == "unpriced_calls":
        return UNPRICED, "0"
    if measure in COUNTS:
        return measure, "0"
    meters = TOKENS[measure]
    hot = " + ".join(meter.label for meter in meters if meter in HOT_METERS) or "0"
    rare = ", ".join(str(meter.value) for meter in meters if meter not in HOT_METERS)
    return hot, f"CASE WHEN meter_id IN ({rare}) THEN quantity ELSE 0 END" if rare else "0"


def hot_cost(measure: str) -> str:
    """Quantity x price over the hot meters: NULL where the slot has no price at all."""
    column = COSTS[measure]
    return " + ".join(f"{meter.label} * {column}_{meter.value}" for meter in HOT_METERS)


def pivot(measures: list[str]) -> str:
    """A slot's prices side by side, 0 for a hot meter without one, from its rows of ``rate``."""
    columns = dict.fromkeys(COSTS[measure] for measure in measures if measure in COSTS)
    return ", ".join(
        f"coalesce(max({column}) FILTER (WHERE meter_id = {meter.value}), 0) AS {column}_{meter.value}"
        for column in columns
        for meter in HOT_METERS
    )


def model_tiers(rate_is_known: str) -> str:
    """Each slot's model tier, by the model's list price for output at standard service."""
    standard = "s.service_tier = 'standard' AND s.processing = 'sync' AND s.speed = 'standard'"
    return f"""
    SELECT id,
           CASE WHEN NOT bool_or(is_priced) OVER model THEN NULL
                WHEN coalesce(max(price) FILTER (WHERE is_standard) OVER model,
                              max(price) OVER model, 0) <= {BUDGET_UP_TO} THEN 'budget'
                WHEN coalesce(max(price) FILTER (WHERE is_standard) OVER model,
                              max(price) OVER model) <= {MID_UP_TO} THEN 'mid'
                ELSE 'frontier' END AS model_tier
    FROM (
        SELECT s.id, s.provider, s.model, {standard} AS is_standard,
               EXISTS (SELECT FROM slot_rate r WHERE r.slot_id = s.id AND {rate_is_known}) AS is_priced,
               (SELECT CASE WHEN s.from_response_cache THEN r.saving_price ELSE r.list_price END
                FROM slot_rate r
                WHERE r.slot_id = s.id AND r.meter_id = {Meter.OUTPUT.value} AND {rate_is_known}) AS price
        FROM price_slot s
    ) priced
    WINDOW model AS (PARTITION BY provider, model)"""


def owner_durations(query: CostQuery, statement: Statement) -> str:
    """Histogram rows by owner, each with the days from ``day`` to before ``until`` that it counts.

    A span's row stands for its days where one row of ``owner`` holds all of it; where ownership changes
    inside it, the single days do. The scan for those is not even begun when nobody's changes.
    """
    spans = list(query.period.spans())
    single = statement.bind([span.first for span in spans if span.days == 1])
    firsts = statement.bind([span.first for span in spans])
    ends = statement.bind([span.end for span in spans])
    days = [
        (span.first + timedelta(days=n), span) for span in spans if span.days > 1 for n in range(span.days)
    ]
    inside = ", ".join(
        f"{statement.bind(column)}::date[]"
        for column in (
            [day for day, _ in days],
            [span.first for _, span in days],
            [span.end for _, span in days],
        )
    )
    first, end = statement.bind(query.period.first), statement.bind(query.period.end)
    return f"""(
        SELECT dimension_set_id, step, calls, day, day + 1 AS until
        FROM duration_owner_day WHERE day = ANY({single}::date[])
        UNION ALL
        SELECT dimension_set_id, step, calls, first_day, end_day
        FROM duration_owner_span
        JOIN unnest({firsts}::date[], {ends}::date[]) AS span (first_day, end_day) USING (first_day, end_day)
        UNION ALL
        SELECT dimension_set_id, step, calls, day, day + 1
        FROM duration_owner_day u
        JOIN unnest({inside}) AS span (day, first_day, end_day) USING (day)
        WHERE (SELECT bool_or(first_day > {first} OR end_day < {end}) FROM owner)
          AND NOT EXISTS (
              SELECT FROM owner whole
              WHERE whole.dimension_set_id = u.dimension_set_id
                AND whole.first_day <= span.first_day AND whole.end_day >= span.end_day)
    )"""
