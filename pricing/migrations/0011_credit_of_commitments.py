from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pricing", "0010_terms_are_final")]

    operations = [
        migrations.AddField(
            model_name="commitment",
            name="credit",
            field=models.DecimalField(decimal_places=6, max_digits=24, null=True),
        ),
    ]
