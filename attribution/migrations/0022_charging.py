"""What charges are derived from, day by day, and the days that are due."""

from __future__ import annotations

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('attribution', '0021_charges'),
    ]

    operations = [
        migrations.CreateModel(
            name='ChargeDay',
            fields=[
                ('origin', models.CharField(choices=[('agreement', 'Agreement'), ('commitment', 'Commitment'), ('credit', 'Credit'), ('tax', 'Tax')], max_length=10)),
                ('origin_id', models.BigIntegerField()),
                ('day', models.DateField()),
                ('quantity', models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                ('eligible', models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                ('covered', models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                ('cost', models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                ('used', models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                ('unused', models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                ('purchase', models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                ('left', models.DecimalField(decimal_places=18, max_digits=38, null=True)),
                ('bands', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=18, max_digits=38), default=list, size=None)),
                ('pk', models.CompositePrimaryKey('origin', 'origin_id', 'day', blank=True, editable=False, primary_key=True, serialize=False)),
            ],
            options={
                'db_table': 'charge_day',
            },
        ),
        migrations.CreateModel(
            name='ChargeDue',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
            ],
            options={
                'db_table': 'charge_due',
            },
        ),
        migrations.CreateModel(
            name='ChargingState',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('knowledge', models.TextField()),
                ('today', models.DateField()),
                ('known_from', models.DateTimeField()),
            ],
            options={
                'db_table': 'charging_state',
            },
        ),
    ]
