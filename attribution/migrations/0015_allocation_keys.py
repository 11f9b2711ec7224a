from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("attribution", "0014_quarantined_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="AllocationKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=64, unique=True)),
                ("most_values", models.IntegerField()),
                ("declared_at", models.DateTimeField()),
                ("declared_by", models.CharField(max_length=254)),
                ("dropped_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("key",),
            },
        ),
    ]
