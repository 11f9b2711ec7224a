"""Data health: are the figures complete, and may they be trusted?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, Max, Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from attribution import partitions
from attribution.ingest.health import ingest_health
from attribution.models import DimensionOverflow, IngestBatch, Quarantined, QuarantineReason, Verification
from finops.accounts.permissions import principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from pricing.models import BookVersion, VersionStatus

# Later than this a source is told as silent; a day covers weekends of batch jobs badly, so it is a hint.
SILENT_HOURS = 26
LATE_SECONDS = 60


@require_safe
@for_people()
def health(request: PersonRequest) -> HttpResponse:
    """Watermark, lag, rates, coverage by source, quarantine, jobs and the last verification."""
    principal = principal_of_person(request.user)
    ingest = ingest_health(principal.visible_teams)
    now = timezone.now()
    context = {
        "ingest": ingest,
        "is_late": ingest.lag_seconds > LATE_SECONDS,
        "sources": [
            {
                "source": source,
                "silent": (now - source.last_bucket).total_seconds() > SILENT_HOURS * 3600,
            }
            for source in ingest.sources
        ],
        "sees_all": principal.visible_teams is None,
    }
    if principal.visible_teams is None:
        context |= _books()
    return render(request, "pages/health.html", context)


def _books() -> Mapping[str, Any]:  # Any: a template context
    """What concerns everybody's figures at once. Six queries."""
    raw = partitions.raw_days()
    batches = IngestBatch.objects.aggregate(received=Max("received_at"), folded=Max("folded_at"))
    counts = Quarantined.objects.filter(resolved_at=None).aggregate(
        **{reason.value: Count("id", filter=Q(reason=reason)) for reason in QuarantineReason}
    )
    return {
        "last_received": batches["received"],
        "jobs": [
            ("Counting calls into the books", batches["folded"], "every second"),
            ("Verifying the books", _last_verification(), "every night"),
        ],
        "raw_first": raw[0] if raw else None,
        "raw_last": raw[-1] if raw else None,
        "quarantine": [(reason.label, counts[reason.value]) for reason in QuarantineReason],
        "quarantined": Quarantined.objects.filter(resolved_at=None).order_by("-received_at")[:20],
        "verification": Verification.objects.exclude(finished_at=None).first(),
        "overflows": DimensionOverflow.objects.order_by("-last_seen_at")[:20],
        "prices": BookVersion.objects.filter(status=VersionStatus.PUBLISHED).last(),
    }


def _last_verification() -> Any:  # Any: a time, or None
    return Verification.objects.aggregate(last=Max("finished_at"))["last"]
