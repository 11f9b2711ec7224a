"""The statements behind a cost report.

The shape of all of them: find the owners and the slots that the question is about, as small integers;
add up quantities by owner group, slot and bucket; only then price, name and total. So a million rows
of usage meet neither a text nor a price, and group rows and totals come from the same sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from attribution.cost_query import COSTS, DISTINCT, PERCENTILES, CostQuery
from attribution.report_charges import BY_KIND, charge_column, charged
from attribution.report_frame import ReportSql
from attribution.report_parts import (
    ADDITIVE,
    MONTH,
    SUMMED,
    TOTAL,
    UNPRICED,
    UNPRICED_QUANTITIES,
    USAGE,
    Statement,
    columns_of,
    hot_cost,
    known,
    pivot,
)


class CostSql(ReportSql):
    """Composes the statements of one question.

    ``rates`` convert its amounts: units of its currency for a dollar, by the first day of each month. A
    month without one must have no costs.
    """

    def __init__(self, query: CostQuery, zone: ZoneInfo, rates: Mapping[date, Decimal] | None = None) -> None:
        super().__init__(query, zone)
        self.rates = rates

    def usage(self) -> tuple[str, Mapping[str, Any]]:
        """Costs, counts and tokens; with the total what is unattributed and unpriced."""
        s = Statement()
        measures = [name for name in self.query.measures if name in ADDITIVE]
        # Effective cost is always there, for the coverage.
        columns = {name: self._columns_of(name) for name in measures if name != "effective_cost"}
        hot = "".join(f", {source[0]} AS m_{name}" for name, source in columns.items())
        sparse = "".join(f", {source[1]}" for source in columns.values())
        beside = "".join(f", {source[2]}" for source in columns.values())
        sums = "".join(f", sum(m_{name}) AS m_{name}" for name in columns)
        named = "".join(f", m_{name} AS {name}" for name in measures)
        month, by_month = (f", {MONTH} AS m", ", m") if self.rates is not None else ("", "")
        rate_of_month = self._rates(s)
        by_kind = f", CASE WHEN level = {TOTAL} THEN ({BY_KIND}) END AS by_kind" if self.query.by_kind else ""
        sql = f"""
WITH {self._owners(s)}{self._slots(s)},
spent AS MATERIALIZED (
    SELECT o.g, u.slot_id, {self._bucket()} AS b, {self._customer()} AS c,
           {", ".join(f"sum(u.{name}) AS {name}" for name in SUMMED)}{month}
    FROM {self._source("usage", (), SUMMED, s)} u
    JOIN owner o ON o.dimension_set_id = u.dimension_set_id AND u.day >= o.first_day AND u.day < o.end_day
    WHERE {self._is_counted(s)}
    GROUP BY 1, 2, 3, 4{by_month}
    HAVING sum(u.calls) > 0
),
unit_spent AS MATERIALIZED (
    SELECT o.g, u.slot_id, {self._bucket()} AS b, {self._customer()} AS c, u.meter_id,
           sum(u.quantity) AS quantity{month}
    FROM {self._source("unit", ("meter_id",), ("quantity",), s)} u
    JOIN owner o ON o.dimension_set_id = u.dimension_set_id AND u.day >= o.first_day AND u.day < o.end_day
    WHERE {self._is_counted(s)}
    GROUP BY 1, 2, 3, 4, 5{by_month}
    HAVING sum(u.quantity) > 0
),
rate AS MATERIALIZED (
    SELECT r.slot_id, r.meter_id, {", ".join(f"r.{column}" for column in dict.fromkeys(COSTS.values()))}
    FROM slot_rate r
    WHERE {known("r", self.query, s)} AND r.slot_id IN (SELECT slot_id FROM spent)
),
hot_rate AS MATERIALIZED (
    SELECT slot_id, {pivot(["effective_cost", *measures])}
    FROM rate
    GROUP BY slot_id
),
{charged(self, s)},
line AS (
    SELECT g, slot_id, b, c, {USAGE} AS kind, calls, {UNPRICED} AS unpriced_calls, 0 AS charges,
           {self._in_currency(hot_cost("effective_cost"))} AS m_effective_cost{hot}
    FROM spent LEFT JOIN hot_rate USING (slot_id) {rate_of_month}
    UNION ALL
    SELECT g, slot_id, b, c, {USAGE}, 0, 0, 0, {self._in_currency("quantity * effective_price")}{sparse}
    FROM unit_spent LEFT JOIN rate USING (slot_id, meter_id) {rate_of_month}
    UNION ALL
    SELECT g, slot_id, b, c, kind, 0, 0, charges, {self._in_currency(charge_column("effective_cost"))}{beside}
    FROM charged {rate_of_month}
),
answer AS (
    SELECT {self._level()} AS level, {self._listed()}{self._b()} AS b,
           sum(calls) AS all_calls, sum(charges) AS charges, sum(unpriced_calls) AS unpriced_calls,
           sum(calls) FILTER (WHERE unattributed) AS unattributed_calls,
           sum(m_effective_cost) AS m_effective_cost,
           sum(m_effective_cost) FILTER (WHERE unattributed) AS unattributed_cost{sums}
    FROM line JOIN owner_key USING (g) {self._join_slots("line")}
    GROUP BY GROUPING SETS ({self._sets()})
)
SELECT answer.level, answer.b{self._names()},
       all_calls, charges, unpriced_calls, unattributed_calls, unattributed_cost,
       CASE WHEN level = {TOTAL} THEN ({UNPRICED_QUANTITIES}) END AS unpriced_quantities{by_kind}{named}
FROM answer {self._join_names()}
WHERE all_calls > 0 OR charges > 0 OR level = {TOTAL}
"""
        return sql, s.parameters

    def distinct(self, measure: str) -> tuple[str, Mapping[str, Any]]:
        """Exact numbers of different users or tasks."""
        s = Statement()
        table = DISTINCT[measure]
        levels = []
        for level, ranks, buckets in self._level_list():
            chosen = "".join(f"{name}, " for name in (*ranks, *buckets))
            shown = "".join(f", {name if name in ranks else _nothing(name)}" for name in self.ranks)
            bucket = "b" if buckets else "NULL::date AS b"
            group = f"GROUP BY {chosen.rstrip(', ')}" if chosen else ""
            levels.append(
                f"SELECT {level} AS level, {bucket}{shown}, count(*) AS n"
                f" FROM (SELECT DISTINCT {chosen}key FROM seen) once {group}"
            )
        sql = f"""
WITH {self._owners(s)}{self._slots(s)},
seen AS MATERIALIZED (
    SELECT DISTINCT {self._listed_of_calls()}{self._bucket()} AS b, key
    FROM {self._named_ones(table, s)} u
    JOIN owner o ON o.dimension_set_id = u.dimension_set_id AND u.day >= o.first_day AND u.day < o.end_day
    {self._join_slots("u")}
    CROSS JOIN unnest(u.keys) AS key
    WHERE {self.in_period(s)} AND {self._is_counted(s)}
),
answer AS ({" UNION ALL ".join(levels)})
SELECT answer.level, answer.b{self._names()}, n AS {measure}
FROM answer {self._join_names()}
"""
        return sql, s.parameters

    def percentiles(self) -> tuple[str, Mapping[str, Any]]:
        """Percentiles of duration in milliseconds; groups in which none is known are absent.

        A step of the histogram holds ms + 1 from 2^(step/16) to 2^((step+1)/16); inside it the
        logarithm is interpolated, so the error is a fraction of the step's 4.4 %.
        """
        s = Statement()
        wanted = [measure for measure in PERCENTILES if measure in self.query.measures]
        ranks = "".join(f", {rank}" for rank in self.ranks)
        values = ", ".join(
            f"max(power(2, (step + ({PERCENTILES[name]} * total - below) / calls) / 16.0) - 1)"
            f" FILTER (WHERE below < {PERCENTILES[name]} * total"
            f" AND {PERCENTILES[name]} * total <= below + calls) AS {name}"
            for name in wanted
        )
        sql = f"""
WITH {self._owners(s)}{self._slots(s)},
coarse AS MATERIALIZED (
    SELECT {self._listed_of_calls()}{self._bucket()} AS b, u.step, sum(u.calls)::float8 AS calls
    FROM {self._durations(s)} u
    JOIN owner o ON o.dimension_set_id = u.dimension_set_id AND u.day >= o.first_day AND u.until <= o.end_day
    {self._join_slots("u")}
    WHERE {self._is_counted(s)}
    GROUP BY {self._listed()}b, u.step
),
histogram AS (
    SELECT {self._level()} AS level, {self._listed()}{self._b()} AS b, step, sum(calls) AS calls
    FROM coarse
    GROUP BY GROUPING SETS ({self._sets("step")})
),
running AS (
    SELECT level, b{ranks}, step, calls,
           sum(calls) OVER (whole ORDER BY step) - calls AS below, sum(calls) OVER whole AS total
    FROM histogram
    WINDOW whole AS (PARTITION BY level, b{ranks})
),
answer AS (
    SELECT level, b{ranks}, {values}
    FROM running
    GROUP BY level, b{ranks}
)
SELECT answer.level, answer.b{self._names()}, {", ".join(wanted)}
FROM answer {self._join_names()}
"""
        return sql, s.parameters

    def _columns_of(self, measure: str) -> tuple[str, str, str]:
        """How a measure is taken from a row of usage, of units, and of charges."""
        sources = (*columns_of(measure), charge_column(measure))
        if measure not in COSTS:
            return sources
        hot, sparse, beside = (self._in_currency(source) for source in sources)
        return hot, sparse, beside

    def _in_currency(self, amount: str) -> str:
        return amount if self.rates is None else f"({amount}) * coalesce(fx.rate, 0)"

    def _rates(self, s: Statement) -> str:
        """The month's rate of each row with a month."""
        if self.rates is None:
            return ""
        months, rates = s.bind(list(self.rates)), s.bind(list(self.rates.values()))
        named = f"unnest({months}::date[], {rates}::numeric[]) AS booked (m, rate)"
        return f"LEFT JOIN (SELECT m, rate FROM {named}) fx USING (m)"


def _nothing(rank: str) -> str:
    """A rank's place in a row that is of all its groups."""
    return f"NULL::{'text' if rank == 'kind' else 'int'} AS {rank}"
