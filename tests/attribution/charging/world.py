"""Usage, terms and agreements for tests of charges, written straight into the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connection
from django.db.models import F

from attribution.models import Charge, ChargeDue, UsageDay
from finops.core.meters import HOT_METERS, Meter
from pricing.models import (
    Agreement,
    AgreementBand,
    AgreementRate,
    BookVersion,
    Commitment,
    Credit,
    SlotRate,
    Tax,
    VersionStatus,
)

Term = TypeVar("Term", Commitment, Credit, Tax)
FIRST = date(2026, 10, 1)
END = date(2026, 10, 7)
AFTER = date(2026, 10, 20)
_NO_COUNTS = {"errors": 0, "retries": 0, "tool_calls": 0}


def use(day: date, dimension_set: int, slot: int, tokens: Mapping[Meter, int]) -> None:
    """More usage of a day, and the mark that a fold would leave."""
    hot = {meter.label: tokens.get(meter, 0) for meter in HOT_METERS}
    key = {"day": day, "dimension_set_id": dimension_set, "slot_id": slot}
    row = UsageDay.objects.filter(**key).first()
    if row is None:
        UsageDay.objects.create(**key, calls=1, **_NO_COUNTS, **hot)
    else:
        more = {name: getattr(row, name) + count for name, count in hot.items()}
        UsageDay.objects.filter(**key).update(calls=row.calls + 1, **more)
    ChargeDue.objects.create(day=day)


def term(table: type[Term], /, **fields: Any) -> Term:
    """One term as it would be entered now."""
    said = {"name": f"term {table._default_manager.count()}", "provider": "openai", "starts_on": FIRST}
    return table._default_manager.create(
        **{**said, "ends_on": END, "entered_by": "ann", "known_from": _now(), **fields}
    )


def prepaid(amount: str, credit: str, **fields: Any) -> Commitment:
    """Prepaid spend."""
    money = {"amount": Decimal(amount), "amount_usd": Decimal(amount), "credit_usd": Decimal(credit)}
    return term(Commitment, kind="prepaid", **money, **fields)


def capacity(amount: str, hourly: str, per_hour: str | None, **fields: Any) -> Commitment:
    """Capacity by the hour."""
    money = {"amount_usd": Decimal(amount), "hourly_usd": Decimal(hourly)}
    tokens = None if per_hour is None else Decimal(per_hour)
    return term(Commitment, kind="provisioned", capacity_per_hour=tokens, **money, **fields)


def credit(amount: str, kind: str = "grant", **fields: Any) -> Credit:
    """A credit."""
    return term(Credit, kind=kind, amount=Decimal(amount), amount_usd=Decimal(amount), **fields)


def correct(old: Term, **fields: Any) -> Term:
    """The same term said otherwise."""
    number, old.known_to = old.pk, _now()
    old.save(update_fields=["known_to"])
    fresh = type(old)._default_manager.get(pk=number)
    fresh.pk, fresh.known_from, fresh.known_to = None, _now(), None
    for name, value in fields.items():
        setattr(fresh, name, value)
    fresh.save(force_insert=True)
    return fresh


def current() -> dict[tuple[object, ...], tuple[Decimal, Decimal, Decimal]]:
    """Charges as known now: (day, set, slot, origin, id, part) to contracted, effective and billed."""
    return {
        (c.day, c.dimension_set_id, c.slot_id, c.origin, c.origin_id, c.part): (
            c.contracted_cost,
            c.effective_cost,
            c.billed_cost,
        )
        for c in Charge.objects.filter(known_to=None)
    }


def sums(**filters: Any) -> tuple[Decimal, Decimal]:
    """Effective and billed cost of charges as known now."""
    rows = Charge.objects.filter(known_to=None, **filters).values_list("effective_cost", "billed_cost")
    return sum((e for e, _ in rows), Decimal(0)), sum((b for _, b in rows), Decimal(0))


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now.astimezone(UTC)


def agree(slots: Iterable[int], bands: Mapping[str, str | Mapping[str, str]], **fields: Any) -> Agreement:
    """A published agreement with volume bands that makes the prices of these slots.

    ``bands``: by their beginning, a percentage off or rates per million. The factory's list prices hold; the
    band over 0 makes the contracted ones.
    """
    version = BookVersion.objects.create(label="agreed", content_hash="1")
    fields = {"volume_of": "tokens", "band_mode": "whole", **fields}
    made = Agreement.objects.create(version=version, name="volume", provider="openai", **fields)
    for over, said in bands.items():
        percent = Decimal(said) if isinstance(said, str) else None
        band = AgreementBand.objects.create(agreement=made, over=Decimal(over), percent_off=percent)
        if not isinstance(said, str):
            for meter, price in said.items():
                AgreementRate.objects.create(band=band, meter=meter, unit_price=Decimal(price))
    BookVersion.objects.filter(pk=version.pk).update(status=VersionStatus.PUBLISHED, published_at=_now())
    rates = SlotRate.objects.filter(slot_id__in=slots, known_to=None)
    rates.update(agreement=made, contracted_price=F("list_price"))
    return made
