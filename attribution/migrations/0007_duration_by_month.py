"""The histogram of durations by owner, by whole months as well."""

from django.db import migrations, models

FILL = "ALTER TABLE duration_owner_month SET (fillfactor = 70)"
# What is folded already.
BACKFILL = """
INSERT INTO duration_owner_month (month, dimension_set_id, step, calls)
SELECT date_trunc('month', day::timestamp)::date, dimension_set_id, step, sum(calls)
FROM duration_owner_day GROUP BY 1, 2, 3
"""


class Migration(migrations.Migration):

    dependencies = [
        ('attribution', '0006_segments'),
    ]

    operations = [
        migrations.CreateModel(
            name='DurationOwnerMonth',
            fields=[
                ('month', models.DateField()),
                ('dimension_set_id', models.IntegerField()),
                ('step', models.SmallIntegerField()),
                ('calls', models.IntegerField()),
                ('pk', models.CompositePrimaryKey('month', 'dimension_set_id', 'step', blank=True, editable=False, primary_key=True, serialize=False)),
            ],
            options={
                'db_table': 'duration_owner_month',
            },
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
    ]
