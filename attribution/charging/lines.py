"""The usage of some days that terms speak of, as a table to work on, and the charges that come of it.

A line is the usage of a dimension set and slot on a day: ``rest`` is what of its contracted cost nothing has
taken yet, ``open_tokens`` what of its tokens no commitment covers. Shares of a day's amount go to its lines
by the difference of cumulative roundings, in the order of sets and slots, so that none of it is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from attribution.models import ChargeKind, Origin, Part
from finops.core.meters import FIRST_UNIT_METER, HOT_METERS
from finops.core.money import ZERO
from pricing.commitments import InScope


class OwnCharge(NamedTuple):
    """A charge that is worked out outside of the tables: what no call causes."""

    day: date
    kind: ChargeKind
    origin: Origin
    origin_id: int
    part: Part
    dimension_set_id: int
    slot_id: int
    effective: Decimal = ZERO
    billed: Decimal = ZERO


def lay_out(cursor: Any, days: Iterable[date], slots: Iterable[int]) -> None:
    """Fill the table of lines with the usage of these days and slots; begin with no charges."""
    # Any: Django's cursor wrapper has no public type.
    cursor.execute(_TABLES)
    cursor.execute(_LINES, {"days": sorted(days), "slots": sorted(slots)})
    cursor.execute("ANALYZE charging_line")


def in_scope(cursor: Any, slots: Sequence[int], first: date, end: date) -> dict[date, InScope]:
    """What of each day's lines of these slots is left, of days from ``first`` to before ``end``."""
    cursor.execute(_IN_SCOPE, {"slots": list(slots), "first": first, "end": end})
    return {day: InScope(tokens, eligible) for day, tokens, eligible in cursor.fetchall()}


def charge(cursor: Any, rows: Sequence[OwnCharge]) -> None:
    """Take up charges that are worked out."""
    if rows:
        cursor.execute(_CHARGE, [list(column) for column in zip(*rows, strict=True)])


def share(total: str, weight: str, running: str, whole: str) -> str:
    """SQL: a line's share of a day's total, given its weight, the sum of weights up to it and of all."""
    return (
        f"CASE WHEN {whole} = 0 THEN 0 ELSE round({total} * {running} / {whole}, 18)"
        f" - round({total} * ({running} - {weight}) / {whole}, 18) END"
    )


_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS charging_line (
    day date, dimension_set_id integer, slot_id integer, tokens numeric(48, 18),
    open_tokens numeric(48, 18), rest numeric(48, 18)
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS charging_new (
    day date, kind text, origin text, origin_id bigint, part text, dimension_set_id integer, slot_id integer,
    contracted_cost numeric(48, 18) DEFAULT 0, effective_cost numeric(48, 18) DEFAULT 0,
    billed_cost numeric(48, 18) DEFAULT 0
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS charging_day (
    day date, tokens numeric(48, 18), eligible numeric(48, 18), taken numeric(48, 18),
    covered numeric(48, 18), used numeric(48, 18), unused numeric(48, 18), by_tokens boolean
) ON COMMIT DROP;
TRUNCATE charging_line, charging_new, charging_day"""

_TOKENS = " + ".join(f"u.{meter.label}" for meter in HOT_METERS)
_COST = " + ".join(f"u.{meter.label} * coalesce(r.{meter.label}, 0)" for meter in HOT_METERS)
_PIVOT = ", ".join(
    f"max(contracted_price) FILTER (WHERE meter_id = {meter.value}) AS {meter.label}" for meter in HOT_METERS
)
_LINES = f"""
INSERT INTO charging_line
SELECT day, dimension_set_id, slot_id, sum(tokens), sum(tokens), trunc(sum(cost), 18)
FROM (
    SELECT u.day, u.dimension_set_id, u.slot_id, ({_TOKENS})::numeric AS tokens, {_COST} AS cost
    FROM usage_day u LEFT JOIN (
        SELECT slot_id, {_PIVOT} FROM slot_rate
        WHERE known_to IS NULL AND slot_id = ANY(%(slots)s) GROUP BY slot_id
    ) r USING (slot_id)
    WHERE u.day = ANY(%(days)s) AND u.slot_id = ANY(%(slots)s)
    UNION ALL
    SELECT u.day, u.dimension_set_id, u.slot_id,
           CASE WHEN u.meter_id < {FIRST_UNIT_METER} THEN u.quantity ELSE 0 END,
           u.quantity * coalesce(r.contracted_price, 0)
    FROM unit_day u
    LEFT JOIN slot_rate r ON r.slot_id = u.slot_id AND r.meter_id = u.meter_id AND r.known_to IS NULL
    WHERE u.day = ANY(%(days)s) AND u.slot_id = ANY(%(slots)s)
) used
GROUP BY 1, 2, 3"""
_IN_SCOPE = """
SELECT day, sum(open_tokens), sum(rest) FROM charging_line
WHERE slot_id = ANY(%(slots)s) AND day >= %(first)s AND day < %(end)s GROUP BY day"""
_CHARGE = """
INSERT INTO charging_new (day, kind, origin, origin_id, part, dimension_set_id, slot_id,
                          effective_cost, billed_cost)
SELECT * FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::integer[],
                     %s::integer[], %s::numeric[], %s::numeric[])"""
