"""Which prices end soon, and what follows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from pricing.conditions import conditions_of, in_words
from pricing.in_use import names_in_use
from pricing.models import Price
from pricing.patterns import matches

SOON = timedelta(days=45)


@dataclass(frozen=True, slots=True)
class Expiry:
    """A price in force that ends soon; without a successor, calls are unpriced from then on."""

    price: Price
    ends: datetime
    successor: Price | None
    is_in_use: bool

    @property
    def words(self) -> str:
        return in_words(self.price)


def expiring(now: datetime, *, within: timedelta = SOON, looks_at_use: bool = True) -> list[Expiry]:
    """Prices that end within a time from ``now``: those without a successor first, then by day.

    Whether calls use them is only found out with ``looks_at_use``.
    """
    ending = list(
        Price.objects.known().effective(now).filter(effective_to__lte=now + within).prefetch_related("rates")
    )
    if not ending:
        return []
    providers = {price.provider for price in ending}
    later = Price.objects.known().filter(
        Q(provider__in=providers) & (Q(effective_to=None) | Q(effective_to__gt=now))
    )
    following: dict[object, list[Price]] = {}
    for price in later.prefetch_related("rates"):
        following.setdefault(conditions_of(price), []).append(price)
    used = names_in_use() if looks_at_use else {}
    found = []
    for price in ending:
        assert price.effective_to is not None
        found.append(
            Expiry(
                price,
                price.effective_to,
                _at(following[conditions_of(price)], price.effective_to),
                any(one == price.provider and matches(price.model, model) for one, model in used),
            )
        )
    return sorted(found, key=lambda one: (one.successor is not None, one.ends, one.words))


def _at(prices: list[Price], at: datetime) -> Price | None:
    for price in prices:
        starts = price.effective_from is None or price.effective_from <= at
        if starts and (price.effective_to is None or price.effective_to > at):
            return price
    return None
