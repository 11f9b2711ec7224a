"""A coarser histogram of durations, by owner: percentiles by team, feature or tier over a quarter."""

from django.db import migrations, models

# Serves the fold: the first set of each owner.
OWNERS = "CREATE INDEX dimension_set_owner ON dimension_set (team, feature, tier, key_team, id)"
FILL = "ALTER TABLE duration_owner_day SET (fillfactor = 70)"
# What is folded already.
BACKFILL = """
INSERT INTO duration_owner_day (day, dimension_set_id, step, calls)
SELECT day, stand_in, step, sum(calls)
FROM duration_day JOIN (
    SELECT id AS dimension_set_id, min(id) OVER (PARTITION BY team, feature, tier, key_team) AS stand_in
    FROM dimension_set
) owner_set USING (dimension_set_id)
GROUP BY day, stand_in, step
"""


class Migration(migrations.Migration):
    dependencies = [("attribution", "0003_cost_views")]

    operations = [
        migrations.CreateModel(
            name="DurationOwnerDay",
            fields=[
                ("day", models.DateField()),
                ("dimension_set_id", models.IntegerField()),
                ("step", models.SmallIntegerField()),
                ("calls", models.IntegerField()),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "day", "dimension_set_id", "step", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
            options={"db_table": "duration_owner_day"},
        ),
        migrations.RunSQL(OWNERS, "DROP INDEX dimension_set_owner"),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
    ]
