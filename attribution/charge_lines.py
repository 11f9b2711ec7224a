"""Costs beside usage at its prices, charge by charge: the other half of the arithmetic of any cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, models

from attribution.cost_query import CHARGED, CostQuery
from attribution.models import ChargeKind, Origin, Part
from attribution.report_charges import charged
from attribution.report_frame import ReportSql
from attribution.report_parts import Statement
from attribution.reports import Key
from pricing.models import Agreement, Commitment, Credit, Tax

_ORIGINS: Mapping[str, type[models.Model]] = {
    Origin.AGREEMENT: Agreement,
    Origin.COMMITMENT: Commitment,
    Origin.CREDIT: Credit,
    Origin.TAX: Tax,
}
# What people read after the name of what a charge comes from.
_WORDS: Mapping[str, str] = {
    Part.VOLUME: "volume band",
    Part.COVERED: "usage covered",
    Part.PURCHASE: "purchase",
    Part.UNUSED: "unused",
    Part.CREDIT: "taken",
    Part.TAX: "levied",
}


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """What one agreement, commitment, credit or tax did to a group's cost in one way."""

    key: Key
    kind: ChargeKind
    origin: Origin
    origin_id: int
    part: Part
    name: str  # "" where what it came from is no longer known
    cost: Decimal

    @property
    def label(self) -> str:
        """As "Commitment Azure PTU 2026: unused"."""
        named = f"{self.origin.label} {self.name or self.origin_id}"
        return f"{named}: {_WORDS[self.part]}"


def charge_lines(query: CostQuery, *, zone: ZoneInfo | None = None) -> list[ChargeLine]:
    """The question's charges by its groups; its first measure is the cost. Those that say nothing of it
    are left out.

    One statement, and one for the names of each origin that has any.
    """
    measure = query.measures[0]
    if measure not in CHARGED:
        return []
    sql = _ChargeSql(query, zone or settings.REPORTING_TIME_ZONE)
    with connection.cursor() as cursor:
        cursor.execute(*sql.lines(measure))
        rows = cursor.fetchall()
    names = _names((origin, origin_id) for *_, origin, origin_id, _, _ in rows)
    return [
        ChargeLine(
            key=tuple(key),
            kind=ChargeKind(kind),
            origin=Origin(origin),
            origin_id=origin_id,
            part=Part(part),
            name=names.get((origin, origin_id), ""),
            cost=cost,
        )
        for *key, kind, origin, origin_id, part, cost in rows
    ]


def _names(used: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    ids: dict[str, set[int]] = defaultdict(set)
    for origin, origin_id in used:
        ids[origin].add(origin_id)
    return {
        (origin, pk): name
        for origin, wanted in ids.items()
        for pk, name in _ORIGINS[origin]._default_manager.filter(pk__in=wanted).values_list("pk", "name")
    }


class _ChargeSql(ReportSql):
    """The charges of a cost report, left apart by what they come from."""

    def lines(self, measure: str) -> tuple[str, Mapping[str, Any]]:
        s = Statement()
        names = self._names().lstrip(", ")
        keys = f"{names}, " if names else ""
        numbers = ", ".join(str(n + 1) for n in range(len(self.query.group_by) + 4))
        sql = f"""
WITH {self._owners(s)}{self._slots(s)},
{charged(self, s, ", u.origin, u.origin_id, u.part").strip()},
answer AS (SELECT * FROM charged JOIN owner_key USING (g) {self._join_slots("charged")})
SELECT {keys}answer.kind, origin, origin_id, part, sum({measure})
FROM answer {self._join_names()}
GROUP BY {numbers}
HAVING sum({measure}) <> 0
ORDER BY {numbers}
"""
        return sql, s.parameters
