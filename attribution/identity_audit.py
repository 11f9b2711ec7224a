"""One identity, one call: retries that were re-stamped by more than a day are found afterwards.

At the door a retry is recognised within its own day and the neighbouring ones. What is further apart
comes in, and is taken out again here: the call received first stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from attribution import rollups
from attribution.models import BooksSetting, QuarantineReason

_AUDITED_TO = "identities_audited_to_batch"

# What came since the last audit, against everything. The lower batch was received first; in one
# batch, the earlier call counts as the first.
_FIND = """
CREATE TEMP TABLE late_duplicate AS
WITH fresh AS (
    SELECT DISTINCT identity FROM call_event WHERE batch_id > %(after)s
),
ranked AS (
    SELECT e.identity, e.occurred_at, e.batch_id,
           row_number() OVER (PARTITION BY e.identity ORDER BY e.batch_id, e.occurred_at) AS place,
           count(*) OVER (PARTITION BY e.identity) AS times
    FROM call_event e JOIN fresh USING (identity)
)
SELECT identity, occurred_at, batch_id, (occurred_at AT TIME ZONE %(zone)s)::date AS day
FROM ranked
WHERE times > 1 AND place > 1
"""
_QUARANTINE = """
INSERT INTO quarantine (received_at, reason, source, event_id, api_key, key_team, field, code, message,
                        payload, fingerprint)
SELECT batch.received_at, %(reason)s, ds.source, e.event_id, ds.api_key, ds.key_team,
       'event_id', 'late_duplicate',
       'The same id was booked before, on another day; the call received first was kept.',
       to_jsonb(e), md5(e.identity::text || e.occurred_at::text)::uuid
FROM late_duplicate late
JOIN call_event e USING (identity, occurred_at)
JOIN dimension_set ds ON ds.id = e.dimension_set_id
JOIN ingest_batch batch ON batch.id = e.batch_id
ON CONFLICT (fingerprint) DO NOTHING
"""
_REMOVE = (
    """DELETE FROM call_unit u USING late_duplicate late
       WHERE u.identity = late.identity AND u.occurred_at = late.occurred_at""",
    """DELETE FROM call_event e USING late_duplicate late
       WHERE e.identity = late.identity AND e.occurred_at = late.occurred_at""",
    """UPDATE ingest_batch SET accepted = accepted - n, duplicates = duplicates + n
       FROM (SELECT batch_id, count(*) AS n FROM late_duplicate GROUP BY batch_id) late
       WHERE ingest_batch.id = late.batch_id""",
)


@dataclass(frozen=True, slots=True)
class AuditResult:
    """How many calls were taken out, and which reporting days were recomputed for it."""

    removed: int
    days: tuple[date, ...]


@transaction.atomic
def audit_identities() -> AuditResult:
    """Take out calls whose identity was booked before on a day further away, and quarantine them.

    One transaction, and no fold meanwhile: the rollups of each touched day are recomputed with it.
    """
    with connection.cursor() as cursor:
        rollups.lock(cursor)
        setting, _ = BooksSetting.objects.get_or_create(name=_AUDITED_TO, defaults={"value": "0"})
        cursor.execute("SELECT coalesce(max(id), 0) FROM ingest_batch")
        newest = cursor.fetchone()[0]
        cursor.execute(_FIND, {"after": int(setting.value), "zone": settings.REPORTING_TIME_ZONE.key})
        result = _take_out(cursor)
        cursor.execute("DROP TABLE late_duplicate")
        setting.value = str(newest)
        setting.save(update_fields=["value"])
    return result


def _take_out(cursor: Any) -> AuditResult:
    # Any: Django's cursor wrapper has no public type.
    cursor.execute("SELECT count(*) FROM late_duplicate")
    removed = int(cursor.fetchone()[0])
    if not removed:
        return AuditResult(0, ())
    cursor.execute(_QUARANTINE, {"reason": QuarantineReason.LATE_DUPLICATE.value})
    cursor.execute("SELECT DISTINCT day FROM late_duplicate ORDER BY day")
    days = tuple(day for (day,) in cursor.fetchall())
    for sql in _REMOVE:
        cursor.execute(sql)
    for day in days:
        rollups.rebuild_day(day)
    return AuditResult(removed, days)
