"""What a slot had before it was narrowed."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pricing', '0005_split_slots'),
    ]

    operations = [
        migrations.AddField(
            model_name='splitslot',
            name='held',
            field=models.JSONField(default=dict),
        ),
    ]
