"""What the price book is made of: prices, factors and other names, each for an interval of time.

Pure values, as ``pricing.catalogue`` reads them out of the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

from finops.core.meters import Meter
from finops.core.money import EXACT
from pricing.facts import STANDARD, Facts
from pricing.patterns import matches
from pricing.schedules import Schedule

# Unix seconds; open ends of an interval are None.
Instant = int
Span = tuple[Instant | None, Instant | None]
TOKEN_METERS = frozenset(meter.label for meter in Meter)


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """``amount`` dollars for ``per`` units; at least ``minimum`` units are charged to a call."""

    amount: Decimal
    per: int
    minimum: Decimal | None = None

    @property
    def each(self) -> Decimal:
        """Dollars for a single unit (exact wherever a decimal can say it, else to 60 digits)."""
        with localcontext(EXACT):
            return self.amount / self.per

    def times(self, factor: Decimal) -> UnitPrice:
        with localcontext(EXACT):
            return UnitPrice(self.amount * factor, self.per, self.minimum)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookRow:
    """One price of the book; ``over`` is the exclusive lower bound of the prompt, 0 for base rates."""

    id: int
    provider: str
    model: str
    rates: Mapping[str, UnitPrice]
    fees: bool = False
    service_tier: str = STANDARD
    processing: str = "sync"
    speed: str = STANDARD
    region: str = ""
    host: str = ""
    over: int = 0
    marginal: bool = False
    schedule: Schedule | None = None
    effective: Span = (None, None)
    known_from: float = 0.0
    source: str = ""
    evidence: str = ""

    def meets(self, facts: Facts) -> bool:
        """Whether its conditions other than model, time, prompt and hour hold."""
        own = (self.service_tier, self.processing, self.speed)
        asked = (facts.service_tier, facts.processing, facts.speed)
        return (
            all(mine in ("", theirs) for mine, theirs in zip(own, asked, strict=True))
            and self.host in ("", facts.host)
            and (not self.region or matches(self.region, facts.region))
        )


@dataclass(frozen=True, slots=True)
class Factor:
    """A regional factor on token rates; None: charged otherwise, not known how."""

    provider: str
    model: str
    region: str
    factor: Decimal | None
    effective: Span = (None, None)
    known_from: float = 0.0


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name for a model of the book."""

    provider: str
    host: str
    model: str
    target_provider: str
    target_model: str
    effective: Span = (None, None)


def holds(span: Span, at: Instant) -> bool:
    """Whether the half-open interval holds at this instant."""
    start, end = span
    return (start is None or start <= at) and (end is None or at < end)
