"""How the reading of providers' reports is doing, and what of them is in no books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from attribution.models.provider_reports import DayState, ProviderDay, ProviderPull

DAYS = 30
_MOST = 20


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A key whose usage is reported and never booked, for no mapping says whose it is; of the last days."""

    provider: str
    project: str
    api_key: str
    tokens: int


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """Each report, what is reported and not booked, and days that are held or differ from what is booked."""

    pulls: Sequence[ProviderPull]
    unmapped: Sequence[Unmapped]
    days: Sequence[ProviderDay]


def provider_status() -> ProviderStatus | None:
    """None while no report was ever read. One query then, three otherwise."""
    pulls = list(ProviderPull.objects.all())
    if not pulls:
        return None
    amiss = Q(state=DayState.HELD) | ~Q(difference={}) | ~Q(reason="") | ~Q(doubt="")
    days = ProviderDay.objects.filter(amiss).select_related("mapping").order_by("-day", "pk")
    return ProviderStatus(pulls, unmapped(), list(days[:_MOST]))


def unmapped() -> list[Unmapped]:
    """What is reported of the last ``DAYS`` days and never booked, most tokens first; the first few."""
    with connection.cursor() as cursor:
        cursor.execute(_UNMAPPED, {"since": timezone.now() - timedelta(days=DAYS), "most": _MOST})
        return [Unmapped(*row) for row in cursor.fetchall()]


_UNMAPPED = """
    SELECT said.provider, said.project, said.api_key,
           sum(coalesce((said.usage->>'input_tokens')::bigint, 0)
               + coalesce((said.usage->>'output_tokens')::bigint, 0))::bigint AS tokens
    FROM provider_usage said
    WHERE said.starts_at >= %(since)s AND said.gone_at IS NULL
      AND NOT EXISTS (
        SELECT 1 FROM provider_mapping mapped
        WHERE mapped.is_active AND mapped.provider = said.provider
          AND (said.api_key = ANY(mapped.api_keys) OR said.project = ANY(mapped.projects)))
    GROUP BY said.provider, said.project, said.api_key
    ORDER BY tokens DESC, said.provider, said.project, said.api_key
    LIMIT %(most)s
"""
