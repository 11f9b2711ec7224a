"""Whether there is anything to derive, and of which days: a few small queries when there is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max
from django.utils import timezone

from attribution.models import ChargeDue, ChargingState
from pricing.catalogue import current_version
from pricing.models import Commitment, Credit, Tax
from pricing.slot_rates import PUBLISHING_LOCK


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be derived. ``days``: those that changed; None: what is known changed, so all."""

    knowledge: str
    today: date
    days: frozenset[date] | None
    is_new_day: bool
    known_from: datetime | None  # since when the knowledge counts; None: from now on


def is_due(today: date) -> bool:
    """Whether anything happened since charges were derived last."""
    state = ChargingState.objects.first()
    return (
        state is None or state.today != today or state.knowledge != knowledge() or ChargeDue.objects.exists()
    )


def take(cursor: Any, today: date) -> Due:
    """What is to be derived; the marks of the days are gone when the transaction commits.

    What is known is read first: whatever changes meanwhile is due once more.
    """
    # Any: Django's cursor wrapper has no public type.
    state, known = ChargingState.objects.first(), knowledge()
    if state is not None and state.knowledge == known:
        # What is rewritten in place keeps the time since when it is known: nobody publishes meanwhile.
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [PUBLISHING_LOCK])
        known = knowledge()
    cursor.execute("DELETE FROM charge_due RETURNING day")
    days = {day for (day,) in cursor.fetchall()}
    if state is None or state.knowledge != known or state.today > today:
        return Due(known, today, None, is_new_day=True, known_from=None)
    passed = (today - state.today).days
    days |= {state.today + timedelta(days=number + 1) for number in range(passed)}
    return Due(
        known,
        today,
        frozenset(day for day in days if day <= today),
        is_new_day=state.today != today,
        known_from=state.known_from,
    )


def remember(due: Due, known_from: datetime) -> None:
    """Charges are those of this state now."""
    said = {"knowledge": due.knowledge, "today": due.today, "known_from": due.known_from or known_from}
    if not ChargingState.objects.update(**said):
        ChargingState.objects.create(**said)


def running_day() -> date:
    """Today in the reporting zone."""
    return timezone.now().astimezone(settings.REPORTING_TIME_ZONE).date()


def knowledge() -> str:
    """Names the state of the price book and of all terms."""
    parts = [current_version()]
    for model in (Commitment, Credit, Tax):
        seen = model._default_manager.aggregate(Max("known_from"), Max("known_to"), Count("pk"))
        parts.append(" ".join(str(value) for value in seen.values()))
    return " | ".join(parts)
