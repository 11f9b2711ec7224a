"""What was negotiated, in memory: which agreement holds for a meter, and the price it makes.

Pure. A fixed rate comes before a percentage, whatever they name; then the more specific. Never two at once.
Of volume bands only the one over 0 is a unit price; what a month's volume takes off is charged apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, localcontext

from finops.core.money import EXACT
from pricing.entries import TOKEN_METERS, BookRow, Span, UnitPrice
from pricing.facts import Facts
from pricing.patterns import matches, weight

# How tokens are read off a row: (token meter, the meter whose rate it takes when it has none).
FALLS_BACK = {"reasoning": "output"}
# A percentage of a price is kept to as many places as the book keeps prices to.
_PLACES = Decimal(1).scaleb(-12)
_HUNDRED = Decimal(100)
Name = tuple[str, str]  # provider, model


def less(amount: Decimal, percent_off: Decimal, place: Decimal) -> Decimal:
    """An amount with a percentage taken off, rounded half up to a place where it has more digits."""
    if not percent_off:
        return amount
    with localcontext(EXACT):
        taken = amount * (_HUNDRED - percent_off) / _HUNDRED
        kept = taken.quantize(place, ROUND_HALF_UP)
    return taken if kept == taken else kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """An agreement and its band over 0: ``percent_off`` the list, or fixed ``rates``; '' is no condition."""

    id: int
    name: str
    provider: str
    model: str = "*"
    account: str = ""
    host: str = ""
    region: str = ""
    service_tier: str = ""
    processing: str = ""
    speed: str = ""
    meters: frozenset[str] = frozenset()
    includes_fees: bool = False
    percent_off: Decimal | None = None
    rates: Mapping[str, UnitPrice] = field(default_factory=dict)
    effective: Span = (None, None)
    known_from: float = 0.0
    source: str = ""

    @property
    def is_fixed(self) -> bool:
        """Whether it states rates, and not a percentage."""
        return bool(self.rates)

    @property
    def rank(self) -> tuple[int, ...]:
        """By what one comes before another that holds too."""
        conditions = (self.service_tier, self.processing, self.speed)
        return (
            self.is_fixed,
            weight(self.model),
            bool(self.account),
            weight(self.region),
            bool(self.host),
            sum(map(bool, conditions)),
            bool(self.meters),
        )

    def meets(self, facts: Facts) -> bool:
        """Whether its conditions other than model, meter and time hold."""
        own = (self.account, self.host, self.service_tier, self.processing, self.speed)
        asked = (facts.account, facts.host, facts.service_tier, facts.processing, facts.speed)
        return all(mine in ("", theirs) for mine, theirs in zip(own, asked, strict=True)) and (
            not self.region or matches(self.region, facts.region)
        )

    def speaks_of(self, meter: str) -> bool:
        """Whether it says what this meter costs: token meters, fees where it includes or lists them."""
        if self.is_fixed:
            return meter in self.rates and (not self.meters or meter in self.meters)
        return meter in self.meters if self.meters else meter in TOKEN_METERS or self.includes_fees

    def price(self, meter: str, listed: UnitPrice) -> UnitPrice:
        """What the meter costs instead of its list price (regional factors included in both)."""
        if self.is_fixed:
            fixed = self.rates[meter]
            return UnitPrice(fixed.amount, fixed.per, listed.minimum)
        amount = less(listed.amount, self.percent_off or Decimal(0), _PLACES)
        return UnitPrice(amount, listed.per, listed.minimum)


@dataclass(frozen=True, slots=True)
class Priced:
    """The list price of one meter and the row it comes from; ``agreed`` where an agreement holds for it."""

    unit_price: UnitPrice
    row: BookRow
    agreed: Agreed | None = None
    agreed_price: UnitPrice | None = None

    @property
    def contracted(self) -> UnitPrice:
        """What the meter costs us."""
        return self.agreed_price or self.unit_price


def in_force(agreements: Iterable[Agreed], names: Sequence[Name]) -> list[Agreed]:
    """Those for a model of one of these names, the more specific first.

    Of two that rank alike, the one that says the name which comes first among the names is first: a name
    that a call was made by comes before what it stands for.
    """

    def nearness(agreed: Agreed) -> int:
        return next(
            (
                len(names) - position
                for position, (provider, model) in enumerate(names)
                if agreed.provider == provider and matches(agreed.model, model)
            ),
            0,
        )

    found = [(agreed.rank, near, -agreed.id, agreed) for agreed in agreements if (near := nearness(agreed))]
    return [agreed for *_, agreed in sorted(found, key=lambda one: one[:3], reverse=True)]


def choose(agreements: Iterable[Agreed], meter: str, *, stated: bool = True) -> tuple[Agreed, str] | None:
    """The agreement that holds for a meter, of those in force, and the meter by which it names it.

    Not ``stated``: the list has no rate of its own for the meter, and charges it as another.
    """
    names = [meter] if stated or meter not in FALLS_BACK else [meter, FALLS_BACK[meter]]
    for agreed in agreements:
        for name in names:
            if agreed.speaks_of(name):
                return agreed, name
    return None


def negotiated(agreements: Sequence[Agreed], meters: Mapping[str, Priced]) -> dict[str, Priced]:
    """List prices with what was agreed beside them."""
    if not agreements:
        return dict(meters)
    found = {}
    for meter, listed in meters.items():
        holding = choose(agreements, meter, stated=meter in listed.row.rates)
        if holding is None:
            found[meter] = listed
        else:
            agreed, name = holding
            price = agreed.price(name, listed.unit_price)
            found[meter] = Priced(listed.unit_price, listed.row, agreed, price)
    return found


def agreed_only(agreements: Sequence[Agreed], row: BookRow, known: Iterable[str]) -> dict[str, Priced]:
    """Meters that only a fixed rate prices; as no list price is known, that is taken to be the same."""
    missing = {meter for agreed in agreements for meter in agreed.rates} - set(known)
    found = {}
    for meter in sorted(missing):
        holding = choose([agreed for agreed in agreements if agreed.is_fixed], meter)
        if holding is not None:
            rate = holding[0].rates[meter]
            found[meter] = Priced(rate, row, holding[0], rate)
    return found
