"""What has to be looked at before a draft may be reviewed: jumps, losses, conflicts, changes of the past."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from finops.core.money import as_text
from pricing import library
from pricing.agreement_changes import AgreementChange
from pricing.conditions import each
from pricing.diffs import Change, ChangeKind, diff
from pricing.in_use import agreements_touch, names_in_use
from pricing.models import BlockKind, BookVersion, DraftBlock, Evidence, Price, PriceKind, Rate
from pricing.patterns import matches
from pricing.placing import Room

JUMP = Decimal("0.2")
_MOST_NAMED = 5
_FIRST_HAND = (Evidence.PROVIDER, Evidence.BILL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one model."""

    kind: BlockKind
    provider: str
    model: str
    sentence: str


def renew(version: BookVersion) -> None:
    """Find again what stands in the way. What reads as before stays acknowledged."""
    grouped: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for found in findings(version, now=timezone.now()):
        grouped[found.kind, found.provider, found.model].append(found.sentence)
    kept = []
    for block in version.blocks.all():
        key = (block.kind, block.provider, block.model)
        if grouped.get(key) == block.findings:
            kept.append(block.pk)
            del grouped[key]
    version.blocks.exclude(pk__in=kept).delete()
    DraftBlock.objects.bulk_create(
        DraftBlock(version=version, kind=kind, provider=provider, model=model, findings=sentences)
        for (kind, provider, model), sentences in grouped.items()
    )


def findings(version: BookVersion, *, now: datetime) -> list[Finding]:
    """Everything to be acknowledged, in the order of the diff."""
    changed = diff(version)
    rules = _Rules(version, changed.changes, now)
    found = [
        Finding(kind, change.price.provider, change.price.model, sentence)
        for change in changed.changes
        for kind, sentence in rules.about(change)
    ]
    return found + list(_retroactive(changed.agreements, now))


def _retroactive(changes: Sequence[AgreementChange], now: datetime) -> Iterator[Finding]:
    """Agreements by which usage that is booked would cost otherwise."""
    for change in changes:
        if used := sorted(agreements_touch([change], now)):
            more = f" and {len(used) - _MOST_NAMED} more" if len(used) > _MOST_NAMED else ""
            yield Finding(
                BlockKind.RETROACTIVE,
                change.agreement.provider,
                change.agreement.model,
                f"{change.words}: booked usage would be priced otherwise"
                f" ({', '.join(used[:_MOST_NAMED])}{more}).",
            )


class _Rules:
    """Knows what is in use, and what would remain, while changes are judged."""

    def __init__(self, version: BookVersion, changes: Sequence[Change], now: datetime) -> None:
        self._now = now
        ended = {change.price.provider for change in changes if change.kind == ChangeKind.ENDED}
        self._used = names_in_use() if ended else {}
        rows = Room.beside(version, ended).rows.values() if ended else ()
        self._lasting = [
            price
            for listed in rows
            for price, _ in listed
            if price.kind == PriceKind.RATES and price.effective_to is None
        ]

    def about(self, change: Change) -> Iterator[tuple[BlockKind, str]]:
        for line in change.rates:
            if line.before is None or line.after is None or not line.is_change:
                continue
            if line.ratio is None or abs(line.ratio) > JUMP:
                moved = f"{line.ratio:+.1%}" if line.ratio is not None else "from nothing"
                moved = f"{per(line.before)} to {per(line.after)} ({moved})"
                yield BlockKind.JUMP, f"{change.words}, {change.when}: {line.meter} from {moved}."
        if change.before is not None and change.starts_before(self._now):
            yield BlockKind.RETROACTIVE, f"{change.words}: usage {change.when} would be priced otherwise."
        if lost := self._lost(change):
            yield (
                BlockKind.REMOVED,
                f"{change.words} ends {change.when}, and calls name it: {', '.join(lost)}.",
            )
        for sentence in _conflicts(change, self._now):
            yield BlockKind.CONFLICT, sentence

    def _lost(self, change: Change) -> list[str]:
        if change.kind != ChangeKind.ENDED or change.span[1] is not None:
            return []
        gone = change.price
        return sorted(
            called
            for (provider, model), calls in self._used.items()
            if provider == gone.provider and matches(gone.model, model) and not self._remains(provider, model)
            for called in calls
        )

    def _remains(self, provider: str, model: str) -> bool:
        return any(row.provider == provider and matches(row.model, model) for row in self._lasting)


def _conflicts(change: Change, now: datetime) -> Iterator[str]:
    old, new = change.before, change.after
    if new is None:
        return
    if new.evidence == Evidence.UNRESOLVED:
        yield f"{change.words}: the source itself says that it is unresolved."
    if old is not None and old.evidence in _FIRST_HAND and new.evidence == Evidence.LIBRARY:
        for line in change.rates:
            if line.is_change:
                yield (
                    f"{change.words}: {line.meter} is {per(line.after)} by {new.source or 'a library'}, and "
                    f"{per(line.before)} by {old.source or old.get_evidence_display()}."
                )
    elif new.evidence != Evidence.LIBRARY and _is_plain(new):
        yield from _against_library(change, new, now)


def _against_library(change: Change, new: Price, now: datetime) -> Iterator[str]:
    at = max(change.span[0] or now, now)
    listed = library.rates_of(new.provider, new.model, at=at, prompt=(new.context_threshold or 0) + 1)
    for rate in new.rates.all():
        theirs = listed.get(rate.meter)
        if theirs is not None and each(theirs) != each(rate):
            yield f"{change.words}: {rate.meter} is {per(rate)} here, and {per(theirs)} by {library.name()}."


def _is_plain(price: Price) -> bool:
    """What the library speaks of: standard rates of a model anywhere."""
    conditions = (price.kind, price.service_tier, price.processing, price.speed, price.region, price.host)
    return conditions == (PriceKind.RATES, "standard", "sync", "standard", "", "") and not price.schedule


def per(rate: Rate | None) -> str:
    """A rate in words."""
    if rate is None:
        return "no price"
    units = "1M" if rate.per == 1_000_000 else f"{rate.per:,}"
    return f"${as_text(rate.unit_price)} per {units}"
