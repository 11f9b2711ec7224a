"""Whether the charges are those that their terms make of the books: worked out from the beginning."""

from __future__ import annotations

from django.db import connection, transaction

from attribution import rollups
from attribution.charging import booking
from attribution.charging.deriving import all_days, derive, lock, work_out
from attribution.charging.due import running_day
from attribution.charging.placing import places
from attribution.charging.terms import known_terms
from pricing.slot_rates import PUBLISHING_LOCK


@transaction.atomic
def compare() -> tuple[int, list[str]]:
    """How many charges there should be, and what is amiss with those that there are.

    Brings them up to date first. Until it ends nobody folds, publishes or derives.
    """
    with connection.cursor() as cursor:
        lock(cursor, wait=True)
        rollups.lock(cursor)
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [PUBLISHING_LOCK])
        today = running_day()
        derive(today=today, wait=True)
        terms = known_terms()
        work_out(cursor, terms, places(terms), all_days(cursor, terms, today))
        return booking.differences(cursor)
