"""How sources keep to their contracts: what was booked without a key, and what was refused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Max, Sum

from attribution.models import Refusal
from attribution.organisation import today
from attribution.tag_names import PREFIX

DAYS = 7


@dataclass(frozen=True, slots=True)
class Lapse:
    """Calls of a source that were booked although they lack a key, or have a value that is not allowed."""

    source: str
    key: str
    is_missing: bool
    calls: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Events of a key's source that broke one rule in the last days."""

    source: str
    field: str
    code: str
    events: int
    last_at: datetime


def lapses(first: date | None = None) -> list[Lapse]:
    """Against the contracts as they are now, in the reporting days from ``first`` on (a week back).

    An allocation key can be missed only on the days after it was declared: earlier sets carry no tags.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _LAPSES,
            {
                "first": first or today() - timedelta(days=DAYS),
                "zone": settings.REPORTING_TIME_ZONE.key,
                "prefix": PREFIX,
            },
        )
        return [Lapse(*row) for row in cursor.fetchall()]


def refusals(sources: Collection[str] | None = None, most: int = 100) -> list[Refused]:
    """Most events first; None: of every source."""
    rows = Refusal.objects.filter(day__gte=today() - timedelta(days=DAYS))
    if sources is not None:
        rows = rows.filter(source__in=sources)
    counted = rows.values("source", "field", "code").annotate(total=Sum("events"), last=Max("last_at"))
    return [
        Refused(row["source"], row["field"], row["code"], row["total"], row["last"])
        for row in counted.order_by("-total", "source", "field", "code")[:most]
    ]


_LAPSES = """
    WITH asked AS (
        SELECT contract.source, key, NULL::jsonb AS values
        FROM attribution_sourcecontract contract, jsonb_array_elements_text(contract.required) key
        UNION ALL
        SELECT contract.source, key, values
        FROM attribution_sourcecontract contract, jsonb_each(contract.allowed) choice(key, values)
    ),
    since AS (
        SELECT %(prefix)s || key AS key, (declared_at AT TIME ZONE %(zone)s)::date AS day
        FROM attribution_allocationkey
    ),
    used AS (
        SELECT ds.source, u.day, sum(u.calls)::bigint AS calls,
               to_jsonb(ds) || coalesce((SELECT jsonb_object_agg(%(prefix)s || tag.key, tag.value)
                                         FROM jsonb_each(ds.tags) tag), '{}') AS told
        FROM usage_day u JOIN dimension_set ds ON ds.id = u.dimension_set_id
        WHERE u.day >= %(first)s AND ds.source IN (SELECT source FROM asked)
        GROUP BY ds.id, u.day
    ),
    read AS (
        SELECT source, key, values, calls, coalesce(told ->> key, '') AS value
        FROM asked JOIN used USING (source) LEFT JOIN since USING (key)
        WHERE since.day IS NULL OR used.day > since.day
    )
    SELECT source, key, values IS NULL, sum(calls)::bigint
    FROM read
    WHERE CASE WHEN values IS NULL THEN value = '' ELSE value <> '' AND NOT values ? value END
    GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
"""
