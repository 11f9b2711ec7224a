"""Rows like those of the rollups, taken from the single calls: for what no rollup keeps.

Only questions by customer that are finer than quantities a day need them; they reach as far back as
retention keeps single calls. Calls of batches that are not folded yet are left out, as everywhere.
"""

from __future__ import annotations

from finops.core.meters import HOT_METERS

_COLUMNS = {
    "calls": "1",
    "errors": "(e.status IN (1, 2))::int",
    "retries": "(e.attempt > 1)::int",
    "tool_calls": "e.tool_calls",
    **{meter.label: f"e.{meter.label}::bigint" for meter in HOT_METERS},
}
_NAMED = {"user_day": "end_user", "task_day": "task_id"}


def raw_usage(names: tuple[str, ...], *, start: str, end: str, local: str) -> str:
    """One row a call: its day, bucket, customer, and these columns of ``usage_hour``.

    ``start`` and ``end`` bind instants; ``local`` is a query of each bucket and its day.
    """
    listed = ", ".join(f"{_COLUMNS[name]} AS {name}" for name in names)
    return f"(SELECT {_PLACED}, {listed} {_calls(start, end, local)})"


def raw_units(*, start: str, end: str, local: str) -> str:
    """One row for each rare quantity of a call."""
    units = "JOIN call_unit unit ON unit.identity = e.identity AND unit.occurred_at = e.occurred_at"
    calls = _calls(start, end, local, join=units)
    bounds = f"unit.occurred_at >= {start} AND unit.occurred_at < {end}"
    return f"(SELECT {_PLACED}, unit.meter_id, unit.quantity {calls} AND {bounds})"


def raw_named(table: str, *, start: str, end: str, local: str) -> str:
    """One row a call that names an end user (as in ``user_day``) or a task (as in ``task_day``)."""
    name = f"e.{_NAMED[table]}"
    calls = _calls(start, end, local)
    return f"(SELECT {_PLACED}, ARRAY[hashtextextended({name}, 0)] AS keys {calls} AND {name} IS NOT NULL)"


def raw_durations(*, start: str, end: str, local: str) -> str:
    """One row a call whose duration is known, with its step of the histogram."""
    step = "floor(16 * ln(e.duration_ms + 1.0::float8) / ln(2.0::float8) + 1e-9)::smallint AS step"
    return f"(SELECT {_PLACED}, {step}, 1 AS calls {_calls(start, end, local)} AND e.duration_ms >= 0)"


_PLACED = "local.day, local.bucket, e.dimension_set_id, e.slot_id, e.customer_id, e.customer_id AS c"


def _calls(start: str, end: str, local: str, *, join: str = "") -> str:
    return f"""
        FROM call_event e JOIN ({local}) local
          ON local.bucket = date_bin(local.width, e.occurred_at, '2000-01-01 00:00+00') {join}
        WHERE e.occurred_at >= {start} AND e.occurred_at < {end}
          AND e.batch_id NOT IN (SELECT id FROM ingest_batch WHERE folded_at IS NULL)"""
