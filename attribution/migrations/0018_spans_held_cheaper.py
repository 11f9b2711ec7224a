"""What a span says apart from what its resource says, as text that nobody looks into; and an index that
costs an insert next to nothing, since spans arrive in the order of their time.
"""

import django.contrib.postgres.indexes
from django.db import migrations, models

_APART = """
ALTER TABLE otlp_span ALTER COLUMN said TYPE text USING jsonb_build_array(said, '{}'::jsonb)::text
"""
_TOGETHER = """
ALTER TABLE otlp_span ALTER COLUMN said TYPE jsonb USING (said::jsonb -> 1) || (said::jsonb -> 0)
"""


class Migration(migrations.Migration):
    dependencies = [("attribution", "0017_partition_made_once")]

    operations = [
        migrations.RemoveIndex("otlpspan", "otlp_span_received"),
        migrations.RunSQL(
            _APART,
            _TOGETHER,
            state_operations=[migrations.AlterField("otlpspan", "said", models.TextField(null=True))],
        ),
        migrations.AddIndex(
            "otlpspan",
            django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["received_at"], name="otlp_span_received"
            ),
        ),
    ]
