"""The costs: any question to the books, answered so that every total is the sum of its parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from attribution.cost_query import (
    CHARGED,
    COSTS,
    COUNTS,
    DEFAULT_MEASURES,
    DIMENSIONS,
    DISTINCT,
    DOLLARS,
    MEASURES,
    PERCENTILES,
    TOKENS,
    CostQuery,
    Filter,
    Granularity,
)
from attribution.partitions import raw_days
from attribution.report_sql import CostSql
from attribution.tag_names import never_declared
from finops.core.errors import FieldProblem, InvalidInput
from finops.core.meters import Meter
from pricing.fx import rates
from pricing.models import UnitMeter

__all__ = [
    "DEFAULT_MEASURES",
    "DIMENSIONS",
    "MEASURES",
    "Bucket",
    "CostQuery",
    "CostReport",
    "Coverage",
    "Filter",
    "Granularity",
    "Group",
    "Key",
    "Measures",
    "costs",
    "watermark",
]

# A group's name: one value a dimension of ``group_by``, None where a call has none (unattributed).
Key = tuple[str | None, ...]
# What was measured: Decimal for amounts (None: nothing of it is priced), int for counts and tokens,
# float for percentiles in milliseconds (None: no duration known).
Measures = Mapping[str, Decimal | int | float | None]


@dataclass(frozen=True, slots=True)
class Bucket:
    """One day or month (its first day), or hour (its first instant, UTC); None: the whole period."""

    start: date | datetime | None
    measures: Measures


@dataclass(frozen=True, slots=True)
class Group:
    """One group: its buckets in order of time, only those with calls or charges, and its own total.

    Totals of percentiles and of different users are taken over the whole period, not added up.
    """

    key: Key
    buckets: tuple[Bucket, ...]
    total: Measures


@dataclass(frozen=True, slots=True)
class Watermark:
    """How complete the books are: everything received before ``complete_to`` is in them."""

    complete_to: datetime
    pending_calls: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the figures leave out, and what is nobody's: visible, never dropped."""

    calls: int
    unpriced_calls: int
    # Quantities without a unit price, by the meter's public name.
    unpriced_quantities: Mapping[str, Decimal]
    unattributed_calls: int
    # Effective cost, charges that are nobody's included; None: nothing of it is priced.
    unattributed_cost: Decimal | None
    watermark: Watermark


@dataclass(frozen=True, slots=True)
class CostReport:
    """The answer. ``groups`` are sorted by the first measure, largest first; ``buckets`` are over all.

    ``kinds`` is what the total is made of, if the question asks: list, contracted, effective and billed
    cost of each kind of charge, in dollars.
    """

    query: CostQuery
    groups: tuple[Group, ...]
    buckets: tuple[Bucket, ...]
    total: Measures
    coverage: Coverage
    kinds: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)


@dataclass(slots=True)
class _Sheet:
    """Rows of the statements as they come in, by level, group and bucket."""

    groups: dict[Key, dict[date | datetime | None, dict[str, Any]]] = field(default_factory=dict)
    group_totals: dict[Key, dict[str, Any]] = field(default_factory=dict)
    buckets: dict[date | datetime | None, dict[str, Any]] = field(default_factory=dict)
    total: dict[str, Any] = field(default_factory=dict)

    def row(self, level: int, key: Key, bucket: date | datetime | None) -> dict[str, Any]:
        """Where the measures of one row of an answer go."""
        match level:
            case 0:
                return self.groups.setdefault(key, {}).setdefault(bucket, {})
            case 1:
                return self.group_totals.setdefault(key, {})
            case 2:
                return self.buckets.setdefault(bucket, {})
            case _:
                return self.total


def costs(query: CostQuery, *, zone: ZoneInfo | None = None) -> CostReport:
    """Answer the question. One statement for costs, counts and tokens, one for each other kind asked.

    Amounts are exact. ``zone`` is the reporting zone the books were opened with (None: the setting). Raises
    InvalidInput for what single calls would have to tell that retention has taken, for the tag of a
    key that was never an allocation key, and for a currency without a rate of a month with costs.
    """
    zone = zone or settings.REPORTING_TIME_ZONE
    _refuse_never_declared(query)
    if query.needs_calls:
        _refuse_if_dropped(query, zone)
    sql = CostSql(query, zone, _rates(query, zone))
    sheet = _Sheet()
    with transaction.atomic():
        _prefer_hash_joins()
        _read(*sql.usage(), query=query, sheet=sheet)
        for measure in DISTINCT:
            if measure in query.measures:
                _read(*sql.distinct(measure), query=query, sheet=sheet)
        if any(measure in PERCENTILES for measure in query.measures):
            _read(*sql.percentiles(), query=query, sheet=sheet)
    return _report(query, sheet)


def watermark() -> Watermark:
    """What the books are complete to, and how many acknowledged calls they do not show yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(min(received_at), now()), coalesce(sum(accepted), 0)"
            " FROM ingest_batch WHERE folded_at IS NULL"
        )
        complete_to, pending = cursor.fetchone()
    return Watermark(complete_to, int(pending))


def _rates(query: CostQuery, zone: ZoneInfo) -> Mapping[date, Decimal] | None:
    """The booked rate of each month; None where nothing is to be converted. Raises InvalidInput."""
    if query.currency == DOLLARS:
        return None
    months = list(query.period.months())
    booked = rates(query.currency, months, query.as_of)
    if len(booked) < len(months):
        by_month = replace(
            query, currency=DOLLARS, granularity=Granularity.MONTH, group_by=(), measures=tuple(COSTS)
        )
        costly = [b.start for b in costs(by_month, zone=zone).buckets if any(b.measures.values())]
        if missing := [f"{month:%Y-%m}" for month in costly if month not in booked]:
            message = f"No rate of exchange of {query.currency} is booked for {', '.join(missing)}."
            raise InvalidInput.field("currency", "no_rate", message)
    return booked


def _refuse_never_declared(query: CostQuery) -> None:
    problems = [
        FieldProblem(parameter, "unknown", f'The key of "{name}" was never declared as an allocation key.')
        for parameter, names in (("group_by", query.group_by), ("filter", query.filters))
        for name in never_declared(names)
    ]
    if problems:
        raise InvalidInput("; ".join(problem.message for problem in problems), problems)


def _refuse_if_dropped(query: CostQuery, zone: ZoneInfo) -> None:
    """Single calls must reach back to the period's first usage. Raises InvalidInput."""
    start, end = query.period.instants(zone)
    kept = raw_days()
    kept_since = datetime.combine(kept[0], time(), UTC) if kept else end
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM usage_hour WHERE bucket >= %s AND bucket < %s)",
            [start, min(end, kept_since)],
        )
        is_dropped = cursor.fetchone()[0]
    if is_dropped:
        since = f"since {kept[0]}" if kept else "no longer"
        raise InvalidInput.field(
            "from", "not_kept", f"By customer this is read from single calls, which are kept {since}."
        )


def _prefer_hash_joins() -> None:
    """The planner cannot know how many sets the owners hold, guesses few, and would look each of them
    up in the rollup's index by itself: two to four times slower than reading the days asked for once.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")


def _read(sql: str, parameters: Mapping[str, Any], *, query: CostQuery, sheet: _Sheet) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        names = [column.name for column in cursor.description or ()]
        first = 2 + len(query.group_by)
        for level, bucket, *rest in cursor.fetchall():
            row = sheet.row(level, tuple(rest[: first - 2]), bucket)
            row.update(zip(names[first:], rest[first - 2 :], strict=True))


def _report(query: CostQuery, sheet: _Sheet) -> CostReport:
    buckets = tuple(_bucket(query, start, row) for start, row in sorted(sheet.buckets.items(), key=_first))
    total = _measures(query, sheet.total)
    if query.group_by:
        groups = [_group(query, key, sheet) for key in sheet.group_totals]
    elif sheet.total.get("all_calls") or sheet.total.get("charges"):
        groups = [Group((), buckets or (Bucket(None, total),), total)]
    else:
        groups = []
    groups.sort(key=lambda group: _dearest_first(query, group))
    return CostReport(query, tuple(groups), buckets, total, _coverage(sheet.total), _kinds(sheet.total))


def _group(query: CostQuery, key: Key, sheet: _Sheet) -> Group:
    total = _measures(query, sheet.group_totals[key])
    rows = sorted(sheet.groups.get(key, {}).items(), key=_first)
    buckets = tuple(_bucket(query, start, row) for start, row in rows)
    return Group(key, buckets or (Bucket(None, total),), total)


def _first(item: tuple[Any, object]) -> Any:
    # Any: all dates or all datetimes, which a type cannot say.
    return item[0]


def _dearest_first(query: CostQuery, group: Group) -> tuple[Any, ...]:
    value = group.total[query.measures[0]]
    return (value is None, -(value or 0), tuple((name is None, name or "") for name in group.key))


def _bucket(query: CostQuery, start: date | datetime | None, row: Mapping[str, Any]) -> Bucket:
    return Bucket(start, _measures(query, row))


def _measures(query: CostQuery, row: Mapping[str, Any]) -> Measures:
    return {name: _value(name, row) for name in query.measures}


def _value(name: str, row: Mapping[str, Any]) -> Decimal | int | float | None:
    value = row.get(name)
    if name in PERCENTILES:
        return None if value is None else round(float(value), 1)
    if name in COSTS:
        # No calls cost nothing; calls without a price, and without a charge, cost we do not know what.
        return Decimal(0) if value is None and not row.get("all_calls") else value
    assert name in COUNTS or name in TOKENS or name in DISTINCT
    return int(value or 0)


def _coverage(total: Mapping[str, Any]) -> Coverage:
    unattributed, cost = int(total.get("unattributed_calls") or 0), total.get("unattributed_cost")
    quantities: dict[str, str] = json.loads(total.get("unpriced_quantities") or "{}")
    labels = meter_labels()
    return Coverage(
        calls=int(total.get("all_calls") or 0),
        unpriced_calls=int(total.get("unpriced_calls") or 0),
        unpriced_quantities={labels[int(meter)]: Decimal(text) for meter, text in quantities.items()},
        unattributed_calls=unattributed,
        unattributed_cost=Decimal(0) if cost is None and not unattributed else cost,
        watermark=watermark(),
    )


def _kinds(total: Mapping[str, Any]) -> dict[str, dict[str, Decimal]]:
    told: dict[str, list[str | None]] = json.loads(total.get("by_kind") or "{}")
    return {
        kind: {name: Decimal(text or 0) for name, text in zip(CHARGED, amounts, strict=True)}
        for kind, amounts in told.items()
    }


def meter_labels() -> dict[int, str]:
    """The public name of every meter, token meters and per-call units alike."""
    return {meter.value: meter.label for meter in Meter} | dict(UnitMeter.objects.values_list("id", "name"))
