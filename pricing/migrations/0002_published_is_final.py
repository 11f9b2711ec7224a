"""A published version never changes: the database refuses, whoever asks."""

from __future__ import annotations

from django.db import migrations

CREATE = """
CREATE FUNCTION refuse_change_of_published_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'published' THEN
        RAISE EXCEPTION 'version % is published and never changes', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER published_version_is_final BEFORE UPDATE OR DELETE ON pricing_bookversion
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published_version();

CREATE FUNCTION refuse_change_of_published_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before bigint := CASE WHEN TG_OP <> 'INSERT' THEN OLD.version_id END;
    after bigint := CASE WHEN TG_OP <> 'DELETE' THEN NEW.version_id END;
BEGIN
    IF EXISTS (SELECT FROM pricing_bookversion b WHERE b.id IN (before, after) AND b.status = 'published') THEN
        -- The one thing that may be said later, once: which version superseded the row.
        IF TG_OP = 'UPDATE' AND OLD.superseded_by_id IS NULL
           AND to_jsonb(NEW) - 'superseded_by_id' = to_jsonb(OLD) - 'superseded_by_id' THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'version % is published and never changes', coalesce(before, after) USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER published_price_is_final BEFORE INSERT OR UPDATE OR DELETE ON pricing_price
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published_row();
CREATE TRIGGER published_multiplier_is_final BEFORE INSERT OR UPDATE OR DELETE ON pricing_multiplier
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published_row();
CREATE TRIGGER published_alias_is_final BEFORE INSERT OR UPDATE OR DELETE ON pricing_modelalias
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published_row();

CREATE FUNCTION refuse_change_of_published_rate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before bigint := CASE WHEN TG_OP <> 'INSERT' THEN OLD.price_id END;
    after bigint := CASE WHEN TG_OP <> 'DELETE' THEN NEW.price_id END;
BEGIN
    IF EXISTS (SELECT FROM pricing_price p JOIN pricing_bookversion b ON b.id = p.version_id
               WHERE p.id IN (before, after) AND b.status = 'published') THEN
        RAISE EXCEPTION 'price % is published and never changes', coalesce(before, after) USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER published_rate_is_final BEFORE INSERT OR UPDATE OR DELETE ON pricing_rate
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published_rate();
"""
DROP = """
DROP TRIGGER published_rate_is_final ON pricing_rate;
DROP TRIGGER published_alias_is_final ON pricing_modelalias;
DROP TRIGGER published_multiplier_is_final ON pricing_multiplier;
DROP TRIGGER published_price_is_final ON pricing_price;
DROP TRIGGER published_version_is_final ON pricing_bookversion;
DROP FUNCTION refuse_change_of_published_rate();
DROP FUNCTION refuse_change_of_published_row();
DROP FUNCTION refuse_change_of_published_version();
"""
# Numbers below 100 belong to token meters (finops.core.meters).
NUMBER_UNITS = "ALTER TABLE unit_meter ALTER COLUMN id SET START WITH 100 RESTART"


class Migration(migrations.Migration):
    dependencies = [("pricing", "0001_price_book")]

    operations = [
        migrations.RunSQL(CREATE, DROP),
        migrations.RunSQL(NUMBER_UNITS, migrations.RunSQL.noop),
    ]
