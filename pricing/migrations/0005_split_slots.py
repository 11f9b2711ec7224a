"""Slots that were narrowed because the price changes within them."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0004_discarded_versions"),
    ]

    operations = [
        migrations.CreateModel(
            name="SplitSlot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(null=True)),
                (
                    "slot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="pricing.priceslot"
                    ),
                ),
            ],
            options={
                "db_table": "split_slot",
                "indexes": [models.Index(fields=["at"], name="split_slot_by_time")],
            },
        ),
    ]
