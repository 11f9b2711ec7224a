"""The statement that adds calls to the rollups: one pass over the calls, all tables at once."""

from __future__ import annotations

from finops.core.meters import HOT_METERS

HOT = tuple(meter.label for meter in HOT_METERS)
SUMS = ("calls", "errors", "retries", "tool_calls", *HOT)

# Which calls: those of whole batches, or those of one reporting day that are in the books already.
OF_BATCHES = "occurred_at >= %(first)s AND occurred_at <= %(last)s AND batch_id = ANY(%(batches)s)"
OF_DAY = """occurred_at >= %(first)s AND occurred_at < %(last)s
    AND batch_id NOT IN (SELECT id FROM ingest_batch WHERE folded_at IS NULL)"""

_SUMMED = f"""count(*) AS calls,
           count(*) FILTER (WHERE status IN (1, 2)) AS errors,
           count(*) FILTER (WHERE attempt > 1) AS retries,
           sum(tool_calls) AS tool_calls,
           {", ".join(f"sum({name}::bigint) AS {name}" for name in HOT)}"""
_RESUMMED = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
_LISTED = ", ".join(SUMS)


def _upsert(table: str, keys: str, sums: tuple[str, ...], select: str) -> str:
    """Add rows to a rollup, in the order of its key."""
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
    return f"""
    INSERT INTO {table} ({keys}, {", ".join(sums)})
    {select}
    ORDER BY {keys}
    ON CONFLICT ({keys}) DO UPDATE SET {added}"""


def statement(calls: str) -> str:
    """The whole fold; ``calls`` is OF_BATCHES or OF_DAY. Returns one row: the number of calls added.

    Days are taken from buckets wherever calls are already summed by them. A histogram step is nudged
    by a billionth so that an exact power of two is not rounded into the step below.
    """
    writes = {
        "usage_hour": _upsert(
            "usage_hour",
            "bucket, dimension_set_id, slot_id",
            SUMS,
            f"SELECT bucket, dimension_set_id, slot_id, {_LISTED} FROM hourly",
        ),
        "usage_day": _upsert(
            "usage_day",
            "day, dimension_set_id, slot_id",
            SUMS,
            f"SELECT day, dimension_set_id, slot_id, {_RESUMMED} FROM hourly JOIN local USING (bucket)"
            " GROUP BY day, dimension_set_id, slot_id",
        ),
        "customer_day": _upsert(
            "customer_day",
            "day, customer_id, dimension_set_id, slot_id",
            SUMS,
            f"SELECT day, customer_id, dimension_set_id, slot_id, {_SUMMED}"
            " FROM new JOIN local USING (bucket) WHERE customer_id <> 0"
            " GROUP BY day, customer_id, dimension_set_id, slot_id",
        ),
        "duration_day": _upsert(
            "duration_day",
            "day, dimension_set_id, slot_id, step",
            ("calls",),
            "SELECT day, dimension_set_id, slot_id, step, calls FROM timed",
        ),
        "duration_owner_day": _upsert(
            "duration_owner_day",
            "day, dimension_set_id, step",
            ("calls",),
            "SELECT day, owner_set.stand_in AS dimension_set_id, step, sum(calls) AS calls"
            " FROM timed JOIN owner_set USING (dimension_set_id) GROUP BY day, owner_set.stand_in, step",
        ),
        "user_day": _keyed("user_day", "user_key", "end_user"),
        "task_day": _keyed("task_day", "task_key", "task_id"),
        "unit_hour": _upsert(
            "unit_hour",
            "bucket, dimension_set_id, slot_id, meter_id",
            ("quantity",),
            "SELECT bucket, dimension_set_id, slot_id, meter_id, sum(quantity) AS quantity FROM new_unit"
            " GROUP BY bucket, dimension_set_id, slot_id, meter_id",
        ),
        "unit_day": _upsert(
            "unit_day",
            "day, dimension_set_id, slot_id, meter_id",
            ("quantity",),
            "SELECT day, dimension_set_id, slot_id, meter_id, sum(quantity) AS quantity"
            " FROM new_unit JOIN local USING (bucket) GROUP BY day, dimension_set_id, slot_id, meter_id",
        ),
        "customer_unit_day": _upsert(
            "customer_unit_day",
            "day, customer_id, dimension_set_id, slot_id, meter_id",
            ("quantity",),
            "SELECT day, customer_id, dimension_set_id, slot_id, meter_id, sum(quantity) AS quantity"
            " FROM new_unit JOIN local USING (bucket) WHERE customer_id <> 0"
            " GROUP BY day, customer_id, dimension_set_id, slot_id, meter_id",
        ),
    }
    written = ",".join(f"\nto_{table} AS ({sql})" for table, sql in writes.items())
    return f"""
WITH new AS MATERIALIZED (
    SELECT date_bin(%(width)s::interval, occurred_at, '2000-01-01 00:00+00') AS bucket,
           occurred_at, identity, dimension_set_id, slot_id, customer_id, status, attempt, tool_calls,
           {", ".join(HOT)}, duration_ms, end_user, task_id
    FROM call_event
    WHERE {calls}
),
hourly AS MATERIALIZED (
    SELECT bucket, dimension_set_id, slot_id, {_SUMMED}
    FROM new
    GROUP BY bucket, dimension_set_id, slot_id
),
local AS MATERIALIZED (
    SELECT DISTINCT bucket, (bucket AT TIME ZONE %(zone)s)::date AS day FROM hourly
),
timed AS MATERIALIZED (
    SELECT day, dimension_set_id, slot_id,
           floor(16 * ln(duration_ms + 1.0::float8) / ln(2.0::float8) + 1e-9)::smallint AS step,
           count(*) AS calls
    FROM new JOIN local USING (bucket)
    WHERE duration_ms >= 0
    GROUP BY day, dimension_set_id, slot_id, step
),
owner_set AS MATERIALIZED (
    SELECT ds.id AS dimension_set_id,
           (SELECT min(alike.id) FROM dimension_set alike
            WHERE alike.team = ds.team AND alike.feature = ds.feature AND alike.tier = ds.tier
              AND alike.key_team = ds.key_team) AS stand_in
    FROM dimension_set ds
    WHERE ds.id IN (SELECT dimension_set_id FROM hourly)
),
new_unit AS MATERIALIZED (
    SELECT new.bucket, new.dimension_set_id, new.slot_id, new.customer_id, unit.meter_id, unit.quantity
    FROM (SELECT occurred_at, identity, meter_id, quantity FROM call_unit WHERE {calls}) unit
    JOIN new USING (identity, occurred_at)
),{written}
SELECT coalesce(sum(calls), 0) FROM hourly"""


def _keyed(table: str, key: str, name: str) -> str:
    """Different ones of a day, by a 64-bit hash of their names."""
    return _upsert(
        table,
        f"day, dimension_set_id, slot_id, {key}",
        ("calls",),
        f"SELECT day, dimension_set_id, slot_id, hashtextextended({name}, 0) AS {key}, count(*) AS calls"
        f" FROM new JOIN local USING (bucket) WHERE {name} IS NOT NULL"
        f" GROUP BY day, dimension_set_id, slot_id, {key}",
    )


DAY_TABLES = (
    "usage_day",
    "customer_day",
    "duration_day",
    "duration_owner_day",
    "user_day",
    "task_day",
    "unit_day",
    "customer_unit_day",
)
HOUR_TABLES = ("usage_hour", "unit_hour")
