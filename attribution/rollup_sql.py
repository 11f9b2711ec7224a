"""The statement that adds calls to the rollups: one pass over the calls, all tables at once."""

from __future__ import annotations

import re

from finops.core.meters import HOT_METERS

HOT = tuple(meter.label for meter in HOT_METERS)
SUMS = ("calls", "errors", "retries", "tool_calls", *HOT)

# Which calls: those of whole batches, or those of one reporting day that are in the books already.
# The block index is asked for the range of batches, once; asked for each batch it would be read each time.
OF_BATCHES = """occurred_at >= %(first)s AND occurred_at <= %(last)s
    AND batch_id >= %(lowest)s AND batch_id <= %(highest)s AND batch_id + 0 = ANY(%(batches)s)"""


def of_batches(alias: str) -> str:
    """OF_BATCHES, where several tables have such columns."""
    return re.sub(r"\b(occurred_at|batch_id)\b", rf"{alias}.\1", OF_BATCHES)


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
    by a billionth so that an exact power of two is not rounded into the step below. Few calls have
    units: these are looked up call by call, for a day's units can be many more than the fold's calls.
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
            f"SELECT day, dimension_set_id, slot_id, {_RESUMMED} FROM hourly JOIN calendar USING (bucket)"
            " GROUP BY day, dimension_set_id, slot_id",
        ),
        "customer_day": _upsert(
            "customer_day",
            "day, customer_id, dimension_set_id, slot_id",
            SUMS,
            f"SELECT day, customer_id, dimension_set_id, slot_id, {_LISTED} FROM served",
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
            "SELECT day, dimension_set_id, step, calls FROM owned",
        ),
        "duration_owner_span": _upsert(
            "duration_owner_span", "first_day, end_day, dimension_set_id, step", ("calls",), by_span("owned")
        ),
        "user_day": _segments("user_day", "user_key"),
        "task_day": _segments("task_day", "task_key"),
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
            " FROM new_unit GROUP BY day, dimension_set_id, slot_id, meter_id",
        ),
        "customer_unit_day": _upsert(
            "customer_unit_day",
            "day, customer_id, dimension_set_id, slot_id, meter_id",
            ("quantity",),
            "SELECT day, customer_id, dimension_set_id, slot_id, meter_id, sum(quantity) AS quantity"
            " FROM new_unit WHERE customer_id <> 0"
            " GROUP BY day, customer_id, dimension_set_id, slot_id, meter_id",
        ),
        # What is charged beside usage has to follow.
        "charge_due": "INSERT INTO charge_due (day)"
        " SELECT DISTINCT day FROM hourly JOIN calendar USING (bucket)",
    }
    written = ",".join(f"\nto_{table} AS ({sql})" for table, sql in writes.items())
    return f"""
WITH calendar AS MATERIALIZED (
    SELECT bucket, (bucket AT TIME ZONE %(zone)s)::date AS day
    FROM generate_series({_bucket("%(first)s::timestamptz")}, %(last)s, %(width)s::interval) bucket
),
new AS MATERIALIZED (
    SELECT bucket, day, occurred_at, identity, dimension_set_id, slot_id, customer_id, status, attempt,
           tool_calls, {", ".join(HOT)}, duration_ms,
           hashtextextended(end_user, 0) AS user_key, hashtextextended(task_id, 0) AS task_key
    FROM call_event JOIN calendar ON bucket = {_bucket("occurred_at")}
    WHERE {calls}
),
hourly AS MATERIALIZED (
    SELECT bucket, dimension_set_id, slot_id, {_SUMMED}
    FROM new
    GROUP BY bucket, dimension_set_id, slot_id
),
served AS MATERIALIZED (
    SELECT day, customer_id, dimension_set_id, slot_id, {_SUMMED}
    FROM new
    WHERE customer_id <> 0
    GROUP BY day, customer_id, dimension_set_id, slot_id
),
timed AS MATERIALIZED (
    SELECT day, dimension_set_id, slot_id,
           floor(16 * ln(duration_ms + 1.0::float8) / ln(2.0::float8) + 1e-9)::smallint AS step,
           count(*) AS calls
    FROM new
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
owned AS MATERIALIZED (
    SELECT day, stand_in AS dimension_set_id, step, sum(calls) AS calls
    FROM timed JOIN owner_set USING (dimension_set_id)
    GROUP BY day, stand_in, step
),
new_unit AS MATERIALIZED (
    SELECT new.bucket, new.day, new.dimension_set_id, new.slot_id, new.customer_id,
           unit.meter_id, unit.quantity
    FROM new,
         LATERAL (SELECT meter_id, quantity FROM call_unit
                  WHERE identity = new.identity AND occurred_at = new.occurred_at AND {calls}
                  ORDER BY meter_id OFFSET 0) unit
    WHERE EXISTS (SELECT FROM call_unit
                  WHERE occurred_at >= date_trunc('day', %(first)s::timestamptz, 'UTC')
                    AND occurred_at < date_trunc('day', %(last)s::timestamptz, 'UTC') + interval '1 day')
),{written}
SELECT coalesce(sum(calls), 0) FROM hourly"""


def by_span(durations: str) -> str:
    """Rows of the histogram by owner and day, added up by the spans that their days lie in."""
    return f"""
    SELECT first_day, end_day, dimension_set_id, step, sum(calls) AS calls
    FROM {durations}
    JOIN (
        SELECT day, first_day, end_day
        FROM (SELECT DISTINCT day FROM {durations}) known,
             LATERAL (SELECT date_trunc('month', day::timestamp)::date AS first) month,
             LATERAL (SELECT month.first + (day - month.first) / 7 * 7 AS first) seventh,
             LATERAL (VALUES (month.first, (month.first + interval '1 month')::date),
                             (seventh.first, seventh.first + 7)) span (first_day, end_day)
        WHERE day - month.first < 28 OR span.first_day = month.first
    ) span USING (day)
    GROUP BY first_day, end_day, dimension_set_id, step"""


# Spans are longer than a day: what leaves with one is taken out of them.
WITHOUT_DAY = """
UPDATE duration_owner_span kept SET calls = kept.calls - leaving.calls
FROM duration_owner_day leaving
WHERE leaving.day = %(day)s AND kept.first_day <= %(day)s AND kept.end_day > %(day)s
  AND kept.dimension_set_id = leaving.dimension_set_id AND kept.step = leaving.step"""


def _bucket(instant: str) -> str:
    return f"date_bin(%(width)s::interval, {instant}, '2000-01-01 00:00+00')"


def _segments(table: str, key: str) -> str:
    """The different ones of these calls, a row a group: never an update, and no index entry for each."""
    return f"""
    INSERT INTO {table} (day, dimension_set_id, slot_id, calls, keys)
    SELECT day, dimension_set_id, slot_id, calls, (SELECT array_agg(DISTINCT key) FROM unnest(named) key)
    FROM (
        SELECT day, dimension_set_id, slot_id, count(*) AS calls, array_agg({key}) AS named
        FROM new WHERE {key} IS NOT NULL
        GROUP BY day, dimension_set_id, slot_id
    ) together"""


def compaction(table: str) -> str:
    """Merge the segments of each group that has more than ``most`` of them, on days from ``first`` on.

    Beside folds and other merges, a segment is merged by the one statement that deletes it; whoever
    deletes segments for good must keep merges out meanwhile.
    """
    return f"""
WITH crowded AS (
    SELECT day, dimension_set_id, slot_id FROM {table} WHERE day >= %(first)s
    GROUP BY day, dimension_set_id, slot_id HAVING count(*) > %(most)s
),
merged AS (
    DELETE FROM {table} USING crowded
    WHERE {table}.day = crowded.day AND {table}.dimension_set_id = crowded.dimension_set_id
      AND {table}.slot_id = crowded.slot_id
    RETURNING {table}.*
)
INSERT INTO {table} (day, dimension_set_id, slot_id, calls, keys)
SELECT day, dimension_set_id, slot_id, max(together), array_agg(DISTINCT key)
FROM (SELECT *, sum(calls) OVER (PARTITION BY day, dimension_set_id, slot_id) AS together FROM merged) part,
     unnest(part.keys) key
GROUP BY day, dimension_set_id, slot_id"""


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
SEGMENT_TABLES = ("user_day", "task_day")
