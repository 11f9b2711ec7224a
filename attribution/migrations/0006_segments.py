"""Users and tasks of a day as segments: an array a group and fold, instead of a row and an index entry each."""

import django.contrib.postgres.fields
from django.db import migrations, models

TABLES = (("UserDay", "user_day", "user_key"), ("TaskDay", "task_day", "task_key"))
# The index of the old table gives its name to the new one's.
PUT_ASIDE = "ALTER TABLE {table} RENAME TO {table}_old; ALTER INDEX {table}_pkey RENAME TO {table}_old_pkey;"
CARRY_OVER = """
INSERT INTO {table} (day, dimension_set_id, slot_id, calls, keys)
SELECT day, dimension_set_id, slot_id, sum(calls), array_agg({key})
FROM {table}_old GROUP BY day, dimension_set_id, slot_id;
DROP TABLE {table}_old;
"""


def _segments(model, table, key):
    return [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(PUT_ASIDE.format(table=table))],
            state_operations=[migrations.DeleteModel(model)],
        ),
        migrations.CreateModel(
            name=model,
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(db_index=True)),
                ("dimension_set_id", models.IntegerField()),
                ("slot_id", models.IntegerField()),
                ("calls", models.IntegerField()),
                ("keys", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
            ],
            options={"db_table": table, "abstract": False},
        ),
        migrations.RunSQL(CARRY_OVER.format(table=table, key=key)),
    ]


class Migration(migrations.Migration):
    dependencies = [("attribution", "0005_otlp_spans")]

    operations = [operation for names in TABLES for operation in _segments(*names)]
