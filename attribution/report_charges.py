"""Charges in report statements: what the books know beside usage at its prices."""

from __future__ import annotations

from attribution.cost_query import CHARGED, COSTS
from attribution.report_frame import ReportSql
from attribution.report_parts import HOT_VALUES, MONTH, SLOT_SUMS, USAGE, Statement, condition, known


def charged(sql: ReportSql, s: Statement, more: str = "") -> str:
    """charged: the charges asked about, by owner group, slot, bucket and kind (and ``more`` columns).

    They are of no customer. At the finest they are known by day, and stand in its first bucket.
    """
    numbers = ", ".join(str(n) for n in range(1, 7 + more.count(",")))
    sums = ", ".join(f"sum(u.{name}) AS {name}" for name in CHARGED)
    return f"""
charged AS MATERIALIZED (
    SELECT o.g, u.slot_id, {sql.first_bucket()} AS b, 0 AS c, u.kind, {MONTH} AS m{more},
           count(*) AS charges, {sums}
    FROM charge u
    JOIN owner o ON o.dimension_set_id = u.dimension_set_id AND u.day >= o.first_day AND u.day < o.end_day
    WHERE {" AND ".join(_asked(sql, s))}
    GROUP BY {numbers}
)"""


def charge_column(measure: str) -> str:
    """What a charge adds to a measure: NULL where it says nothing of it, so that it prices nothing."""
    if measure in CHARGED:
        return f"nullif({measure}, 0)"
    return "NULL::numeric" if measure in COSTS else "0"


def _asked(sql: ReportSql, s: Statement) -> list[str]:
    query = sql.query
    customers = query.filters.get("customer")
    if customers is not None and not customers.keeps(None):
        return ["false"]
    kinds = query.filters.get("charge_kind")
    return [
        sql.in_period(s),
        known("u", query, s),
        sql.slot_condition(),
        *([condition("u.kind", kinds, s)] if kinds is not None else []),
    ]


_PRICES = ", ".join(f"quantity * {COSTS[name]} AS {name}" for name in CHARGED)
_SUMS = ", ".join(f"sum({name})::text" for name in CHARGED)
# The total's costs by kind of charge, each as a list in the order of CHARGED.
BY_KIND = f"""
    SELECT jsonb_object_agg(kind, costs)
    FROM (
        SELECT kind, jsonb_build_array({_SUMS}) AS costs
        FROM (
            SELECT {USAGE} AS kind, {_PRICES}
            FROM (
                SELECT slot_id, v.meter_id, v.quantity
                FROM (SELECT slot_id, {SLOT_SUMS} FROM spent GROUP BY slot_id) slot_spent,
                     LATERAL (VALUES {HOT_VALUES}) v(meter_id, quantity)
                UNION ALL
                SELECT slot_id, meter_id, quantity FROM unit_spent
            ) metered JOIN rate USING (slot_id, meter_id)
            UNION ALL
            SELECT kind, {", ".join(CHARGED)} FROM charged
        ) line
        GROUP BY kind
    ) told"""
