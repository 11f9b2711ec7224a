"""What a single call cost: the arithmetic of the books on one row, meter by meter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID

from django.db import connection

from attribution.report_parts import AsOf, Statement, known
from attribution.reports import meter_labels
from finops.core.meters import HOT_METERS, Meter
from finops.core.money import EXACT, ZERO
from pricing.models import Agreement, Price
from pricing.rating import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One meter of one call; prices in dollars for a single unit, None where there is none."""

    meter: str
    meter_id: int
    quantity: Decimal
    list_price: Decimal | None = None
    contracted_price: Decimal | None = None
    effective_price: Decimal | None = None
    saving_price: Decimal | None = None
    price_id: int | None = None
    agreement_id: int | None = None

    @property
    def list_cost(self) -> Decimal | None:
        return _times(self.quantity, self.list_price)

    @property
    def contracted_cost(self) -> Decimal | None:
        return _times(self.quantity, self.contracted_price)

    @property
    def cost(self) -> Decimal | None:
        """Effective cost, exact; before what commitments and volume bands make of the day."""
        return _times(self.quantity, self.effective_price)


@dataclass(frozen=True, slots=True)
class CallCost:
    """The lines of a call that used anything, and what they sum to; None: nothing is priced."""

    status: Status
    lines: tuple[CostLine, ...]
    list_cost: Decimal | None
    contracted_cost: Decimal | None
    effective_cost: Decimal | None
    cache_savings: Decimal | None

    def tokens(self, meters: Sequence[Meter]) -> int:
        """How many tokens on these meters together."""
        wanted = {meter.value for meter in meters}
        return int(sum(line.quantity for line in self.lines if line.meter_id in wanted))

    @property
    def price_id(self) -> int | None:
        """The price that the call's first priced meter was priced by."""
        return next((line.price_id for line in self.lines if line.price_id is not None), None)


# Identity, time, slot, and the row with the hot meters' columns. Any: columns by name.
Located = tuple[UUID, datetime, int, Mapping[str, Any]]


def costs_of(calls: Sequence[Located], query: AsOf) -> dict[UUID, CallCost]:
    """The cost of each of these calls, at the prices known now or as the query asks. Three queries."""
    if not calls:
        return {}
    quantities = _quantities(calls)
    rates = _rates({slot for _, _, slot, _ in calls}, query)
    labels = meter_labels()
    return {
        identity: _cost(quantities[identity], rates.get(slot, {}), labels) for identity, _, slot, _ in calls
    }


def prices_of(costs: Sequence[CallCost]) -> dict[int, Price]:
    """The rows of the price book behind these costs, by id, each with its version."""
    ids = {line.price_id for cost in costs for line in cost.lines if line.price_id is not None}
    return Price.objects.select_related("version").in_bulk(ids)


def agreements_of(costs: Sequence[CallCost]) -> dict[int, Agreement]:
    """The agreements behind these costs, by id, each with its version."""
    ids = {line.agreement_id for cost in costs for line in cost.lines if line.agreement_id is not None}
    return Agreement.objects.select_related("version").in_bulk(ids) if ids else {}


def _quantities(calls: Sequence[Located]) -> dict[UUID, list[tuple[int, Decimal]]]:
    quantities = {
        identity: [(meter.value, Decimal(row[meter.label])) for meter in HOT_METERS if row[meter.label]]
        for identity, _, _, row in calls
    }
    instants = [instant for _, instant, _, _ in calls]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT identity, meter_id, quantity FROM call_unit"
            " WHERE identity = ANY(%s) AND occurred_at >= %s AND occurred_at <= %s ORDER BY meter_id",
            [list(quantities), min(instants), max(instants)],
        )
        for identity, meter_id, quantity in cursor.fetchall():
            quantities[identity].append((meter_id, quantity))
    return quantities


def _rates(slots: set[int], query: AsOf) -> dict[int, dict[int, dict[str, Any]]]:
    s = Statement()
    sql = (
        "SELECT r.slot_id, r.meter_id, r.list_price, r.contracted_price, r.effective_price, r.saving_price,"
        f" r.price_id, r.agreement_id FROM slot_rate r"
        f" WHERE r.slot_id = ANY({s.bind(list(slots))}) AND {known('r', query, s)}"
    )
    rates: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(sql, s.parameters)
        names = [column.name for column in cursor.description or ()][2:]
        for slot, meter_id, *values in cursor.fetchall():
            rates[slot][meter_id] = dict(zip(names, values, strict=True))
    return dict(rates)


def _cost(
    quantities: Sequence[tuple[int, Decimal]], rates: Mapping[int, dict[str, Any]], labels: Mapping[int, str]
) -> CallCost:
    lines = tuple(
        CostLine(meter=labels[meter_id], meter_id=meter_id, quantity=quantity, **rates.get(meter_id, {}))
        for meter_id, quantity in quantities
    )
    priced = [line for line in lines if line.price_id is not None]
    if not rates or (lines and not priced):
        return CallCost(Status.UNPRICED, lines, None, None, None, None)
    status = Status.PRICED if len(priced) == len(lines) else Status.PARTIALLY_PRICED
    kinds = ("list_price", "contracted_price", "effective_price", "saving_price")
    with localcontext(EXACT):
        sums = [sum((line.quantity * getattr(line, kind) for line in priced), ZERO) for kind in kinds]
    return CallCost(status, lines, *sums)


def _times(quantity: Decimal, price: Decimal | None) -> Decimal | None:
    if price is None:
        return None
    with localcontext(EXACT):
        return quantity * price
