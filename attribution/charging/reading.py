"""What charges say, for screens and the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from attribution.charging.placing import origin_of
from attribution.models import Charge, ChargeDay
from pricing.commitments import DrawnDay
from pricing.models import Commitment, Credit, Tax


def drawdown(term: Commitment | Credit) -> list[DrawnDay]:
    """Day by day what a commitment or a grant met and covered, as known now, up to the last derivation.

    Tokens covered are not kept: ``taken`` is zero.
    """
    rows = ChargeDay.objects.filter(origin=origin_of(term), origin_id=term.pk).order_by("day")
    return [
        DrawnDay(
            row.day,
            row.quantity,
            row.eligible,
            covered=row.covered,
            cost=row.cost,
            used=row.used,
            unused=row.unused,
            purchase=row.purchase,
            left=row.left,
        )
        for row in rows
    ]


def charges_of(term: Commitment | Credit | Tax, first: date, end: date) -> Sequence[Charge]:
    """The lines of a term on days from ``first`` to before ``end``, as known now, in order of days."""
    rows = Charge.objects.filter(known_to=None, origin=origin_of(term), origin_id=term.pk)
    rows = rows.filter(day__gte=first, day__lt=end)
    return list(rows.order_by("day", "dimension_set_id", "slot_id", "part"))
