"""Prices as screens and exports show them: an amount, and for how many of what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from urllib.parse import urlencode

from django.urls import reverse

from finops.core.meters import Meter
from finops.core.money import EXACT
from pricing.conditions import each
from pricing.models import Price, Rate, SlotRate, UnitMeter, Versioned, VersionStatus

MILLION = 1_000_000
TOKENS = frozenset(meter.label for meter in Meter)


@dataclass(frozen=True, slots=True)
class Shown:
    """One meter of one price. Amounts are for ``per`` units: a million tokens, or as the price states."""

    price: Price
    meter: str
    amount: Decimal
    per: int
    minimum: Decimal | None = None
    contracted: Decimal | None = None

    @property
    def unit(self) -> str:
        if self.meter in TOKENS:
            return "1M tokens"
        return "1M" if self.per == MILLION else f"{self.per:,}" if self.per > 1 else "each"

    @property
    def model_url(self) -> str:
        return model_url(self.price.provider, self.price.model)


def shown(rate: Rate, contracted: Mapping[tuple[int, str], Decimal] | None = None) -> Shown:
    """A rate for a million tokens, or for as many units as it states."""
    per = MILLION if rate.meter in TOKENS else rate.per
    own = (contracted or {}).get((rate.price_id, rate.meter))
    with localcontext(EXACT):
        amount = each(rate) * per
        agreed = None if own is None else own * per
    return Shown(rate.price, rate.meter, amount, per, rate.minimum, agreed)


def contracted_prices(prices: Iterable[int]) -> dict[tuple[int, str], Decimal]:
    """What is paid in place of the list price of a single unit, by price and meter, where calls use it."""
    names = {int(meter): meter.label for meter in Meter} | dict(UnitMeter.objects.values_list("id", "name"))
    rates = SlotRate.objects.filter(price_id__in=list(prices), known_to=None).values_list(
        "price_id", "meter_id", "list_price", "contracted_price"
    )
    return {
        (price, names[meter]): contracted
        for price, meter, listed, contracted in rates
        if contracted != listed and meter in names
    }


class State(StrEnum):
    """Where a row of the book stands."""

    DISCARDED = "Discarded"
    DRAFT = "In a draft"
    SUPERSEDED = "Superseded"
    LATER = "Later"
    ENDED = "Ended"
    IN_FORCE = "In force"

    @property
    def level(self) -> str:
        """How it is coloured."""
        return {State.IN_FORCE: "ok", State.LATER: "warn", State.DRAFT: "warn"}.get(self, "")


def state_of(row: Versioned, now: datetime) -> State:
    """Whether a row prices anything now. Its version is read with it."""
    if row.version.status == VersionStatus.DISCARDED:
        return State.DISCARDED
    if row.version.is_open:
        return State.DRAFT
    if row.superseded_by_id is not None:
        return State.SUPERSEDED
    if row.effective_from is not None and row.effective_from > now:
        return State.LATER
    is_over = row.effective_to is not None and row.effective_to <= now
    return State.ENDED if is_over else State.IN_FORCE


def model_url(provider: str, model: str) -> str:
    """The page of one model."""
    return f"{reverse('pricing:model')}?{urlencode({'provider': provider, 'model': model})}"


def conditions(price: Price) -> Sequence[str]:
    """What a price depends on besides model and time; empty for the plain standard price."""
    found = [] if price.kind == "rates" else ["fees"]
    found += [
        word
        for word in (price.service_tier, price.processing, price.speed)
        if word not in ("standard", "sync", "")
    ]
    if price.context_threshold:
        sign = "≥" if price.context_operator == "ge" else ">"
        beyond = ", only tokens beyond" if price.mode == "marginal" else ""
        found.append(f"prompt {sign} {price.context_threshold:,}{beyond}")
    found += [f"region {price.region}"] if price.region else []
    found += [f"on {price.host}"] if price.host else []
    found += [f"{price.schedule.get('name', 'scheduled')} hours"] if price.schedule else []
    return found
