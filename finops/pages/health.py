"""Data health: are the figures complete, and may they be trusted?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from attribution import partitions
from attribution.contract_counts import DAYS, refusals
from attribution.ingest.health import IngestHealth, SourceCoverage, ingest_health
from attribution.models import DimensionOverflow, IngestBatch, Quarantined, QuarantineReason, Verification
from attribution.pullers.status import provider_status
from attribution.punctuality import Rhythm, rhythms
from attribution.reports import CostQuery, Coverage, costs
from finops.accounts.permissions import Capability, Principal, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.periods import Period, local_day
from finops.pages.engines import engines
from finops.pages.jobs import Job, jobs
from finops.ui import formats
from finops.ui.screens import sign_in
from pricing.models import BookVersion, VersionStatus

LATE_SECONDS = 60
MOST_RECORDS = 20


@dataclass(frozen=True, slots=True)
class Source:
    """One source; ``coverage`` is None where it sent nothing within the days of the coverage."""

    name: str
    coverage: SourceCoverage | None
    rhythm: Rhythm | None
    is_late: bool

    @property
    def last_hour(self) -> datetime | None:
        if self.rhythm is not None:
            return self.rhythm.last_bucket
        return self.coverage.last_bucket if self.coverage else None


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Watermark, lag, rates, coverage by source, quarantine, jobs and the last verification.

    An open page asks again for its ``_health`` part. At most 22 queries, and two more once reports of
    providers are read.
    """
    if not request.user.is_authenticated and request.headers.get("HX-Request") == "true":
        return sign_in(request)
    return _health(request)


@for_people(Capability.VIEW_COSTS)
def _health(request: PersonRequest) -> HttpResponse:
    principal = principal_of_person(request.user)
    now = timezone.now()
    ingest = ingest_health(principal.visible_teams)
    sources = _sources(ingest, principal, now)
    verification = Verification.objects.exclude(finished_at=None).first()
    sees_all = principal.visible_teams is None
    work = jobs(now) if sees_all else []
    is_late = ingest.lag_seconds > LATE_SECONDS
    context = {
        "now": now,
        "answer": _answer(ingest, now, sources, work, verification if sees_all else None),
        "is_late": is_late,
        "is_well": not is_late and not _complaints(ingest, sources, work, verification if sees_all else None),
        "ingest": ingest,
        "sources": sources,
        "month": _month(now, principal),
        "quarantine": _quarantine(principal),
        "quarantined": _open_records(principal).order_by("-received_at")[:MOST_RECORDS],
        "verification": verification,
        "jobs": work,
        "sees_all": sees_all,
    }
    if sees_all:
        context |= _books(now)
    is_fragment = request.headers.get("HX-Request") == "true"
    response = render(request, f"pages/{'_' if is_fragment else ''}health.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _answer(
    ingest: IngestHealth,
    now: datetime,
    sources: Sequence[Source],
    work: Sequence[Job],
    verification: Verification | None,
) -> str:
    """The first line: to when everything is counted, and what is not as it should be."""
    zone = settings.REPORTING_TIME_ZONE
    watermark = ingest.watermark
    local = watermark.astimezone(zone)
    today = local_day(now, zone)
    until = f"{local:%H:%M %Z}" if local.date() == today else formats.moment(watermark, zone)
    complaints = _complaints(ingest, sources, work, verification)
    if not complaints:
        complaints = ["every source on time" if sources else "no source has sent anything lately"]
    return f"Everything counted to {until}; {formats.sentence_list(complaints)}"


def _complaints(
    ingest: IngestHealth, sources: Sequence[Source], work: Sequence[Job], verification: Verification | None
) -> list[str]:
    found = []
    if ingest.spool.bytes:
        found.append("events of an outage of the database are still to be booked")
    if ingest.spool.set_aside:
        found.append("some acknowledged events could not be booked")
    if late := sum(1 for source in sources if source.is_late):
        found.append(f"{late} source{'' if late == 1 else 's'} late")
    if amiss := sum(1 for job in work if job.level == "bad"):
        found.append(f"{amiss} job{'' if amiss == 1 else 's'} late or failed")
    if verification is not None and not verification.passed:
        found.append("the last verification found what does not hold")
    return found


def _sources(ingest: IngestHealth, principal: Principal, now: datetime) -> list[Source]:
    """Most calls first; then those who only sent before, for people who see everything."""
    known = rhythms()
    covered = {one.source: one for one in ingest.sources}
    names = [*covered, *(name for name in known if name not in covered and principal.visible_teams is None)]
    return [
        Source(name, covered.get(name), rhythm, rhythm is not None and rhythm.is_late(now))
        for name in names
        for rhythm in (known.get(name),)
    ]


def _month(now: datetime, principal: Principal) -> Coverage:
    """What of this month's calls has no price or no owner."""
    today = local_day(now, settings.REPORTING_TIME_ZONE)
    period = Period(today.replace(day=1), today + timedelta(days=1))
    query = CostQuery(
        period=period, measures=("effective_cost", "calls"), visible_teams=principal.visible_teams
    )
    return costs(query).coverage


def _open_records(principal: Principal) -> QuerySet[Quarantined]:
    records = Quarantined.objects.filter(resolved_at=None)
    if principal.visible_teams is not None:
        records = records.filter(payload__team__in=sorted(principal.visible_teams))
    return records


def _quarantine(principal: Principal) -> list[tuple[str, int]]:
    counts = _open_records(principal).aggregate(
        **{reason.value: Count("id", filter=Q(reason=reason)) for reason in QuarantineReason}
    )
    return [(str(reason.label), counts[reason.value]) for reason in QuarantineReason]


def _books(now: datetime) -> Mapping[str, Any]:  # Any: a template context
    """What concerns everybody's figures at once."""
    raw, today = partitions.raw_days(), now.date()
    return {
        "last_received": IngestBatch.objects.aggregate(last=Max("received_at"))["last"],
        "raw_first": raw[0] if raw else None,
        "days_ahead": sum(1 for day in raw if day > today),
        "days_wanted": partitions.DAYS_AHEAD,
        "kept_from": today - timedelta(days=settings.RAW_RETENTION_DAYS),
        "kept_days": settings.RAW_RETENTION_DAYS,
        "overflows": DimensionOverflow.objects.order_by("-last_seen_at")[:MOST_RECORDS],
        "prices": BookVersion.objects.filter(status=VersionStatus.PUBLISHED).last(),
        "engines": engines(),
        "refusals": refusals(),
        "provider_reports": provider_status(),
        "days": DAYS,
    }
