"""Calls in day partitions, each with its own unique identities."""

from __future__ import annotations

from django.db import migrations

# Wide columns first, so that no row is padded. Days are UTC days: a partition outlives any change
# of the reporting zone. The unique index lies on each leaf, so it need not contain the time and a
# retry that re-stamps its time within the day is still recognised.
CREATE = """
CREATE TABLE call_event (
    occurred_at timestamptz NOT NULL,
    identity uuid NOT NULL,
    content_hash bigint NOT NULL,
    batch_id bigint NOT NULL,
    dimension_set_id integer NOT NULL,
    slot_id integer NOT NULL,
    customer_id integer NOT NULL,
    input integer NOT NULL,
    cache_read integer NOT NULL,
    cache_write integer NOT NULL,
    cache_write_1h integer NOT NULL,
    output integer NOT NULL,
    reasoning integer NOT NULL,
    duration_ms integer NOT NULL,
    ttft_ms integer NOT NULL,
    retrieval_tokens integer NOT NULL,
    tool_calls smallint NOT NULL,
    attempt smallint NOT NULL,
    status smallint NOT NULL,
    response_cache smallint NOT NULL,
    event_id text NOT NULL,
    task_id text,
    session_id text,
    end_user text,
    trace_id text,
    detail jsonb
) PARTITION BY RANGE (occurred_at);

CREATE TABLE call_unit (
    occurred_at timestamptz NOT NULL,
    identity uuid NOT NULL,
    batch_id bigint NOT NULL,
    meter_id smallint NOT NULL,
    quantity numeric(24,6) NOT NULL
) PARTITION BY RANGE (occurred_at);

CREATE FUNCTION ensure_call_partition(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    suffix text := to_char(day, 'YYYYMMDD');
    lower_bound timestamptz := day::timestamp AT TIME ZONE 'UTC';
    upper_bound timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('call_unit_' || suffix) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ensure_call_partition'));
    IF to_regclass('call_unit_' || suffix) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Made apart and attached: attaching takes no lock that a writer would wait for.
    EXECUTE format('CREATE TABLE %I (LIKE call_event)', 'call_event_' || suffix);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (identity)',
                   'call_event_' || suffix || '_identity', 'call_event_' || suffix);
    EXECUTE format('CREATE INDEX %I ON %I USING brin (batch_id) WITH (pages_per_range = 16, autosummarize = on)',
                   'call_event_' || suffix || '_batch', 'call_event_' || suffix);
    EXECUTE format('CREATE INDEX %I ON %I USING brin (occurred_at) WITH (pages_per_range = 32, autosummarize = on)',
                   'call_event_' || suffix || '_time', 'call_event_' || suffix);
    EXECUTE format('ALTER TABLE call_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   'call_event_' || suffix, lower_bound, upper_bound);
    EXECUTE format('CREATE TABLE %I (LIKE call_unit)', 'call_unit_' || suffix);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (identity, meter_id)',
                   'call_unit_' || suffix || '_identity', 'call_unit_' || suffix);
    EXECUTE format('ALTER TABLE call_unit ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   'call_unit_' || suffix, lower_bound, upper_bound);
    RETURN true;
END $$;
"""
DROP = """
DROP FUNCTION ensure_call_partition(date);
DROP TABLE call_unit;
DROP TABLE call_event;
"""

# Rollup rows are updated in place many times an hour: room on the page keeps those updates off the
# index (HOT).
ROLLUPS = ("usage_hour", "usage_day", "customer_day", "unit_hour", "unit_day", "duration_day", "user_day")
FILL = "".join(f"ALTER TABLE {table} SET (fillfactor = 70);\n" for table in ROLLUPS)
UNFILL = "".join(f"ALTER TABLE {table} RESET (fillfactor);\n" for table in ROLLUPS)


class Migration(migrations.Migration):
    dependencies = [("attribution", "0001_books")]

    operations = [
        migrations.RunSQL(CREATE, DROP),
        migrations.RunSQL(FILL, UNFILL),
    ]
