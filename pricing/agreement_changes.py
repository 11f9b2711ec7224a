"""What a version changes of what was negotiated: which agreement, from what to what, for which time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from finops.core.money import ZERO, as_text
from pricing.changes import said_by_agreement
from pricing.conditions import EARLIEST, LATEST, Span, span_in_words
from pricing.models import Agreement, AgreementBand, BookVersion, VersionStatus, VolumeOf

_CONDITIONS = {
    "account": "account {}",
    "host": "on {}",
    "region": "region {}",
    "service_tier": "{} tier",
    "processing": "{}",
    "speed": "{} speed",
}


@dataclass(frozen=True, slots=True)
class AgreementChange:
    """An agreement without the version and with it; None: there is none."""

    before: Agreement | None
    after: Agreement | None

    @property
    def agreement(self) -> Agreement:
        """The row that speaks for the change: the new one, where there is one."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def span(self) -> Span | None:
        """The time in which it may price otherwise, from the first such instant to the last; None: never."""
        old, new = _interval(self.before), _interval(self.after)
        if old is None or new is None or not self._says_the_same:
            both = [span for span in (old, new) if span is not None]
            start, end = min(span[0] for span in both), max(span[1] for span in both)
        elif old == new:
            return None
        else:
            starts, ends = {old[0], new[0]}, {old[1], new[1]}
            start = min(starts) if len(starts) > 1 else min(ends)
            end = max(ends) if len(ends) > 1 else max(starts)
        return (None if start == EARLIEST else start, None if end == LATEST else end)

    @property
    def is_end(self) -> bool:
        """Whether all it does is to hold for a shorter time, or not at all."""
        old, new = _interval(self.before), _interval(self.after)
        if old is None or new is None:
            return new is None
        return self._says_the_same and old != new and old[0] <= new[0] and new[1] <= old[1]

    @property
    def words(self) -> str:
        """What changes, in one line."""
        if self.before is None or self.after is None:
            return f"{in_words(self.agreement)}, {when(self.agreement)}"
        if self._says_the_same:
            return f"{in_words(self.after)}, {when(self.after)} (before: {when(self.before)})"
        before = f"{in_words(self.before)}, {when(self.before)}"
        return f"{in_words(self.after)}, {when(self.after)} (before: {before})"

    @property
    def _says_the_same(self) -> bool:
        return (
            self.before is not None
            and self.after is not None
            and said_by_agreement(self.before) == said_by_agreement(self.after)
        )


def agreement_changes(version: BookVersion) -> list[AgreementChange]:
    """Every agreement that a version adds, replaces or ends, by name. Six queries at most.

    One of the same provider and name that ends and one that is added are the same agreement, changed.
    """
    if version.status == VersionStatus.PUBLISHED:
        ended = Agreement.objects.filter(superseded_by=version)
    else:
        ended = Agreement.objects.filter(
            pk__in=version.supersessions.exclude(agreement=None).values("agreement")
        )
    before = _by_name(ended.prefetch_related("bands__rates"))
    after = _by_name(Agreement.objects.filter(version=version).prefetch_related("bands__rates"))
    return [
        AgreementChange(old, new)
        for key in sorted(before.keys() | after.keys())
        for old, new in zip_longest(before.get(key, ()), after.get(key, ()))
    ]


def in_words(agreement: Agreement) -> str:
    """What an agreement says, in one line without its time."""
    parts = [f"{agreement.name}: {agreement.provider}/{agreement.model}"]
    parts += [words.format(said) for name, words in _CONDITIONS.items() if (said := getattr(agreement, name))]
    parts += [f"only {', '.join(agreement.meters)}"] if agreement.meters else []
    parts += ["with fees"] if agreement.includes_fees else []
    bands = sorted(agreement.bands.all(), key=lambda band: band.over)
    parts += [_band(agreement, band) for band in bands]
    parts += [f"each band for {agreement.band_mode} usage"] if len(bands) > 1 else []
    return ", ".join(parts)


def when(agreement: Agreement) -> str:
    """The time for which it holds."""
    return span_in_words((agreement.effective_from, agreement.effective_to))


def _band(agreement: Agreement, band: AgreementBand) -> str:
    rates = sorted(band.rates.all(), key=lambda rate: rate.meter)
    if rates:
        said = "fixed " + ", ".join(f"{r.meter} ${as_text(r.unit_price)} per {r.per:,}" for r in rates)
    else:
        said = f"{as_text(band.percent_off or ZERO)}% off"
    if not band.over:
        return said
    amount = f"{band.over.normalize():,f}"
    volume = f"${amount}" if agreement.volume_of == VolumeOf.LIST_COST else f"{amount} tokens"
    return f"over {volume} a month {said}"


def _interval(agreement: Agreement | None) -> tuple[datetime, datetime] | None:
    if agreement is None:
        return None
    return agreement.effective_from or EARLIEST, agreement.effective_to or LATEST


def _by_name(agreements: Iterable[Agreement]) -> dict[tuple[str, str], Sequence[Agreement]]:
    found: dict[tuple[str, str], list[Agreement]] = {}
    for agreement in sorted(agreements, key=lambda one: (one.effective_from or EARLIEST, one.pk)):
        found.setdefault((agreement.provider, agreement.name), []).append(agreement)
    return dict(found)
