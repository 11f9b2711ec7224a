"""The chain behind one call's cost: usage, meters, unit prices, their source, agreement, rule and owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from attribution.call_costs import agreements_of, prices_of
from attribution.calls import Call, find
from attribution.models import Attribution
from finops.core.errors import NotFound
from pricing.models import Agreement, Price, PriceSlot


@dataclass(frozen=True, slots=True)
class Explanation:
    """One call with everything its cost and its owner rest on."""

    call: Call
    slot: PriceSlot
    prices: dict[int, Price]  # by id, those its lines name
    agreements: dict[int, Agreement]  # likewise
    attribution: Attribution


def explain(
    source: str,
    event_id: str,
    *,
    visible_teams: frozenset[str] | None = None,
    as_of: datetime | None = None,
) -> Explanation:
    """Explain one call. Raises NotFound when there is none, or none for these eyes."""
    call = find(source, event_id, visible_teams=visible_teams, as_of=as_of)
    if call is None:
        raise NotFound(f'There is no call "{event_id}" of source "{source}".')
    return Explanation(
        call=call,
        slot=PriceSlot.objects.get(pk=call.slot_id),
        prices=prices_of([call.cost]),
        agreements=agreements_of([call.cost]),
        attribution=Attribution.objects.get(pk=call.attribution_id),
    )
