"""One run: every report of a provider read, kept bucket by bucket, then settled days booked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

from attribution.models.provider_reports import ProviderPull
from attribution.pullers import booking, storing
from attribution.pullers.booking import Booked
from attribution.pullers.client import PullFailed, ReportClient
from attribution.pullers.providers import Provider, Report, midnight
from finops.core.errors import Conflict, InvalidInput

# Providers correct what they reported for a while: these days are read again each time.
_READ_AGAIN_DAYS = 4
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pulled:
    """What a run found: rows that are new or other than before, by report, and what it booked."""

    rows: dict[str, int] = field(default_factory=dict)
    booked: Booked = field(default_factory=Booked)


def pull_due(provider: Provider, *, sleep: Callable[[float], None] = time.sleep) -> Pulled:
    """What the schedule does: from where the last run ended, and some days before, up to today.

    Raises PullFailed, and Conflict while another run is at it.
    """
    today = timezone.now().date()
    oldest = today - timedelta(days=provider.most_days_back)
    cursors = [
        ProviderPull.objects.filter(provider=provider.name, report=report.name)
        .values_list("pulled_to", flat=True)
        .first()
        for report in provider.reports
    ]
    known = [cursor.date() for cursor in cursors if cursor is not None]
    again = timedelta(days=settings.PROVIDER_SETTLE_DAYS + _READ_AGAIN_DAYS)
    first = min(known) - again if len(known) == len(cursors) else oldest
    return _run(provider, max(first, oldest), today, moves=True, sleep=sleep)


def pull(
    provider: Provider, first: date, end: date, *, sleep: Callable[[float], None] = time.sleep
) -> Pulled:
    """The UTC days from ``first`` up to, not including, ``end``, by hand. The schedule's place stays.

    Raises InvalidInput for days that are not over or longer ago than the provider is asked for,
    PullFailed, and Conflict while another run is at it.
    """
    today = timezone.now().date()
    if not first < end <= today:
        raise InvalidInput.field(
            "to", "out_of_range", "Expected days that are over, the first before the end."
        )
    if first < today - timedelta(days=provider.most_days_back):
        message = f"{provider.title} is asked for {provider.most_days_back} days back at most."
        raise InvalidInput.field("from", "out_of_range", message)
    return _run(provider, first, end, moves=False, sleep=sleep)


def _run(
    provider: Provider, first: date, end: date, *, moves: bool, sleep: Callable[[float], None]
) -> Pulled:
    if not provider.is_configured:
        raise InvalidInput.field("provider", "not_configured", f"There is no admin key of {provider.title}.")
    client = ReportClient(provider.base_url, provider.headers, sleep=sleep)
    pulled = Pulled()
    with _alone(provider):
        for report in provider.reports:
            pulled.rows[report.name] = _read(client, provider, report, first, end, moves=moves)
        pulled.booked = booking.settle(provider, first, end)
    return pulled


def _read(
    client: ReportClient, provider: Provider, report: Report, first: date, end: date, *, moves: bool
) -> int:
    status, _ = ProviderPull.objects.get_or_create(provider=provider.name, report=report.name)
    this = ProviderPull.objects.filter(pk=status.pk)
    this.update(started_at=timezone.now(), problem="")
    rows = changed = 0
    try:
        for page in client.buckets(report.path, provider.query(report, first, end)):
            for told in page:
                bucket = storing.read_bucket(told, provider)
                if bucket.ends_at > midnight(end):
                    continue
                rows += len(bucket.rows)
                changed += storing.keep(bucket, provider, report)
    except PullFailed as error:
        this.update(problem=error.detail)
        raise
    this.update(finished_at=timezone.now(), rows=rows, **({"pulled_to": midnight(end)} if moves else {}))
    return changed


@contextmanager
def _alone(provider: Provider) -> Iterator[None]:
    """Holds the provider's lock, at most as long as this process lives. Raises Conflict where it is taken."""
    name = f"attribution.pull.{provider.name}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        if not cursor.fetchone()[0]:
            raise Conflict(f"Another run reads the reports of {provider.title} at the moment.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
