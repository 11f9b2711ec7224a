"""The books as questions: usage at its prices, and the charges beside it."""

from __future__ import annotations

from importlib import import_module

from django.db import migrations

# One view by day, one by bucket. A row of usage is one meter's quantity; it is NULL-priced while its meter
# has no price. A charge has no meter and no quantity, and is in the first bucket of its day. Either has no
# team while it is nobody's.
_OWNED = """
JOIN attribution owner
  ON owner.dimension_set_id = charge.dimension_set_id AND owner.known_to IS NULL
 AND (owner.valid_from IS NULL OR owner.valid_from <= charge.day)
 AND (owner.valid_to IS NULL OR owner.valid_to > charge.day)
"""
_OWNER = "owner.team, owner.cost_centre, owner.business_unit, owner.feature, owner.tier, owner.rule"
_VIEW = """
CREATE VIEW {view} AS
SELECT {bucket}charge.day, 'usage'::text AS charge_kind, charge.dimension_set_id, charge.slot_id,
       charge.meter_id, charge.quantity,
       charge.quantity * rate.list_price AS list_cost,
       charge.quantity * rate.contracted_price AS contracted_cost,
       charge.quantity * rate.effective_price AS effective_cost,
       charge.quantity * rate.contracted_price AS billed_cost,
       {owner}
FROM (
    SELECT {times}, dimension_set_id, slot_id, meter.id::smallint AS meter_id,
           meter.quantity::numeric AS quantity
    FROM usage_{kind},
         LATERAL (VALUES (1, input), (2, cache_read), (3, cache_write), (4, cache_write_1h), (5, output),
                         (6, reasoning)) meter(id, quantity)
    WHERE meter.quantity <> 0
    UNION ALL
    SELECT {times}, dimension_set_id, slot_id, meter_id, quantity FROM unit_{kind}
) charge
{owned}
LEFT JOIN slot_rate rate
  ON rate.slot_id = charge.slot_id AND rate.meter_id = charge.meter_id AND rate.known_to IS NULL
UNION ALL
SELECT {first_bucket}charge.day, charge.kind, charge.dimension_set_id, charge.slot_id, NULL, NULL,
       charge.list_cost, charge.contracted_cost, charge.effective_cost, charge.billed_cost,
       {owner}
FROM charge
{owned}
WHERE charge.known_to IS NULL;
"""
# The reporting zone that the books were opened with.
_ZONE = "(SELECT value FROM books_setting WHERE name = 'reporting_time_zone')"
_HOUR = _VIEW.format(
    view="cost_hour",
    kind="hour",
    bucket="charge.bucket, ",
    first_bucket=f"charge.day::timestamp AT TIME ZONE {_ZONE}, ",
    times=f"bucket, (bucket AT TIME ZONE {_ZONE})::date AS day",
    owned=_OWNED,
    owner=_OWNER,
)
_DAY = _VIEW.format(
    view="cost_day", kind="day", bucket="", first_bucket="", times="day", owned=_OWNED, owner=_OWNER
)
_before = import_module("attribution.migrations.0003_cost_views")


class Migration(migrations.Migration):
    dependencies = [("attribution", "0023_account_of_contracts")]

    operations = [
        migrations.RunSQL(f"DROP VIEW cost_hour; {_HOUR}", f"DROP VIEW cost_hour; {_before._HOUR}"),
        migrations.RunSQL(f"DROP VIEW cost_day; {_DAY}", f"DROP VIEW cost_day; {_before._DAY}"),
    ]
