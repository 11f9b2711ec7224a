"""Where an agreement holds now: the prices of calls that it makes other than the list's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from itertools import groupby

from django.db.models import Q

from finops.core.meters import Meter
from finops.core.money import EXACT
from finops.ui.formats import per_cent
from pricing.models import Agreement, PriceSlot, SlotRate, UnitMeter
from pricing.views.shown import MILLION, TOKENS, model_url, unit_of

_USUAL = ("standard", "sync", "")


@dataclass(frozen=True, slots=True)
class Applied:
    """One meter of one kind of call: dollars for ``per`` units, at the list and as agreed."""

    name: tuple[str, str]  # provider, model
    conditions: Sequence[str]
    meter: str
    listed: Decimal
    contracted: Decimal

    @property
    def unit(self) -> str:
        return unit_of(self.meter, MILLION if self.meter in TOKENS else 1)

    @property
    def model_url(self) -> str:
        return model_url(*self.name)

    @property
    def difference(self) -> str:
        """What it makes of the list price, in per cent of that."""
        if self.listed == self.contracted:
            return "none"
        if not self.listed:
            return "new"
        with localcontext(EXACT):
            return per_cent((self.contracted - self.listed) / self.listed, signed=True)


def applied(agreement: Agreement, now: datetime) -> list[list[Applied]]:
    """Its prices now, by the kinds of call that were made: those of its meters for each. Two queries.

    Empty where no such call was made, and for an agreement that is not in force.
    """
    found = (
        SlotRate.objects.filter(agreement=agreement, known_to=None, slot__from_response_cache=False)
        .filter(
            Q(slot__effective_from=None) | Q(slot__effective_from__lte=now),
            Q(slot__effective_to=None) | Q(slot__effective_to__gt=now),
        )
        .select_related("slot")
    )
    names = {int(meter): meter.label for meter in Meter} | dict(UnitMeter.objects.values_list("pk", "name"))
    ordered = sorted(found, key=lambda rate: (_place(rate.slot), rate.slot_id, rate.meter_id))
    return [
        [_line(rate, names[rate.meter_id]) for rate in rates]
        for _, rates in groupby(ordered, key=lambda rate: rate.slot_id)
    ]


def _place(slot: PriceSlot) -> tuple[str | int, ...]:
    words = (slot.provider, slot.model, slot.account, slot.host, slot.region)
    return (*words, slot.service_tier, slot.processing, slot.speed, slot.context_over, slot.schedule)


def _line(rate: SlotRate, meter: str) -> Applied:
    slot, per = rate.slot, MILLION if meter in TOKENS else 1
    with localcontext(EXACT):
        listed, contracted = rate.list_price * per, rate.contracted_price * per
    return Applied((slot.provider, slot.model), _conditions(slot), meter, listed, contracted)


def _conditions(slot: PriceSlot) -> list[str]:
    found = [word for word in (slot.service_tier, slot.processing, slot.speed) if word not in _USUAL]
    found += [f"prompt > {slot.context_over:,}"] if slot.context_over else []
    found += [f"prompt ≤ {slot.context_upto:,}"] if slot.context_upto is not None else []
    found += [f"{slot.schedule} hours"] if slot.schedule else []
    found += [f"region {slot.region}"] if slot.region else []
    found += [f"on {slot.host}"] if slot.host else []
    found += [f"account {slot.account}"] if slot.account else []
    return found
