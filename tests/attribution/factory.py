"""Rows for tests of the books, written straight into the tables: amounts are always said explicitly."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from attribution import ownership, registry
from attribution.ingest.identity import identity_of
from attribution.models import Customer, DimensionSet, IngestBatch
from attribution.models.events import CallStatus
from finops.core.meters import Meter
from pricing.models import BookVersion, Price, PriceSlot, SlotRate

MILLION = Decimal(1_000_000)
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
ARRIVED = [
    "source",
    "api_key",
    "key_team",
    "team",
    "feature",
    "tier",
    "environment",
    "workflow",
    "step",
    "prompt_version",
    "release",
    "operation",
]


def dimension_set(tags: Mapping[str, str] | None = None, **names: str) -> int:
    """One combination, attributed as the ingest would do it; ``tags`` are of allocation keys."""
    values = {**dict.fromkeys(ARRIVED, ""), "source": "app", **names}
    with transaction.atomic():
        row = DimensionSet.objects.create(
            hash=uuid.uuid4(), first_seen_at=EPOCH, tags=dict(tags or {}), **values
        )
        registry.register_names([values["feature"]], [values["tier"]], EPOCH)
        ownership.attribute_new_sets([row.pk])
    return row.pk


def price_slot(
    prices: Mapping[Meter | int, str] | None = None, *, known_from: datetime = EPOCH, **facts: Any
) -> int:
    """One slot; ``prices`` are dollars per million units of a meter, None: unpriced."""
    defaults = {
        "provider": "openai",
        "model": "gpt-x",
        "host": "",
        "region": "",
        "service_tier": "standard",
        "processing": "sync",
        "speed": "standard",
        "from_response_cache": False,
        "account": "",
    }
    slot = PriceSlot.objects.create(**{**defaults, **facts})
    if prices is not None:
        rates(slot.pk, prices, known_from=known_from)
    return slot.pk


def rates(slot: int, prices: Mapping[Meter | int, str], *, known_from: datetime = EPOCH) -> None:
    """Unit prices from a knowledge time on; contracted is 90 % and effective 80 % of list."""
    SlotRate.objects.filter(slot_id=slot, meter_id__in=prices, known_to=None).update(known_to=known_from)
    price = _any_price()
    full = Decimal(prices.get(Meter.INPUT, "0")) / MILLION
    for meter, per_million in prices.items():
        listed = Decimal(per_million) / MILLION
        SlotRate.objects.create(
            slot_id=slot,
            meter_id=int(meter),
            known_from=known_from,
            list_price=listed,
            contracted_price=listed * Decimal("0.9"),
            effective_price=listed * Decimal("0.8"),
            saving_price=full - listed if meter == Meter.CACHE_READ else Decimal(0),
            price=price,
        )


def _any_price() -> Price:
    version, _ = BookVersion.objects.get_or_create(label="test", content_hash="0")
    price, _ = Price.objects.get_or_create(
        version=version, provider="openai", model="gpt-x", evidence="own", source="a test"
    )
    return price


@dataclass
class Call:
    """One call, by the columns of ``call_event``; token meters by their labels."""

    at: datetime
    dimension_set: int
    slot: int
    tokens: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[int, str] = field(default_factory=dict)
    event_id: str = ""
    customer: str = ""
    status: CallStatus = CallStatus.SUCCESS
    attempt: int = 1
    tool_calls: int = 0
    duration_ms: int = -1
    end_user: str | None = None
    task_id: str | None = None
    session_id: str | None = None
    content_hash: int = 0
    detail: str | None = None
    identity: uuid.UUID = field(default_factory=uuid.uuid4)
    source: str = "app"

    def __post_init__(self) -> None:
        if self.event_id:
            self.identity = identity_of(self.source, self.event_id)
        else:
            self.event_id = self.identity.hex
            self.identity = identity_of(self.source, self.event_id)


def book(calls: Iterable[Call], *, received_at: datetime | None = None) -> int:
    """Store calls as one durable batch, not folded yet; returns the batch's id."""
    calls = list(calls)
    batch = IngestBatch.objects.create(
        received_at=received_at or datetime.now(UTC),
        accepted=len(calls),
        first_at=min(call.at for call in calls),
        last_at=max(call.at for call in calls),
    )
    customers = {
        name: Customer.objects.get_or_create(name=name)[0].pk
        for name in {call.customer for call in calls if call.customer}
    }
    days = {call.at.astimezone(UTC).date() for call in calls}
    with connection.cursor() as cursor:
        for day in sorted(days):
            ensure_partition(day)
        cursor.executemany(_INSERT, [_row(call, batch.pk, customers) for call in calls])
        units = [
            (call.at, call.identity, batch.pk, int(meter), Decimal(quantity))
            for call in calls
            for meter, quantity in call.units.items()
        ]
        if units:
            cursor.executemany(
                "INSERT INTO call_unit (occurred_at, identity, batch_id, meter_id, quantity)"
                " VALUES (%s, %s, %s, %s, %s)",
                units,
            )
    return batch.pk


def ensure_partition(day: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT ensure_call_partition(%s)", [day])


_COLUMNS = [
    "occurred_at",
    "identity",
    "content_hash",
    "batch_id",
    "dimension_set_id",
    "slot_id",
    "customer_id",
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "duration_ms",
    "ttft_ms",
    "retrieval_tokens",
    "tool_calls",
    "attempt",
    "status",
    "response_cache",
    "event_id",
    "task_id",
    "session_id",
    "end_user",
    "detail",
]
_INSERT = f"INSERT INTO call_event ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"


def _row(call: Call, batch: int, customers: Mapping[str, int]) -> list[Any]:
    hot = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
    return [
        call.at,
        call.identity,
        call.content_hash,
        batch,
        call.dimension_set,
        call.slot,
        customers.get(call.customer, 0),
        *(call.tokens.get(name, 0) for name in hot),
        call.duration_ms,
        -1,
        -1,
        call.tool_calls,
        call.attempt,
        int(call.status),
        0,
        call.event_id or call.identity.hex,
        call.task_id,
        call.session_id,
        call.end_user,
        call.detail,
    ]


def hours(start: datetime, count: int) -> list[datetime]:
    """Instants an hour apart."""
    return [start + timedelta(hours=n) for n in range(count)]
