"""What a version of the price book would change of what is booked, kept as it was shown."""

from __future__ import annotations

import django.db.models.deletion
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('attribution', '0019_what_spans_tell'),
        ('pricing', '0005_split_slots'),
    ]

    operations = [
        migrations.CreateModel(
            name='Rerating',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('previewed', 'Waiting for approval'), ('approved', 'Approved'), ('stale', 'Out of date'), ('discarded', 'Discarded')], default='previewed', max_length=9)),
                ('made_at', models.DateTimeField()),
                ('made_by', models.CharField(max_length=254)),
                ('running_day', models.DateField()),
                ('figures', models.CharField(max_length=80)),
                ('first_day', models.DateField(null=True)),
                ('last_day', models.DateField(null=True)),
                ('calls', models.BigIntegerField(default=0)),
                ('newly_priced', models.BigIntegerField(default=0)),
                ('newly_unpriced', models.BigIntegerField(default=0)),
                ('before', models.DecimalField(decimal_places=24, default=Decimal('0'), max_digits=48)),
                ('after', models.DecimalField(decimal_places=24, default=Decimal('0'), max_digits=48)),
                ('decided_at', models.DateTimeField(null=True)),
                ('decided_by', models.CharField(blank=True, max_length=254)),
                ('reason', models.TextField(blank=True)),
                ('known_from', models.DateTimeField(null=True)),
                ('posted_before', models.DecimalField(decimal_places=24, max_digits=48, null=True)),
                ('posted_after', models.DecimalField(decimal_places=24, max_digits=48, null=True)),
                ('calls_moved', models.BigIntegerField(default=0)),
                ('days_moved', models.IntegerField(default=0)),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reratings', to='pricing.bookversion')),
            ],
            options={
                'db_table': 'rerating',
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='ReratingLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('team', models.TextField(null=True)),
                ('feature', models.TextField(null=True)),
                ('provider', models.TextField()),
                ('model', models.TextField()),
                ('calls', models.BigIntegerField()),
                ('newly_priced', models.BigIntegerField()),
                ('newly_unpriced', models.BigIntegerField()),
                ('before', models.DecimalField(decimal_places=24, max_digits=48)),
                ('after', models.DecimalField(decimal_places=24, max_digits=48)),
                ('rerating', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='attribution.rerating')),
            ],
            options={
                'db_table': 'rerating_line',
            },
        ),
        migrations.AddConstraint(
            model_name='rerating',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at', None), ('status', 'previewed')), models.Q(models.Q(('status', 'previewed'), _negated=True), ('decided_at__isnull', False)), _connector='OR'), name='rerating_is_decided_by_somebody'),
        ),
        migrations.AddConstraint(
            model_name='rerating',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'approved')), fields=('version',), name='version_is_approved_once'),
        ),
    ]
