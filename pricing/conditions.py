"""Under which conditions and when a price applies, so that prices can be compared and told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import NamedTuple

from finops.core.money import EXACT
from pricing.models import ContextOperator, Price, PriceKind, Rate
from pricing.patterns import is_pattern, overlap, weight

# Half-open; None leaves an end open.
Span = tuple[datetime | None, datetime | None]
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


class Conditions(NamedTuple):
    """Everything but time that decides whether a price applies; equal ones must not overlap in time."""

    kind: str
    provider: str
    model: str
    service_tier: str
    processing: str
    speed: str
    region: str
    host: str
    over: int  # prompt tokens, exclusive; 0: the base rates
    schedule: str


def conditions_of(price: Price) -> Conditions:
    """The conditions of one price."""
    threshold = price.context_threshold or 0
    return Conditions(
        price.kind,
        price.provider,
        price.model.lower(),
        price.service_tier,
        price.processing,
        price.speed,
        price.region,
        price.host,
        threshold - (price.context_operator == ContextOperator.AT_LEAST),
        json.dumps(price.schedule, sort_keys=True) if price.schedule else "",
    )


def span_of(price: Price) -> Span:
    """When a price applies."""
    return (price.effective_from, price.effective_to)


def common(one: Span, other: Span) -> Span | None:
    """Where two intervals overlap; None where they do not."""
    start = max(one[0] or EARLIEST, other[0] or EARLIEST)
    end = min(one[1] or LATEST, other[1] or LATEST)
    return _open(start, end) if start < end else None


def without(whole: Span, hole: Span) -> list[Span]:
    """What is left of an interval beside another: none, one or two pieces."""
    shared = common(whole, hole)
    if shared is None:
        return [whole]
    start, end = whole[0] or EARLIEST, whole[1] or LATEST
    first, last = shared[0] or EARLIEST, shared[1] or LATEST
    return [_open(a, b) for a, b in ((start, first), (last, end)) if a < b]


def said_by(
    price: Price, rates: Iterable[Rate]
) -> tuple[str, frozenset[tuple[str, Decimal, Decimal | None]]]:
    """What a price charges: equal for prices under which every call costs the same."""
    charged = frozenset((rate.meter, each(rate), rate.minimum) for rate in rates)
    return (price.mode if price.context_threshold else "", charged)


def each(rate: Rate) -> Decimal:
    """Dollars for a single unit."""
    with localcontext(EXACT):
        return (rate.unit_price / rate.per).normalize()


def collide(price: Price, rates: Iterable[Rate], other: Price, others: Iterable[Rate]) -> bool:
    """Whether it would be open which of two prices applies to a call at some time."""
    if common(span_of(price), span_of(other)) is None:
        return False
    mine, theirs = conditions_of(price), conditions_of(other)
    if mine._replace(model="", region="") != theirs._replace(model="", region=""):
        return False
    if not _tie(mine.model, theirs.model) or not _tie(mine.region, theirs.region):
        return False
    if price.kind == PriceKind.FEES:
        return bool({rate.meter for rate in rates} & {rate.meter for rate in others})
    return True


def in_words(price: Price) -> str:
    """What a price is for, in one line."""
    parts = [f"{price.provider}/{price.model}"]
    if price.kind == PriceKind.FEES:
        parts.append("fees")
    else:
        said = (price.service_tier, price.processing, price.speed)
        parts += [word for word in said if word not in ("standard", "sync", "")]
    if price.context_threshold:
        sign = "from" if price.context_operator == ContextOperator.AT_LEAST else "over"
        parts.append(f"prompts {sign} {price.context_threshold:,} tokens")
    parts += [f"region {price.region}"] if price.region else []
    parts += [f"on {price.host}"] if price.host else []
    parts += [f"{price.schedule.get('name', 'scheduled')} hours"] if price.schedule else []
    return ", ".join(parts)


def span_in_words(span: Span) -> str:
    """An interval, in UTC."""
    start, end = (edge and _day_or_moment(edge) for edge in span)
    if start and end:
        return f"from {start} to {end}"
    if start or end:
        return f"from {start} on" if start else f"until {end}"
    return "at any time"


def _day_or_moment(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%d}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _tie(one: str, other: str) -> bool:
    """Whether two names or patterns are equally specific and may both fit one name."""
    if one == other:
        return True
    if weight(one) != weight(other) or not (is_pattern(one) and is_pattern(other)):
        return False
    return overlap(one, other)


def _open(start: datetime, end: datetime) -> Span:
    return (None if start == EARLIEST else start, None if end == LATEST else end)
