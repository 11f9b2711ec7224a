"""Our cost beside what others say it was: clients in their calls, providers in their reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext

from django.db import connection
from django.db.models import Sum
from django.db.models.functions import TruncDate

from attribution.models import ProviderCost
from attribution.reports import CostQuery, Granularity, costs
from finops.core.meters import HOT_METERS
from finops.core.money import EXACT, ZERO
from finops.core.periods import Period

NOTABLE = Decimal("0.01")
_PRICES = ", ".join(
    f"coalesce(max(list_price) FILTER (WHERE meter_id = {meter.value}), 0) AS {meter.label}_price"
    for meter in HOT_METERS
)
_COST = " + ".join(f"e.{meter.label} * rate.{meter.label}_price" for meter in HOT_METERS)
# Calls with units beyond the hot meters are left out: their cost is more than their tokens'.
_TOLD_BY_CLIENTS = f"""
    WITH rate AS MATERIALIZED (
        SELECT slot_id, {_PRICES}
        FROM slot_rate WHERE known_to IS NULL GROUP BY slot_id
    )
    SELECT s.provider, s.model, count(*), sum((e.detail #>> '{{reported_cost,amount}}')::numeric),
           sum({_COST})
    FROM call_event e JOIN rate USING (slot_id) JOIN price_slot s ON s.id = e.slot_id
    WHERE e.occurred_at >= %(first)s AND e.occurred_at < %(end)s AND e.detail ? 'reported_cost'
      AND upper(e.detail #>> '{{reported_cost,currency}}') = 'USD'
      AND NOT EXISTS (
          SELECT FROM call_unit u WHERE u.identity = e.identity AND u.occurred_at = e.occurred_at
      )
    GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Drift:
    """One comparison in US dollars; ``what`` is a model or a provider."""

    what: str
    who: str
    said: Decimal
    ours: Decimal
    over: str  # how many calls or days are compared

    @property
    def difference(self) -> Decimal:
        return self.said - self.ours

    @property
    def ratio(self) -> Decimal | None:
        """The difference as a share of our cost; None where we know none."""
        with localcontext(EXACT):
            return self.difference / self.ours if self.ours else None

    @property
    def is_notable(self) -> bool:
        return self.difference != 0 and (self.ratio is None or abs(self.ratio) >= NOTABLE)


def told_by_clients(first: datetime, end: datetime) -> Sequence[Drift]:
    """The list cost of priced calls beside the cost they came with, by model; furthest apart first."""
    with connection.cursor() as cursor:
        cursor.execute(_TOLD_BY_CLIENTS, {"first": first, "end": end})
        found = [
            Drift(f"{provider}/{model}", "clients", said, ours, _counted(calls, "call"))
            for provider, model, calls, said, ours in cursor.fetchall()
        ]
    return sorted(found, key=lambda one: (-abs(one.difference), one.what))


def told_by_providers(first: date, end: date) -> Sequence[Drift]:
    """Contracted cost beside providers' own cost reports, over the UTC days that these cover."""
    start, stop = (datetime.combine(day, time(), UTC) for day in (first, end))
    rows = (
        ProviderCost.objects.filter(
            starts_at__gte=start, starts_at__lt=stop, gone_at=None, currency__iexact="USD"
        )
        .annotate(day=TruncDate("starts_at", tzinfo=UTC))
        .values_list("provider", "day")
        .annotate(amount=Sum("amount"))
    )
    said: dict[str, dict[date, Decimal]] = defaultdict(dict)
    for provider, day, amount in rows:
        said[provider][day] = amount
    if not said:
        return []
    ours = _ours(first, end)
    return [
        Drift(
            provider,
            "its cost report",
            sum(days.values(), ZERO),
            sum((ours.get((provider, day), ZERO) for day in days), ZERO),
            _counted(len(days), "day"),
        )
        for provider, days in sorted(said.items())
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _ours(first: date, end: date) -> dict[tuple[str, date], Decimal]:
    """Contracted cost by provider and UTC day."""
    # A day in UTC may begin on the reporting day before, and end on the one after.
    period = Period(first - timedelta(days=1), end + timedelta(days=1))
    report = costs(
        CostQuery(
            period=period,
            group_by=("provider",),
            measures=("contracted_cost",),
            granularity=Granularity.HOUR,
        )
    )
    found: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
    for group in report.groups:
        for bucket in group.buckets:
            cost = bucket.measures["contracted_cost"]
            if isinstance(bucket.start, datetime) and isinstance(cost, Decimal):
                found[group.key[0] or "", bucket.start.astimezone(UTC).date()] += cost
    return found
