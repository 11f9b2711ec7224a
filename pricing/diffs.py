"""What a version changes in the book: which price, when, from what to what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from itertools import pairwise

from finops.core.money import EXACT
from pricing.agreement_changes import AgreementChange, agreement_changes
from pricing.conditions import (
    EARLIEST,
    LATEST,
    Conditions,
    Span,
    conditions_of,
    in_words,
    said_by,
    span_in_words,
)
from pricing.models import BookVersion, ModelAlias, Multiplier, Price, Rate, VersionStatus


class ChangeKind(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class RateChange:
    """One meter before and after; None where it has no price."""

    meter: str
    before: Rate | None
    after: Rate | None

    @property
    def ratio(self) -> Decimal | None:
        """The change as a share of the price before; None where there is none to compare with."""
        old, new = _each(self.before), _each(self.after)
        if old is None or new is None or not old:
            return None
        with localcontext(EXACT):
            return (new - old) / old

    @property
    def signed(self) -> str:
        """The change in per cent, with its sign; empty where there is nothing to compare with."""
        return "" if self.ratio is None else f"{self.ratio:+.1%}".replace("-", "\N{MINUS SIGN}")

    @property
    def is_change(self) -> bool:
        return _each(self.before) != _each(self.after) or _minimum(self.before) != _minimum(self.after)


@dataclass(frozen=True, slots=True)
class Change:
    """One price during one interval, as it is without the version and with it."""

    conditions: Conditions
    span: Span
    before: Price | None
    after: Price | None
    rates: Sequence[RateChange]

    @property
    def kind(self) -> ChangeKind:
        if self.before is None:
            return ChangeKind.NEW
        return ChangeKind.CHANGED if self.after is not None else ChangeKind.ENDED

    @property
    def price(self) -> Price:
        """The row that speaks for the change: the new one, where there is one."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def words(self) -> str:
        return in_words(self.price)

    @property
    def when(self) -> str:
        return span_in_words(self.span)

    def starts_before(self, at: datetime) -> bool:
        return self.span[0] is None or self.span[0] < at


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything a version changes; ``others`` are multipliers, aliases and agreements in words."""

    changes: Sequence[Change]
    others: Sequence[tuple[ChangeKind, str]]
    agreements: Sequence[AgreementChange] = ()

    def of_kind(self, kind: ChangeKind) -> list[Change]:
        return [change for change in self.changes if change.kind == kind]

    @property
    def counts(self) -> Mapping[str, int]:
        return {kind.value: len(self.of_kind(kind)) for kind in ChangeKind}

    @property
    def is_empty(self) -> bool:
        return not self.changes and not self.others


def diff(version: BookVersion) -> Diff:
    """What the version changes, or changed when it was published. Twelve queries at most.

    Prices under the same conditions are laid over each other in time: a row that is only cut short, and
    goes on in a new one, is no change for the time in which it says the same.
    """
    added = Price.objects.filter(version=version).prefetch_related("rates")
    changes = [
        change
        for conditions, (before, after) in _by_conditions(_ended(version), added).items()
        for change in _laid_over(conditions, before, after)
    ]
    changes.sort(key=lambda change: (change.conditions, change.span[0] or EARLIEST))
    agreements = agreement_changes(version)
    return Diff(changes, [*_others(version), *map(_agreement, agreements)], agreements)


def _ended(version: BookVersion) -> Iterable[Price]:
    if version.status == VersionStatus.PUBLISHED:
        return Price.objects.filter(superseded_by=version).prefetch_related("rates")
    ids = version.supersessions.exclude(price=None).values("price")
    return Price.objects.filter(pk__in=ids).prefetch_related("rates")


def _by_conditions(
    before: Iterable[Price], after: Iterable[Price]
) -> dict[Conditions, tuple[list[Price], list[Price]]]:
    found: dict[Conditions, tuple[list[Price], list[Price]]] = defaultdict(lambda: ([], []))
    for price in before:
        found[conditions_of(price)][0].append(price)
    for price in after:
        found[conditions_of(price)][1].append(price)
    return found


def _laid_over(conditions: Conditions, before: Sequence[Price], after: Sequence[Price]) -> Iterable[Change]:
    """The stretches of time in which the two sides differ, neighbours under the same rows joined."""
    edges = sorted(
        {
            edge
            for price in (*before, *after)
            for edge in (price.effective_from or EARLIEST, price.effective_to or LATEST)
        }
    )
    found: list[tuple[datetime, datetime, Price | None, Price | None]] = []
    for start, end in pairwise(edges):
        old, new = _holding(before, start), _holding(after, start)
        if old is new is None or (old and new and _said(old) == _said(new)):
            continue
        if found and found[-1][1:] == (start, old, new):
            found[-1] = (found[-1][0], end, old, new)
        else:
            found.append((start, end, old, new))
    for start, end, old, new in found:
        span = (None if start == EARLIEST else start, None if end == LATEST else end)
        yield Change(conditions, span, old, new, _rate_changes(old, new))


def _holding(prices: Sequence[Price], at: datetime) -> Price | None:
    for price in prices:
        if (price.effective_from or EARLIEST) <= at < (price.effective_to or LATEST):
            return price
    return None


def _said(price: Price) -> object:
    return said_by(price, price.rates.all())


def _rate_changes(before: Price | None, after: Price | None) -> list[RateChange]:
    old = {rate.meter: rate for rate in before.rates.all()} if before else {}
    new = {rate.meter: rate for rate in after.rates.all()} if after else {}
    return [RateChange(meter, old.get(meter), new.get(meter)) for meter in dict.fromkeys([*old, *new])]


def _others(version: BookVersion) -> list[tuple[ChangeKind, str]]:
    found: list[tuple[ChangeKind, str]] = []
    is_published = version.status == VersionStatus.PUBLISHED
    for model, link in ((Multiplier, "multiplier"), (ModelAlias, "alias")):
        ended = {"superseded_by": version} if is_published else {
            "pk__in": version.supersessions.exclude(**{link: None}).values(link)
        }  # fmt: skip
        rows = model._default_manager
        found += [(ChangeKind.ENDED, _in_words(row)) for row in rows.filter(**ended)]
        found += [(ChangeKind.NEW, _in_words(row)) for row in rows.filter(version=version)]
    return found


def _agreement(change: AgreementChange) -> tuple[ChangeKind, str]:
    if change.before is None:
        return ChangeKind.NEW, change.words
    return ChangeKind.ENDED if change.is_end else ChangeKind.CHANGED, change.words


def _in_words(row: Multiplier | ModelAlias) -> str:
    when = span_in_words((row.effective_from, row.effective_to))
    if isinstance(row, Multiplier):
        factor = "an unknown factor" if row.factor is None else f"a factor of {row.factor.normalize():f}"
        return f"{row.provider}/{row.model} in the region {row.region}: {factor}, {when}"
    host = f" on {row.host}" if row.host else ""
    return f"{row.provider}/{row.model}{host} is {row.target_provider}/{row.target_model}, {when}"


def _each(rate: Rate | None) -> Decimal | None:
    if rate is None:
        return None
    with localcontext(EXACT):
        return (rate.unit_price / rate.per).normalize()


def _minimum(rate: Rate | None) -> Decimal | None:
    return None if rate is None else rate.minimum
