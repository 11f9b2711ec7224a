"""What tells a span that repeats the calls inside it from one with usage of its own, and a repetition
of a span from a conflict.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("attribution", "0018_spans_held_cheaper")]

    operations = [
        migrations.AddField("otlpspan", "input_tokens", models.IntegerField(db_default=0)),
        migrations.AddField("otlpspan", "output_tokens", models.IntegerField(db_default=0)),
        migrations.AddField("otlpspan", "is_embedding", models.BooleanField(db_default=False)),
        migrations.AddField("otlpspan", "content", models.BigIntegerField(null=True)),
    ]
