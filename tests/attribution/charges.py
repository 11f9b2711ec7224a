"""Rows of the table of charges for tests of what reads it: every amount is said explicitly."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from attribution.models import Charge, ChargeKind, Origin, Part
from tests.attribution.factory import EPOCH

_OF = {
    Part.VOLUME: (ChargeKind.USAGE, Origin.AGREEMENT),
    Part.COVERED: (ChargeKind.USAGE, Origin.COMMITMENT),
    Part.PURCHASE: (ChargeKind.COMMITMENT, Origin.COMMITMENT),
    Part.UNUSED: (ChargeKind.COMMITMENT, Origin.COMMITMENT),
    Part.CREDIT: (ChargeKind.CREDIT, Origin.CREDIT),
    Part.TAX: (ChargeKind.TAX, Origin.TAX),
}


def charge(
    day: date,
    part: Part,
    made: tuple[int, int],
    *,
    listed: str = "0",
    contracted: str = "0",
    effective: str = "0",
    billed: str = "0",
    origin_id: int = 1,
    known_from: datetime = EPOCH,
    known_to: datetime | None = None,
) -> Charge:
    """One charge on a dimension set and a price slot."""
    kind, origin = _OF[part]
    return Charge.objects.create(
        day=day,
        kind=kind,
        origin=origin,
        origin_id=origin_id,
        part=part,
        dimension_set_id=made[0],
        slot_id=made[1],
        list_cost=Decimal(listed),
        contracted_cost=Decimal(contracted),
        effective_cost=Decimal(effective),
        billed_cost=Decimal(billed),
        known_from=known_from,
        known_to=known_to,
    )


def noon(day: date) -> datetime:
    """A time of that day in every zone that tests use."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
