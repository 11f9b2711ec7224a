"""Single calls: which they are, what each cost, whose it is and why."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from attribution.call_costs import CallCost, costs_of
from attribution.cost_query import DIMENSIONS, Filter, dimension_of, known_dimension
from attribution.ingest.identity import identity_of
from attribution.ingest.usage import UNTOLD
from attribution.models.events import NOT_GIVEN, CallStatus, ResponseCache
from attribution.report_parts import Statement, condition, known, model_tiers
from attribution.tag_names import never_declared
from finops.core.errors import FieldProblem, InvalidInput
from finops.core.periods import Period

MOST_AT_ONCE = 500
_FIRST_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuery:
    """Which calls to list, newest first.

    ``filters`` are by the dimensions of reports; the rest are exact. ``after`` is the ``next`` of the
    page before. Raises InvalidInput when a name is unknown.
    """

    period: Period
    filters: Mapping[str, Filter] = field(default_factory=dict)
    event_id: str | None = None
    task_id: str | None = None
    session_id: str | None = None
    end_user: str | None = None
    trace_id: str | None = None
    statuses: frozenset[CallStatus] = frozenset()
    unpriced_only: bool = False
    after: str | None = None
    limit: int = 50
    as_of: datetime | None = None
    visible_teams: frozenset[str] | None = None

    def __post_init__(self) -> None:
        problems = [
            FieldProblem("filter", "unknown", f'There is no dimension "{name}" to filter by.')
            for name in self.filters
            if dimension_of(name) is None
        ]
        if not 1 <= self.limit <= MOST_AT_ONCE:
            problems.append(FieldProblem("limit", "out_of_range", f"Ask for 1 to {MOST_AT_ONCE} calls."))
        if problems:
            raise InvalidInput("; ".join(problem.message for problem in problems), problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as it arrived, with what it cost and whose it is, at today's knowledge or as asked."""

    identity: UUID
    occurred_at: datetime
    source: str
    event_id: str
    # Every dimension of reports but the charge kind; None: not given, or nobody's.
    names: Mapping[str, str | None]
    rule: str
    status: CallStatus
    response_cache: ResponseCache
    attempt: int
    tool_calls: int
    duration_ms: int | None
    ttft_ms: int | None
    retrieval_tokens: int | None
    task_id: str | None
    session_id: str | None
    end_user: str | None
    trace_id: str | None
    detail: Mapping[str, Any]  # Any: JSON
    allocated_tags: Mapping[str, str]  # by key, as it is counted: aliases read, and "(other)" beyond the cap
    received_at: datetime | None
    attribution_id: int
    slot_id: int
    cost: CallCost


@dataclass(frozen=True, slots=True)
class CallPage:
    """Some calls, and where the next page starts (None: that was all)."""

    calls: tuple[Call, ...]
    next: str | None


NAMES = tuple(name for name in DIMENSIONS if name != "charge_kind")


def calls(query: CallQuery, *, zone: ZoneInfo | None = None) -> CallPage:
    """One page. Looks back through the period in widening windows, so that recent pages are quick.

    Raises InvalidInput for the tag of a key that was never an allocation key.
    """
    zone = zone or settings.REPORTING_TIME_ZONE
    if unknown := never_declared(query.filters):
        message = f'The key of "{unknown[0]}" was never declared as an allocation key.'
        raise InvalidInput.field("filter", "unknown", message)
    rows: list[dict[str, Any]] = []
    for start, end in _windows(query, zone):
        rows += _select(query, start, end, zone, limit=query.limit + 1 - len(rows))
        if len(rows) > query.limit:
            break
    page, more = rows[: query.limit], len(rows) > query.limit
    costs = costs_of([_locate(row) for row in page], query)
    found = tuple(_call(row, costs[row["identity"]]) for row in page)
    return CallPage(found, _cursor(found[-1]) if more else None)


def find(
    source: str,
    event_id: str,
    *,
    visible_teams: frozenset[str] | None = None,
    as_of: datetime | None = None,
    zone: ZoneInfo | None = None,
) -> Call | None:
    """The call of that identity, wherever in time it is; None when there is none to be seen."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT occurred_at FROM call_event WHERE identity = %s", [identity_of(source, event_id)]
        )
        instants = [instant for (instant,) in cursor.fetchall()]
    zone = zone or settings.REPORTING_TIME_ZONE
    for instant in sorted(instants):
        query = CallQuery(
            period=_day_of(instant, zone),
            filters={"source": Filter((source,))},
            event_id=event_id,
            as_of=as_of,
            visible_teams=visible_teams,
        )
        if found := calls(query, zone=zone).calls:
            return found[0]
    return None


def _day_of(instant: datetime, zone: ZoneInfo) -> Period:
    day = instant.astimezone(zone).date()
    return Period(day, day + timedelta(days=1))


def _windows(query: CallQuery, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Half-open spans from the end of the question back to its start, each wider than the last."""
    first, end = query.period.instants(zone)
    if query.after is not None:
        end = min(end, _parse_cursor(query.after)[0] + timedelta(microseconds=1))
    end = min(end, datetime.now(UTC) + timedelta(days=1))
    width = _FIRST_WINDOW
    while end > first:
        start = max(first, end - width)
        yield start, end
        end, width = start, width * 4


def _select(
    query: CallQuery, start: datetime, end: datetime, zone: ZoneInfo, *, limit: int
) -> list[dict[str, Any]]:
    # Any: rows by column name.
    s = Statement()
    where = [
        f"e.occurred_at >= {s.bind(start)}",
        f"e.occurred_at < {s.bind(end)}",
        *_conditions(query, s),
    ]
    day = f"(e.occurred_at AT TIME ZONE {s.bind(zone.key)})::date"
    tiers = f"WITH tiers AS MATERIALIZED ({model_tiers(known('r', query, s))})"
    names = ", ".join(f"{DIMENSIONS[name].sql} AS d_{name}" for name in NAMES)
    sql = f"""
{tiers}
SELECT e.*, {names}, ds.tags AS allocated_tags, a.rule, a.id AS attribution_id, batch.received_at
FROM call_event e
JOIN attribution a
  ON a.dimension_set_id = e.dimension_set_id AND {known("a", query, s)}
 AND (a.valid_from IS NULL OR a.valid_from <= {day}) AND (a.valid_to IS NULL OR a.valid_to > {day})
JOIN dimension_set ds ON ds.id = e.dimension_set_id
JOIN price_slot s ON s.id = e.slot_id
JOIN tiers ON tiers.id = s.id
LEFT JOIN customer ON customer.id = e.customer_id
LEFT JOIN ingest_batch batch ON batch.id = e.batch_id
WHERE {" AND ".join(where)}
ORDER BY e.occurred_at DESC, e.identity DESC
LIMIT {s.bind(limit)}
"""
    with connection.cursor() as cursor:
        cursor.execute(sql, s.parameters)
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _conditions(query: CallQuery, s: Statement) -> Iterator[str]:
    for name, wanted in query.filters.items():
        yield condition(known_dimension(name).sql, wanted, s)
    for column in ("task_id", "session_id", "end_user", "trace_id"):
        value = getattr(query, column)
        if value is not None:
            yield f"e.{column} = {s.bind(value)}"
    if query.event_id is not None:
        yield f"e.identity = ANY({s.bind(_identities(query))}::uuid[])"
    if query.statuses:
        yield f"e.status = ANY({s.bind([int(status) for status in query.statuses])}::int[])"
    if query.unpriced_only:
        rate = known("r", query, s)
        untold = (
            "SELECT FROM call_unit u JOIN unit_meter m ON m.id = u.meter_id"
            f" WHERE u.identity = e.identity AND u.occurred_at = e.occurred_at AND m.name = {s.bind(UNTOLD)}"
        )
        yield (
            f"(NOT EXISTS (SELECT FROM slot_rate r WHERE r.slot_id = e.slot_id AND {rate})"
            f" OR EXISTS ({untold}))"
        )
    if query.visible_teams is not None:
        yield f"a.team = ANY({s.bind(sorted(query.visible_teams))}::text[])"
    if query.after is not None:
        instant, identity = _parse_cursor(query.after)
        yield f"(e.occurred_at, e.identity) < ({s.bind(instant)}, {s.bind(identity)}::uuid)"


def _identities(query: CallQuery) -> list[UUID]:
    """An id alone may be of any source: there are few, and each identity has an index."""
    assert query.event_id is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT source FROM dimension_set")
        return [identity_of(source, query.event_id) for (source,) in cursor.fetchall()]


def _locate(row: Mapping[str, Any]) -> tuple[UUID, datetime, int, Mapping[str, Any]]:
    return row["identity"], row["occurred_at"], row["slot_id"], row


def _call(row: Mapping[str, Any], cost: CallCost) -> Call:
    return Call(
        identity=row["identity"],
        occurred_at=row["occurred_at"],
        source=row["d_source"] or "",
        event_id=row["event_id"],
        names={name: row[f"d_{name}"] for name in NAMES},
        rule=row["rule"],
        status=CallStatus(row["status"]),
        response_cache=ResponseCache(row["response_cache"]),
        attempt=row["attempt"],
        tool_calls=row["tool_calls"],
        duration_ms=_given(row["duration_ms"]),
        ttft_ms=_given(row["ttft_ms"]),
        retrieval_tokens=_given(row["retrieval_tokens"]),
        task_id=row["task_id"],
        session_id=row["session_id"],
        end_user=row["end_user"],
        trace_id=row["trace_id"],
        detail=json.loads(row["detail"] or "{}"),
        allocated_tags=json.loads(row["allocated_tags"]),
        received_at=row["received_at"],
        attribution_id=row["attribution_id"],
        slot_id=row["slot_id"],
        cost=cost,
    )


def _given(value: int) -> int | None:
    return None if value == NOT_GIVEN else value


def _cursor(call: Call) -> str:
    text = f"{call.occurred_at.astimezone(UTC).isoformat()} {call.identity.hex}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        instant, _, identity = text.partition(" ")
        return datetime.fromisoformat(instant), UUID(identity)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput.field(
            "cursor", "invalid", "This is not a cursor that a page of calls gave."
        ) from error
