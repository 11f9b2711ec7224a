"""What was entered as a term or as a rate of exchange stays; only the end of its knowledge is added, once."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

TABLES = ("fx_rate", "commitment", "credit", "tax")
CREATE = """
CREATE FUNCTION refuse_change_of_term() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.known_to IS NULL AND NEW.known_to >= OLD.known_from
       AND to_jsonb(NEW) - 'known_to' = to_jsonb(OLD) - 'known_to' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% % was entered and never changes', TG_TABLE_NAME, OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
""" + "".join(
    f"CREATE TRIGGER entered_{table}_is_final BEFORE UPDATE OR DELETE ON {table}"
    " FOR EACH ROW EXECUTE FUNCTION refuse_change_of_term();\n"
    for table in TABLES
)
DROP = (
    "".join(f"DROP TRIGGER entered_{table}_is_final ON {table};\n" for table in TABLES)
    + "DROP FUNCTION refuse_change_of_term();"
)


def _replaces(model: str) -> migrations.AddField:
    field = models.OneToOneField(
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="replaced_by",
        to=f"pricing.{model}",
    )
    return migrations.AddField(model, "replaces", field)


class Migration(migrations.Migration):
    dependencies = [("pricing", "0009_account_of_slots")]

    operations = [
        *(_replaces(model) for model in ("commitment", "credit", "tax")),
        migrations.RunSQL(CREATE, DROP),
    ]
