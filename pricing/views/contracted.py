"""What agreements make of the prices of the book: beside each list price, what we pay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from finops.core.money import EXACT
from pricing.agreements import Agreed, choose, in_force
from pricing.catalogue import book_agreement
from pricing.entries import UnitPrice, holds
from pricing.facts import Facts
from pricing.models import Agreement, Price, Rate
from pricing.views.agreed import agreement_url
from pricing.views.shown import Shown, shown

_INSTANT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Contracted:
    """The price of one meter by one agreement, for as many units as the list price beside it."""

    amount: Decimal
    agreement: Agreed
    account: str  # '': any that has no agreement of its own

    @property
    def url(self) -> str:
        return agreement_url(self.agreement.id)


@dataclass(frozen=True, slots=True)
class Line:
    """One meter of one price, and what holds for it instead: an agreement, and those of single accounts."""

    shown: Shown
    contracted: Sequence[Contracted]

    @property
    def is_negotiated_for_all(self) -> bool:
        """Whether no call pays the list price."""
        return any(not one.account for one in self.contracted)


class Negotiated:
    """The agreements that are known now. An empty one leaves every price as it is listed."""

    def __init__(self, agreements: Sequence[Agreed] = ()) -> None:
        self._by_provider: Mapping[str, list[Agreed]] = defaultdict(list)
        for agreed in agreements:
            self._by_provider[agreed.provider].append(agreed)

    @classmethod
    def known(cls) -> Negotiated:
        """Three queries."""
        rows = Agreement.objects.known().select_related("version").prefetch_related("bands__rates")
        return cls([book_agreement(row, known_from=0.0) for row in rows])

    def __bool__(self) -> bool:
        return bool(self._by_provider)

    def line(self, rate: Rate, at: datetime) -> Line:
        """A rate with what is paid instead at ``at``, or as near to it as the price holds.

        By the price's own names: an agreement on a narrower pattern, region or tier is not told here.
        """
        line = shown(rate)
        instant = int(_within(rate.price, at).timestamp())
        found: list[Contracted] = []
        agreements = self._by_provider.get(rate.price.provider, [])
        for account in sorted({"", *(agreed.account for agreed in agreements)}):
            chosen = _chosen(agreements, rate, account, instant)
            if chosen is not None and chosen not in [one.agreement for one in found]:
                found.append(Contracted(_amount(chosen, rate, line.per), chosen, account))
        return Line(line, found)


def _chosen(agreements: Sequence[Agreed], rate: Rate, account: str, instant: int) -> Agreed | None:
    price = rate.price
    facts = Facts(
        provider=price.provider,
        model=price.model,
        host=price.host,
        region=price.region,
        service_tier=price.service_tier,
        processing=price.processing,
        speed=price.speed,
        account=account,
    )
    holding = [agreed for agreed in agreements if holds(agreed.effective, instant) and agreed.meets(facts)]
    found = choose(in_force(holding, [(price.provider, price.model)]), rate.meter)
    return found[0] if found else None


def _amount(agreed: Agreed, rate: Rate, per: int) -> Decimal:
    price = agreed.price(rate.meter, UnitPrice(rate.unit_price, rate.per, rate.minimum))
    with localcontext(EXACT):
        return (price.each * per).normalize()


def _within(price: Price, at: datetime) -> datetime:
    if price.effective_from is not None and price.effective_from > at:
        return price.effective_from
    if price.effective_to is not None and price.effective_to <= at:
        return price.effective_to - _INSTANT
    return at
