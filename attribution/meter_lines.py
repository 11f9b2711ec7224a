"""Costs down to what has one unit price: each kind of token of each model under each condition.

The finest cut of the books: with the charges (``charge_lines``) its lines add up to the same totals as
every other report. It serves the question what changed, which only unit prices can answer, and the
arithmetic of a cost, down to the row of the price book and the agreement behind each price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from attribution.cost_query import COSTS, CostQuery
from attribution.report_frame import ReportSql
from attribution.report_parts import SUMMED, Statement, known
from attribution.reports import Key
from finops.core.meters import FIRST_UNIT_METER, HOT_METERS, Meter
from finops.core.money import ZERO
from pricing.models import UnitMeter

# What the price of a meter may depend on, besides when: the facts of a price slot.
CONDITIONS = (
    "provider",
    "model",
    "host",
    "region",
    "service_tier",
    "processing",
    "speed",
    "from_response_cache",
    "context_over",
    "schedule",
    "account",
)


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit costs, in dollars: at list, as contracted, and in the cost that was asked for."""

    list_price: Decimal
    contracted_price: Decimal
    price: Decimal
    price_id: int
    agreement_id: int | None


@dataclass(frozen=True, slots=True)
class MeterLine:
    """So much of one meter under one set of conditions; ``cost`` is zero where it has no price.

    ``rate`` is told of lines by price; None: it has none.
    """

    key: Key
    conditions: tuple[Any, ...]  # Any: texts, a flag, a number
    meter: str
    is_tokens: bool
    quantity: Decimal
    cost: Decimal
    rate: Rate | None = None

    @property
    def model(self) -> str:
        return str(self.conditions[1])


def meter_lines(query: CostQuery, *, by_price: bool = False, zone: ZoneInfo | None = None) -> list[MeterLine]:
    """The question's calls as lines of one unit price, by its groups; its first measure is the cost.

    What costs the same by other rows of the price book is one line, unless asked for ``by_price``. One
    statement, one more when meters beyond tokens were used. The granularity is not looked at.
    """
    sql = _MeterSql(query, zone or settings.REPORTING_TIME_ZONE)
    with connection.cursor() as cursor:
        cursor.execute(*sql.lines(COSTS[query.measures[0]], by_price=by_price))
        rows = cursor.fetchall()
    return list(_read(rows, groups=len(query.group_by)))


def _read(rows: list[tuple[Any, ...]], *, groups: int) -> Iterator[MeterLine]:
    priced = groups + len(CONDITIONS)
    ids = {row[priced] for row in rows if row[priced] >= FIRST_UNIT_METER}
    units = dict(UnitMeter.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}
    for row in rows:
        meter_id, quantity, cost, *rate = row[priced:]
        yield MeterLine(
            key=row[:groups],
            conditions=row[groups:priced],
            meter=units[meter_id] if meter_id in units else Meter(meter_id).label,
            is_tokens=meter_id < FIRST_UNIT_METER,
            quantity=Decimal(quantity),
            cost=cost if cost is not None else ZERO,
            rate=Rate(*rate) if rate and rate[0] is not None else None,
        )


class _MeterSql(ReportSql):
    """The same sums as a cost report, left apart by slot and meter."""

    def lines(self, price: str, *, by_price: bool) -> tuple[str, Mapping[str, Any]]:
        s = Statement()
        hot = ", ".join(f"({meter.value}, spent.{meter.label})" for meter in HOT_METERS)
        names = self._names().lstrip(", ")
        keys = f"{names}, " if names else ""
        columns = ", ".join(f"facts.{name}" for name in CONDITIONS)
        told = ("list_price", "contracted_price", price, "price_id", "agreement_id") if by_price else ()
        rate = "".join(f", r.{name}" for name in told)
        numbers = ", ".join(str(n + 1) for n in range(len(self.query.group_by) + len(CONDITIONS) + 1))
        sql = f"""
WITH {self._owners(s)}{self._slots(s)},
spent AS MATERIALIZED (
    SELECT o.g, u.slot_id, {self._customer()} AS c, {", ".join(f"sum(u.{name}) AS {name}" for name in SUMMED)}
    FROM {self._source("usage", (), SUMMED, s)} u
    JOIN owner o ON o.dimension_set_id = u.dimension_set_id AND u.day >= o.first_day AND u.day < o.end_day
    WHERE {self._is_counted(s)}
    GROUP BY 1, 2, 3
),
metered AS (
    SELECT g, slot_id, c, v.meter_id, v.quantity
    FROM spent, LATERAL (VALUES {hot}) v(meter_id, quantity)
    WHERE v.quantity <> 0
    UNION ALL
    SELECT o.g, u.slot_id, {self._customer()} AS c, u.meter_id, u.quantity
    FROM {self._source("unit", ("meter_id",), ("quantity",), s)} u
    JOIN owner o ON o.dimension_set_id = u.dimension_set_id AND u.day >= o.first_day AND u.day < o.end_day
    WHERE {self._is_counted(s)}
),
answer AS (
    SELECT {self._listed_of_calls()}answer_slot AS slot_id, meter_id, sum(quantity) AS quantity
    FROM (SELECT metered.*, metered.slot_id AS answer_slot FROM metered) line
    JOIN owner_key USING (g) {self._join_slots("line")}
    GROUP BY {self._listed()}answer_slot, meter_id
)
SELECT {keys}{columns}, answer.meter_id, sum(answer.quantity), sum(answer.quantity * r.{price}){rate}
FROM answer {self._join_names()}
JOIN price_slot facts ON facts.id = answer.slot_id
LEFT JOIN slot_rate r
    ON r.slot_id = answer.slot_id AND r.meter_id = answer.meter_id AND {known("r", self.query, s)}
GROUP BY {numbers}{rate}
"""
        return sql, s.parameters
