"""Derives the charges of the days whose usage, prices or terms changed, in one transaction.

The order is fixed: volume bands, commitments (by their beginning, capacity before what is prepaid), credits,
taxes; what one has taken is not there for the next. One process derives at a time. A fold may run beside it:
the day it changes is due once more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction

from attribution.charging import booking, covering, due, levying, lines, volumes
from attribution.charging.days import Days
from attribution.charging.placing import Places, places
from attribution.charging.terms import Terms, days_of, known_terms
from attribution.models import Charge

_LOCK = "hashtext('attribution.charging')"


@dataclass(frozen=True, slots=True)
class Derived:
    """How many charges were written, and of how many days they were worked out."""

    charges: int = 0
    days: int = 0
    seconds: float = 0.0


def derive(*, today: date | None = None, wait: bool = False) -> Derived:
    """Bring the charges up to date; nothing where nothing changed.

    ``today`` is the last reporting day that is charged (None: the running one). Returns at once while
    another process derives, unless ``wait``.
    """
    started = time.monotonic()
    until = today or due.running_day()
    if not due.is_due(until):
        return Derived()
    places(known_terms())
    with transaction.atomic(), connection.cursor() as cursor:
        if not lock(cursor, wait=wait):
            return Derived()
        waiting = due.take(cursor, until)
        terms = known_terms()
        where = places(terms)
        at = _now(cursor)
        written, days = 0, frozenset[date]()
        if not terms.is_empty or Charge.objects.filter(known_to=None).exists():
            written, days = _derive(cursor, waiting, terms, where, at)
        due.remember(waiting, at)
    return Derived(written, len(days), time.monotonic() - started)


def work_out(cursor: Any, terms: Terms, where: Places, days: Days) -> None:
    """Lay the charges of these days out as the table ``charging_new``."""
    # Any: Django's cursor wrapper has no public type.
    slots = {slot for term in terms for slot in terms.slots(term)} | set(volumes.slots_of(terms.agreements))
    lines.lay_out(cursor, days.anew, slots)
    volumes.apply(cursor, terms.agreements, days)
    for commitment in terms.commitments:
        if days.concern(commitment.starts_on, commitment.ends_on):
            covering.commit(cursor, terms, commitment, days, where)
    for credit in terms.grants:
        if days.concern(credit.starts_on, credit.ends_on):
            covering.grant(cursor, terms, credit, days)
    for credit in terms.refunds:
        levying.refund(cursor, terms, credit, days, where)
    for tax in terms.taxes:
        levying.levy(cursor, terms, tax, days, where)


def all_days(cursor: Any, terms: Terms, today: date) -> Days:
    """Every day that any term speaks of, worked out anew."""
    of_terms = {day for term in terms for day in days_of(term, today)}
    return Days(frozenset(of_terms | volumes.days_of(cursor, terms.agreements, today)), today, is_all=True)


def lock(cursor: Any, *, wait: bool) -> bool:
    """Let nobody else derive until the transaction ends; False while another does, unless ``wait``."""
    if wait:
        cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        return True
    cursor.execute(f"SELECT pg_try_advisory_xact_lock({_LOCK})")
    return bool(cursor.fetchone()[0])


def _derive(
    cursor: Any, waiting: due.Due, terms: Terms, where: Places, at: datetime
) -> tuple[int, frozenset[date]]:
    if waiting.days is None:
        days = all_days(cursor, terms, waiting.today)
        work_out(cursor, terms, where, days)
        days.save()
        return booking.supersede(cursor, at), days.anew
    assert waiting.known_from is not None
    days = Days(waiting.days, waiting.today, is_new_day=waiting.is_new_day)
    work_out(cursor, terms, where, days)
    while days.more:
        days = Days(days.anew | days.more, waiting.today, is_new_day=waiting.is_new_day)
        work_out(cursor, terms, where, days)
    days.save()
    return booking.restate(cursor, days.anew, waiting.known_from), days.anew


def _now(cursor: Any) -> datetime:
    cursor.execute("SELECT clock_timestamp()")
    now: datetime = cursor.fetchone()[0]
    return now
