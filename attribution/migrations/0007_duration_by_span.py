"""The histogram of durations by owner, by months and sevenths of months as well."""

from django.db import migrations, models

FILL = "ALTER TABLE duration_owner_span SET (fillfactor = 70)"
# What is folded already.
BACKFILL = """
INSERT INTO duration_owner_span (first_day, end_day, dimension_set_id, step, calls)
SELECT first_day, end_day, dimension_set_id, step, sum(calls)
FROM duration_owner_day,
     LATERAL (SELECT date_trunc('month', day::timestamp)::date AS first) month,
     LATERAL (SELECT month.first + (day - month.first) / 7 * 7 AS first) seventh,
     LATERAL (VALUES (month.first, (month.first + interval '1 month')::date),
                     (seventh.first, seventh.first + 7)) span (first_day, end_day)
WHERE day - month.first < 28 OR span.first_day = month.first
GROUP BY first_day, end_day, dimension_set_id, step
"""


class Migration(migrations.Migration):
    dependencies = [("attribution", "0006_segments")]

    operations = [
        migrations.CreateModel(
            name="DurationOwnerSpan",
            fields=[
                ("first_day", models.DateField()),
                ("end_day", models.DateField()),
                ("dimension_set_id", models.IntegerField()),
                ("step", models.SmallIntegerField()),
                ("calls", models.IntegerField()),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "first_day", "end_day", "dimension_set_id", "step", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
            options={"db_table": "duration_owner_span"},
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
    ]
