"""Agreements as screens show them: what they take off or fix, and for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.urls import reverse

from finops.core.money import ZERO, as_text
from finops.ui.formats import Currency, unit_price
from pricing.conditions import span_in_words
from pricing.models import Agreement, AgreementBand, AgreementRate, BandMode, VolumeOf
from pricing.views.shown import MILLION, TOKENS, State, state_of, unit_of

_CONDITIONS = {
    "account": "account {}",
    "host": "on {}",
    "region": "region {}",
    "service_tier": "{} tier",
    "processing": "{}",
    "speed": "{} speed",
}
_MODES = {
    BandMode.WHOLE: "all usage of a month is at the band that the month reaches",
    BandMode.MARGINAL: "a band is for what lies beyond its beginning, in order of days",
}


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that an agreement states: the percentage of a band, or the fixed ``rate`` of a meter."""

    agreement: Agreement
    band: AgreementBand
    rate: AgreementRate | None = None

    @property
    def volume(self) -> str:
        """From which volume of a month on it holds."""
        if not self.band.over:
            return "from 0 on"
        amount = f"{self.band.over.normalize():,f}"
        return (
            f"over ${amount}" if self.agreement.volume_of == VolumeOf.LIST_COST else f"over {amount} tokens"
        )

    @property
    def percent(self) -> str:
        return as_text(self.band.percent_off or ZERO)

    @property
    def unit(self) -> str:
        """What its price is for; empty for a percentage."""
        return unit_of(self.rate.meter, self.rate.per) if self.rate else ""

    @property
    def words(self) -> str:
        """It on its own, in a few words."""
        if self.rate is None:
            return f"{self.percent}% off" if self.band.percent_off else "list price"
        per = "1M" if self.rate.per == MILLION else f"{self.rate.per:,}" if self.rate.per > 1 else "each"
        return f"{self.rate.meter} {_amount(self.rate.unit_price)}/{per}"


@dataclass(frozen=True, slots=True)
class ShownAgreement:
    """One agreement in words."""

    agreement: Agreement
    now: datetime
    terms: Sequence[Term]

    @property
    def state(self) -> State:
        return state_of(self.agreement, self.now)

    @property
    def url(self) -> str:
        return agreement_url(self.agreement.pk)

    @property
    def when(self) -> str:
        """The usage that it is for, by time."""
        return span_in_words((self.agreement.effective_from, self.agreement.effective_to))

    @property
    def conditions(self) -> Sequence[str]:
        """What it depends on besides provider, model and time."""
        row = self.agreement
        found = [words.format(said) for name, words in _CONDITIONS.items() if (said := getattr(row, name))]
        return [*found, f"only {', '.join(row.meters)}"] if row.meters else found

    @property
    def conditions_beside(self) -> Sequence[str]:
        """Those where the account has a column of its own."""
        return self.conditions[1:] if self.agreement.account else self.conditions

    @property
    def what(self) -> Sequence[str]:
        """What each of its bands says, from the lowest volume up."""
        bands: dict[Decimal, list[Term]] = {}
        for term in self.terms:
            bands.setdefault(term.band.over, []).append(term)
        if len(bands) == 1:
            return [_band(self.terms)]
        return [f"{terms[0].volume}: {_band(terms)}" for terms in bands.values()]

    @property
    def short(self) -> str:
        """What it says, short enough for a heading."""
        if len(self.terms) == 1:
            return self.terms[0].words
        return "volume bands" if self.agreement.volume_of else f"{len(self.terms)} fixed prices"

    @property
    def fees(self) -> str:
        """What it says of fees by the call."""
        named = self.agreement.meters or [term.rate.meter for term in self.terms if term.rate]
        if named:
            return ", ".join(dict.fromkeys(one for one in named if one not in TOKENS)) or "not included"
        return "included" if self.agreement.includes_fees else "not included"

    @property
    def banding(self) -> str:
        """How its volume bands are counted; empty without any."""
        row = self.agreement
        if not row.volume_of:
            return ""
        what = VolumeOf(row.volume_of).label.lower()
        return f"{what} in a calendar month; {_MODES[BandMode(row.band_mode)]}"


def show(agreement: Agreement, now: datetime) -> ShownAgreement:
    """An agreement whose bands and rates were read with it, as its version was where its state is shown."""
    terms: list[Term] = []
    for band in sorted(agreement.bands.all(), key=lambda band: band.over):
        rates = sorted(band.rates.all(), key=lambda rate: rate.pk)
        terms += [Term(agreement, band, rate) for rate in rates] or [Term(agreement, band)]
    return ShownAgreement(agreement, now, terms)


def agreement_url(number: int) -> str:
    """The page of one agreement."""
    return reverse("pricing:agreement", args=[number])


def _band(terms: Sequence[Term]) -> str:
    said = ", ".join(term.words for term in terms)
    return f"fixed: {said}" if terms[0].rate else said


def _amount(amount: Decimal) -> str:
    return unit_price(amount, Currency(settings.REPORTING_CURRENCY))
