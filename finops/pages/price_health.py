"""Prices health: does the price book know what is used, and does it say what others say?"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from attribution.cost_drift import Drift, told_by_clients, told_by_providers
from attribution.price_gaps import Gap, gaps, new_models
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.periods import local_day
from finops.pages.jobs import NAMES, jobs
from finops.ui import formats
from pricing import library
from pricing.expiring import SOON, Expiry, expiring
from pricing.models import BookVersion, VersionStatus
from pricing.proposals import LABEL
from pricing.views.book import tabs

DAYS = 30
DRIFT_DAYS = 7  # single calls are read for it
MOST_ROWS = 50
_OPEN = (VersionStatus.DRAFT, VersionStatus.REVIEWED)


@require_safe
@for_people(Capability.VIEW_COSTS)
def price_health(request: PersonRequest) -> HttpResponse:
    """What is unpriced, new, about to end, or priced otherwise by others. At most 14 queries."""
    principal = principal_of_person(request.user)
    now = timezone.now()
    today = local_day(now, settings.REPORTING_TIME_ZONE)
    first = today - timedelta(days=DAYS - 1)
    sees_all = principal.visible_teams is None
    ending = expiring(now)
    context = {
        "tabs": tabs("prices-health", sees_contracted=principal.may(Capability.VIEW_CONTRACTED_PRICES)),
        "sees_all": sees_all,
        "may_edit": principal.may(Capability.EDIT_PRICES),
        "days": DAYS,
        "drift_days": DRIFT_DAYS,
        "soon": SOON.days,
        "expiring": [one for one in ending if one.successor is None],
        "followed": [one for one in ending if one.successor is not None],
        "waiting": BookVersion.objects.filter(status__in=_OPEN).order_by("-pk"),
        "library": library.name(),
        "package": library.PACKAGE,
        "proposal": BookVersion.objects.filter(label=LABEL).last(),
        "job": next((job for job in jobs(now) if job.name == NAMES["price_proposals"]), None),
    }
    found = gaps(first) if sees_all else []
    unpriced = [gap for gap in found if not gap.is_partial]
    partial = [gap for gap in found if gap.is_partial]
    drift = _drift(now) if sees_all and principal.may(Capability.VIEW_CONTRACTED_PRICES) else []
    if sees_all:
        context |= {
            "unpriced": [(gap, _calls_url(gap)) for gap in unpriced[:MOST_ROWS]],
            "partial": [(gap, _calls_url(gap)) for gap in partial[:MOST_ROWS]],
            "unpriced_calls": sum(gap.calls for gap in unpriced),
            "partial_calls": sum(gap.calls for gap in partial),
            "new": new_models(first)[:MOST_ROWS],
            "drift": drift[:MOST_ROWS],
            "drifting": sum(1 for one in drift if one.is_notable),
        }
    context["answer"] = _answer(unpriced, partial, ending, drift, sees_all=sees_all)
    return render(request, "pages/price_health.html", context)


def _answer(
    unpriced: list[Gap], partial: list[Gap], ending: list[Expiry], drift: list[Drift], *, sees_all: bool
) -> str:
    lost = sum(1 for one in ending if one.successor is None)
    told = [
        (
            len({(gap.provider, gap.model) for gap in unpriced}),
            "model without a price",
            "models without a price",
        ),
        (len({(gap.provider, gap.model) for gap in partial}), "partially priced", "partially priced"),
        (lost, "price about to end", "prices about to end"),
        (sum(1 for one in drift if one.is_notable), "drifts apart", "drift apart"),
    ]
    complaints = [f"{number} {one if number == 1 else many}" for number, one, many in told if number]
    if complaints:
        return formats.sentence_list(complaints).capitalize()
    return "Everything that is used has a price" if sees_all else "No price is about to end"


def _drift(now: datetime) -> list[Drift]:
    end = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    clients = told_by_clients(end - timedelta(days=DRIFT_DAYS), end)
    providers = told_by_providers(end.date() - timedelta(days=DAYS), end.date())
    return [*providers, *clients]


def _calls_url(gap: Gap) -> str:
    query = {"period": "last-30-days", "provider": gap.provider, "model": gap.model}
    if not gap.is_partial:
        query["unpriced"] = "1"
    return f"{reverse('attribution:usage')}?{urlencode(query)}"
