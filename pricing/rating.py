"""Rating: quantities times unit prices, as the rules read.

Pure and exact. A meter without a price is listed as unpriced and left out of the cost: it is never
charged at another meter's price and never taken as free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, Inexact, localcontext
from enum import StrEnum

from finops.core.meters import Meter, Usage, partition
from finops.core.money import EXACT, ZERO
from pricing.agreements import Agreed, Priced
from pricing.book import Quote, Tariff
from pricing.entries import UnitPrice

# Where a quotient has no end (a price per hour, for seconds), it is kept to this many places.
_PLACES = Decimal(1).scaleb(-18)
# The order in which a prompt fills the brackets of a marginal price: its cached beginning first.
_PROMPT_ORDER = (
    Meter.CACHE_READ, Meter.AUDIO_CACHED, Meter.IMAGE_CACHED, Meter.CACHE_WRITE, Meter.CACHE_WRITE_1H,
    Meter.AUDIO_INPUT, Meter.IMAGE_INPUT, Meter.INPUT,
)  # fmt: skip


class Status(StrEnum):
    """How much of what a call used has a price."""

    PRICED = "priced"
    PARTIALLY_PRICED = "partially_priced"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class Line:
    """One meter of one call; prices and costs are None where no price is known.

    ``unit_price`` and ``cost`` are the list's; ``agreed`` is what makes the contracted ones differ.
    """

    meter: str
    quantity: Decimal
    unit_price: Decimal | None
    cost: Decimal | None
    saving: Decimal = ZERO
    price_id: int | None = None
    contracted_unit_price: Decimal | None = None
    contracted_cost: Decimal | None = None
    agreed: Agreed | None = None


@dataclass(frozen=True, slots=True)
class Rating:
    """What a call costs, and what that is made of. Costs are None when nothing is priced.

    ``cost`` is at list prices; ``contracted_cost`` and ``saving`` are at what was agreed.
    """

    status: Status
    cost: Decimal | None
    saving: Decimal
    lines: tuple[Line, ...]
    quote: Quote
    contracted_cost: Decimal | None = None


def rate_usage(
    tariff: Tariff,
    *,
    at: int,
    usage: Usage,
    units: Mapping[str, Decimal] | None = None,
    prompt_tokens: int | None = None,
) -> Rating:
    """Rate one call that completed at ``at`` (Unix seconds); ``units`` are its per-call units.

    Where the usage is the sum of several calls, ``prompt_tokens`` is the input of one of them.

    A call answered from the application's own cache costs nothing, and its full price is the saving.
    Raises InvalidInput for usage whose parts exceed their total.
    """
    meters = partition(usage)
    quote = tariff.quote(at, usage.input_tokens if prompt_tokens is None else prompt_tokens)
    quantities = {meter.label: Decimal(count) for meter, count in meters.items()} | dict(units or {})
    lines = tuple(_lines(quote, quantities, free=tariff.facts.from_response_cache))
    with localcontext(EXACT):
        cost = sum((line.cost for line in lines if line.cost is not None), ZERO)
        contracted = sum((line.contracted_cost or ZERO for line in lines), ZERO)
        saving = sum((line.saving for line in lines), ZERO)
    status = _status(quote, lines)
    if status is Status.UNPRICED:
        return Rating(status, None, saving, lines, quote)
    return Rating(status, cost, saving, lines, quote, contracted)


def charged_quantity(quantity: Decimal, unit_price: UnitPrice) -> Decimal:
    """What one call is charged for: what it used, but at least the provider's minimum."""
    return quantity if unit_price.minimum is None else max(quantity, unit_price.minimum)


def cost_of(quantity: Decimal, unit_price: UnitPrice) -> Decimal:
    """Dollars for a quantity: exact, or to 18 places where the quotient never ends."""
    with localcontext(EXACT) as context:
        amount = quantity * unit_price.amount / unit_price.per
        return amount.quantize(_PLACES) if context.flags[Inexact] else amount


def each(unit_price: UnitPrice) -> Decimal:
    """Dollars for a single unit, to at most 18 places."""
    with localcontext(EXACT):
        amount = unit_price.amount / unit_price.per
        kept = amount.quantize(_PLACES)
        return amount if kept == amount else kept


def saving_each(meter: str, meters: Mapping[str, Priced]) -> Decimal:
    """What a unit on this meter saved by caching, against the uncached input of its modality.

    At contracted prices. Negative for cache writes, which cost more than plain input; zero where either
    has no price.
    """
    plain = _UNCACHED.get(meter)
    if plain is None or plain not in meters or meter not in meters:
        return ZERO
    with localcontext(EXACT):
        return each(meters[plain].contracted) - each(meters[meter].contracted)


_UNCACHED = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "input",
    "audio_cached": "audio_input",
    "image_cached": "image_input",
}


def _status(quote: Quote, lines: Iterable[Line]) -> Status:
    known = [line.cost is not None for line in lines]
    if quote.row is None or (known and not any(known)):
        return Status.UNPRICED
    return Status.PRICED if all(known) else Status.PARTIALLY_PRICED


def _lines(quote: Quote, quantities: Mapping[str, Decimal], *, free: bool) -> Iterator[Line]:
    for meter, quantity, meters in _parts(quote, quantities):
        if not quantity:
            continue
        priced = meters.get(meter)
        if priced is None:
            yield Line(meter, quantity, None, None)
            continue
        yield _line(meter, quantity, meters, free=free)


def _line(meter: str, quantity: Decimal, meters: Mapping[str, Priced], *, free: bool) -> Line:
    priced = meters[meter]
    charged = charged_quantity(quantity, priced.unit_price)
    listed = cost_of(charged, priced.unit_price)
    contracted = listed if priced.agreed is None else cost_of(charged, priced.contracted)
    if free:
        return Line(meter, charged, ZERO, ZERO, contracted, priced.row.id, ZERO, ZERO, priced.agreed)
    with localcontext(EXACT):
        saving = quantity * saving_each(meter, meters)
    prices = (each(priced.unit_price), each(priced.contracted))
    return Line(
        meter, charged, prices[0], listed, saving, priced.row.id, prices[1], contracted, priced.agreed
    )


def _parts(
    quote: Quote, quantities: Mapping[str, Decimal]
) -> Iterator[tuple[str, Decimal, Mapping[str, Priced]]]:
    """Every quantity with the unit prices that apply to it; marginal prices split the prompt."""
    if not quote.brackets:
        for meter, quantity in quantities.items():
            yield meter, quantity, quote.meters
        return
    base = {**quote.meters, **quote.brackets[0][1]}
    prompt = [meter.label for meter in _PROMPT_ORDER]
    position = ZERO
    for meter in prompt:
        for meters, share in _shares(quote, position, quantities.get(meter, ZERO)):
            yield meter, share, meters
        position += quantities.get(meter, ZERO)
    for meter, quantity in quantities.items():
        if meter not in prompt:
            yield meter, quantity, base


def _shares(
    quote: Quote, position: Decimal, quantity: Decimal
) -> Iterator[tuple[Mapping[str, Priced], Decimal]]:
    """How the tokens at this position of the prompt fall into the brackets."""
    ends = [Decimal(over) for over, _ in quote.brackets[1:]] + [Decimal("Infinity")]
    for (over, meters), end in zip(quote.brackets, ends, strict=True):
        share = min(position + quantity, end) - max(position, Decimal(over))
        if share > 0:
            yield meters, share
