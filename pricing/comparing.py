"""Lays the library beside the book: what is new, what reads otherwise, what is listed no more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from finops.core.errors import Conflict
from finops.core.money import as_text
from pricing import library
from pricing.book import Book, Quote
from pricing.conditions import LATEST, common, each, in_words, span_of
from pricing.facts import Facts, normalise
from pricing.library import Listed
from pricing.models import ContextOperator, Evidence, Price, PriceKind, Rate
from pricing.placing import Room, copy, copy_rate

# What a library is no reason to change: a provider's own page, a bill, somebody here.
FIRST_HAND = (Evidence.PROVIDER, Evidence.BILL, Evidence.OWN)
_MOST_TOLD = 20


class Comparison:
    """The library beside the book, from one day on, for some providers that the book knows.

    ``room`` is the book as the library would have it; ``kept`` says what was left as it is, and why.
    """

    def __init__(
        self, book: Book, providers: set[str], apply_from: datetime, *, keeps_first_hand: bool
    ) -> None:
        self._book, self._apply_from, self._keeps = book, apply_from, keeps_first_hand
        self.kept: list[str] = []
        self.room = Room.beside(None, providers)
        self._stored = {price.pk: (price, rates) for rows in self.room.rows.values() for price, rates in rows}
        for listed in library.listed(providers):
            self._compare(listed)
        self._end_unlisted()

    @property
    def note(self) -> str:
        """What was left as it is, in words."""
        if not self.kept:
            return ""
        told = "; ".join(self.kept[:_MOST_TOLD])
        more = f"; and {len(self.kept) - _MOST_TOLD} more" if len(self.kept) > _MOST_TOLD else ""
        return f"Left as they are, {len(self.kept)} in number: {told}{more}."

    def _compare(self, listed: Listed) -> None:
        span = common(listed.span, (self._apply_from, None))
        if span is None:
            return
        start = span[0] or self._apply_from
        tariff = self._book.tariff(normalise(Facts(listed.provider, listed.model)))
        for over, rates in listed.bands.items():
            quote = tariff.quote(int(start.timestamp()), over + 1)
            if quote.row is not None:
                self._change(quote, listed, over, rates)
            elif not tariff.rows:
                self._propose(_listed_price(listed, over), rates)

    def _change(self, quote: Quote, listed: Listed, over: int, rates: Mapping[str, Rate]) -> None:
        assert quote.row is not None
        differing = {meter: rate for meter, rate in rates.items() if _differs(quote, rate)}
        missing = rates.keys() - quote.meters.keys()
        if not differing and not missing:
            return
        price, own = self._stored[quote.row.id]
        if self._keeps and price.evidence in FIRST_HAND:
            self.kept += [_disagreement(price, quote, rate) for rate in differing.values()]
            return
        proposed, said = _listed_price(listed, over), dict(rates)
        if price.model.lower() == listed.model.lower() and quote.row.over == over:
            # The row itself goes on; what the library does not speak of stays as it is.
            proposed = copy(price, span_of(price))
            said = {rate.meter: copy_rate(rate) for rate in own} | said
            proposed.evidence, proposed.source = Evidence.LIBRARY, library.name()
        start = max(self._apply_from, listed.span[0] or self._apply_from)
        end = min(price.effective_to or LATEST, listed.span[1] or LATEST)
        self._propose(copy(proposed, (start, None if end == LATEST else end)), said)

    def _propose(self, price: Price, rates: Mapping[str, Rate]) -> None:
        try:
            self.room.make_room(price, list(rates.values()))
        except Conflict as error:
            self.kept.append(error.detail.removesuffix("."))

    def _end_unlisted(self) -> None:
        """What rests on the library alone, and is listed no more, ends."""
        for price, rates in self._stored.values():
            is_its = price.evidence == Evidence.LIBRARY and price.source.startswith(library.PACKAGE)
            lasts = price.effective_to is None and price.pk not in self.room.ended
            if is_its and lasts and not library.knows(price.provider, price.model.rstrip("*")):
                self.room.cut_short(price, rates, (self._apply_from, None))


def _differs(quote: Quote, rate: Rate) -> bool:
    known = quote.meters.get(rate.meter)
    return known is not None and known.unit_price.each != each(rate)


def _disagreement(price: Price, quote: Quote, rate: Rate) -> str:
    ours = quote.meters[rate.meter].unit_price
    return (
        f"{in_words(price)}: {rate.meter} is ${as_text(ours.amount)} per {ours.per:,} here, "
        f"${as_text(rate.unit_price)} per {rate.per:,} there"
    )


def _listed_price(listed: Listed, over: int) -> Price:
    return Price(
        kind=PriceKind.RATES,
        provider=listed.provider,
        model=listed.model,
        context_threshold=over or None,
        context_operator=ContextOperator.GREATER if over else "",
        effective_from=listed.span[0],
        effective_to=listed.span[1],
        evidence=Evidence.LIBRARY,
        source=library.name(),
    )
