"""What was earned by month: one amount for each tier, feature and currency, and what was said before."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from attribution.models import FeatureOwnership
from attribution.models.outcomes import Revenue
from attribution.organisation import today
from finops.accounts import audit
from finops.accounts.permissions import Principal
from finops.core.errors import NotAllowed
from finops.core.money import as_text

_LOCK = "hashtext('attribution.revenue')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """An amount as it is told. Without a tier or feature it is that of all of them."""

    period: str  # YYYY-MM
    currency: str
    revenue: Decimal
    tier: str = ""
    feature: str = ""
    active_users: int | None = None


def record(earned: Earned, principal: Principal) -> tuple[Revenue, bool]:
    """Keep an amount; the row, and whether it is new. The same again changes nothing.

    What was said before of the same month, tier, feature and currency is kept with the time until which
    it held. Raises NotAllowed for callers who see some teams only: revenue is nobody's in particular.
    """
    if principal.visible_teams is not None:
        raise NotAllowed("Revenue is recorded by those who see all teams.")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        before = Revenue.objects.filter(
            period=earned.period,
            tier=earned.tier,
            feature=earned.feature,
            currency=earned.currency,
            known_to=None,
        ).first()
        if before and (before.revenue, before.active_users) == (earned.revenue, earned.active_users):
            return before, False
        now = timezone.now()
        if before:
            Revenue.objects.filter(pk=before.pk).update(known_to=now)
        after = Revenue.objects.create(
            period=earned.period,
            tier=earned.tier,
            feature=earned.feature,
            currency=earned.currency,
            revenue=earned.revenue,
            active_users=earned.active_users,
            known_from=now,
            made_by=principal.label,
        )
        after.refresh_from_db()
        audit.record(
            principal.label,
            "revenue.changed" if before else "revenue.recorded",
            subject_kind="revenue",
            subject=_subject(after),
            before=_said(before) if before else None,
            after=_said(after),
        )
    return after, True


def recorded(principal: Principal, *, history: bool = False, **asked: str) -> QuerySet[Revenue]:
    """What a caller may see: all, or that of features that their teams own today.

    ``asked`` are fields and their values; with ``history`` what was superseded as well.
    """
    found = Revenue.objects.filter(**asked)
    if not history:
        found = found.filter(known_to=None)
    if principal.visible_teams is not None:
        found = found.filter(feature__in=_features_of(principal.visible_teams))
    return found


def _features_of(teams: frozenset[str]) -> list[str]:
    owners: dict[str, str | None] = {}
    so_far = FeatureOwnership.objects.exclude(valid_from__gt=today()).select_related("feature", "team")
    for one in sorted(so_far, key=lambda row: (row.valid_from is not None, row.valid_from or today())):
        owners[one.feature.slug] = one.team.slug if one.team else None
    return sorted(feature for feature, team in owners.items() if team in teams)


def _subject(row: Revenue) -> str:
    return " ".join(filter(None, (row.period, row.feature, row.tier, row.currency)))


def _said(row: Revenue) -> dict[str, Any]:
    return {"revenue": as_text(row.revenue), "active_users": row.active_users}
