"""Published agreements never change, as published prices do not."""

from __future__ import annotations

from django.db import migrations

CREATE = """
CREATE TRIGGER published_agreement_is_final BEFORE INSERT OR UPDATE OR DELETE ON pricing_agreement
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published_row();

CREATE FUNCTION refuse_change_of_published_band() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row_before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    row_after jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    agreements bigint[];
BEGIN
    IF TG_TABLE_NAME = 'pricing_agreementband' THEN
        agreements := ARRAY[(row_before ->> 'agreement_id')::bigint, (row_after ->> 'agreement_id')::bigint];
    ELSE
        agreements := ARRAY(SELECT agreement_id FROM pricing_agreementband
                            WHERE id IN ((row_before ->> 'band_id')::bigint, (row_after ->> 'band_id')::bigint));
    END IF;
    IF EXISTS (SELECT FROM pricing_agreement a JOIN pricing_bookversion b ON b.id = a.version_id
               WHERE a.id = ANY(agreements) AND b.status = 'published') THEN
        RAISE EXCEPTION 'agreement % is published and never changes', agreements USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER published_band_is_final BEFORE INSERT OR UPDATE OR DELETE ON pricing_agreementband
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published_band();
CREATE TRIGGER published_agreed_rate_is_final BEFORE INSERT OR UPDATE OR DELETE ON pricing_agreementrate
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published_band();
"""
DROP = """
DROP TRIGGER published_agreed_rate_is_final ON pricing_agreementrate;
DROP TRIGGER published_band_is_final ON pricing_agreementband;
DROP TRIGGER published_agreement_is_final ON pricing_agreement;
DROP FUNCTION refuse_change_of_published_band();
"""


class Migration(migrations.Migration):
    dependencies = [("pricing", "0007_agreements_and_terms")]

    operations = [migrations.RunSQL(CREATE, DROP)]
