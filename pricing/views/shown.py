"""Prices as screens and exports show them: an amount, and for how many of what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from urllib.parse import urlencode

from django.urls import reverse

from finops.core.meters import Meter
from finops.core.money import EXACT
from pricing.conditions import each
from pricing.models import Price, Rate, Versioned, VersionStatus

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

    @property
    def unit(self) -> str:
        return unit_of(self.meter, self.per)

    @property
    def model_url(self) -> str:
        return model_url(self.price.provider, self.price.model)


def unit_of(meter: str, per: int) -> str:
    """What an amount for ``per`` units of a meter is for, in words."""
    if per == MILLION:
        return "1M tokens" if meter in TOKENS else "1M"
    return f"{per:,}" if per > 1 else "each"


def shown(rate: Rate) -> Shown:
    """A rate for a million tokens, or for as many units as it states."""
    per = MILLION if rate.meter in TOKENS else rate.per
    with localcontext(EXACT):
        amount = each(rate) * per
    return Shown(rate.price, rate.meter, amount, per, rate.minimum)


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
