"""Two first writers of a day: the second sees the partition that it waited for.

``to_regclass`` answers from the catalogue cache, and waiting for an advisory lock does not refresh that.
A query reads the catalogue itself.
"""

from django.db import migrations

_FUNCTION = """
CREATE OR REPLACE FUNCTION ensure_call_partition(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    suffix text := to_char(day, 'YYYYMMDD');
    lower_bound timestamptz := day::timestamp AT TIME ZONE 'UTC';
    upper_bound timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('call_unit_' || suffix) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ensure_call_partition'));
    IF {is_made} THEN
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
_CACHED = "to_regclass('call_unit_' || suffix) IS NOT NULL"
_READ = """EXISTS (
        SELECT FROM pg_class WHERE relname = 'call_unit_' || suffix
           AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'call_unit'::regclass))"""


class Migration(migrations.Migration):
    dependencies = [("attribution", "0016_report_periods")]

    operations = [
        migrations.RunSQL(
            _FUNCTION.replace("{is_made}", _READ), _FUNCTION.replace("{is_made}", _CACHED)
        )
    ]
