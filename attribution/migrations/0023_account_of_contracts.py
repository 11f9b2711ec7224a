from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('attribution', '0022_charging'),
    ]

    operations = [
        migrations.AddField(
            model_name='sourcecontract',
            name='account',
            field=models.CharField(blank=True, default='', max_length=128),
        ),
    ]
