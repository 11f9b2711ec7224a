"""The books as questions: quantity x unit price x owner, at today's knowledge."""

from __future__ import annotations

from django.db import migrations

# One view by day, one by bucket. A charge is one meter's quantity; it is NULL-priced while its meter
# has no price, and has no team while it is nobody's. Other kinds of charge will be further branches.
_VIEW = """
CREATE VIEW {view} AS
SELECT {shown}, 'usage'::text AS charge_kind, charge.dimension_set_id, charge.slot_id,
       charge.meter_id, charge.quantity,
       charge.quantity * rate.list_price AS list_cost,
       charge.quantity * rate.contracted_price AS contracted_cost,
       charge.quantity * rate.effective_price AS effective_cost,
       owner.team, owner.cost_centre, owner.business_unit, owner.feature, owner.tier, owner.rule
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
JOIN attribution owner
  ON owner.dimension_set_id = charge.dimension_set_id AND owner.known_to IS NULL
 AND (owner.valid_from IS NULL OR owner.valid_from <= charge.day)
 AND (owner.valid_to IS NULL OR owner.valid_to > charge.day)
LEFT JOIN slot_rate rate
  ON rate.slot_id = charge.slot_id AND rate.meter_id = charge.meter_id AND rate.known_to IS NULL;
"""
# The reporting zone that the books were opened with.
_ZONE = "(SELECT value FROM books_setting WHERE name = 'reporting_time_zone')"
_HOUR = _VIEW.format(
    view="cost_hour",
    kind="hour",
    shown="charge.bucket, charge.day",
    times=f"bucket, (bucket AT TIME ZONE {_ZONE})::date AS day",
)
_DAY = _VIEW.format(view="cost_day", kind="day", shown="charge.day", times="day")


class Migration(migrations.Migration):
    dependencies = [("attribution", "0002_calls"), ("pricing", "0001_price_book")]

    operations = [
        migrations.RunSQL(_HOUR, "DROP VIEW cost_hour"),
        migrations.RunSQL(_DAY, "DROP VIEW cost_day"),
    ]
