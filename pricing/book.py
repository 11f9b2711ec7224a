"""The published price book in memory, and the choice of the row that prices a call.

Pure: values in, values out. ``Book.tariff`` collects everything that can ever apply to calls with the
same facts; ``Tariff.quote`` picks what applies at one instant and prompt size. The rate endpoint, the
price slots and the tests all ask the same ``quote``, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TypeVar

from pricing.agreements import FALLS_BACK, Agreed, Name, Priced, agreed_only, in_force, negotiated
from pricing.entries import TOKEN_METERS, Alias, BookRow, Factor, Instant, Span, holds
from pricing.facts import Facts
from pricing.patterns import matches, retarget, weight
from pricing.schedules import Schedule

GLOBAL_REGIONS = frozenset({"", "global"})
NameThen = tuple[str, str, Span]  # provider, model, and when that is what the call's name stands for
_MOST_ALIASES = 4  # provider spelling, host, endpoint prefix, dated snapshot


_Part = TypeVar("_Part", BookRow, Factor, Alias, Agreed)


@dataclass(frozen=True, slots=True)
class Quote:
    """What prices a call at one instant: the chosen row, or the reason why there is none."""

    row: BookRow | None
    reason: str = ""
    factor: Decimal = Decimal(1)
    meters: Mapping[str, Priced] = field(default_factory=dict)
    # Only for marginal prices: (over, unit prices) from the lowest bracket up.
    brackets: Sequence[tuple[int, Mapping[str, Priced]]] = ()
    known_from: float = 0.0

    @property
    def signature(self) -> tuple[object, ...]:
        """Equal for quotes under which every unit price is the same."""
        prices = tuple(
            (meter, priced.row.id, priced.agreed and priced.agreed.id)
            for meter, priced in sorted(self.meters.items())
        )
        return (self.row and self.row.id, self.reason, self.factor, prices)


@dataclass(frozen=True)
class Tariff:
    """All that can apply to calls with these facts, over all time."""

    facts: Facts
    rows: Sequence[BookRow]  # rates, conditions met
    fees: Sequence[BookRow]
    factors: Sequence[Factor]
    names: Sequence[NameThen]  # (provider, model) that the call's name stands for, and when
    regional: frozenset[tuple[str, str]]  # names for which the book knows regional prices
    agreements: Sequence[Agreed] = ()  # conditions met
    passed: Sequence[NameThen] = ()  # names on the way to ``names``: the call's own first

    @cached_property
    def edges(self) -> list[Instant]:
        """The instants at which anything may change, sorted."""
        spans = [row.effective for row in (*self.rows, *self.fees)]
        spans += [factor.effective for factor in self.factors]
        spans += [agreed.effective for agreed in self.agreements]
        spans += [span for *_, span in (*self.names, *self.passed)]
        return sorted({edge for span in spans for edge in span if edge is not None})

    @cached_property
    def bounds(self) -> list[int]:
        """The prompt sizes above which another row may apply, sorted."""
        return sorted({row.over for row in self.rows if row.over})

    @cached_property
    def schedules(self) -> list[tuple[Schedule, Span]]:
        """The daily schedules that rows depend on, with the intervals of those rows."""
        found: dict[tuple[Schedule, Span], None] = {}
        for row in self.rows:
            if row.schedule:
                found[row.schedule, row.effective] = None
        return list(found)

    def schedule_at(self, at: Instant) -> Schedule | None:
        """The schedule whose window this instant lies in."""
        for schedule, span in self.schedules:
            if holds(span, at) and schedule.holds_at(at):
                return schedule
        return None

    def quote(self, at: Instant, prompt_tokens: int) -> Quote:
        """What prices a call that completes at this instant with a prompt of this size."""
        return self.quote_in(at, prompt_tokens, self.schedule_at(at))

    def quote_in(self, at: Instant, prompt_tokens: int, schedule: Schedule | None) -> Quote:
        """As ``quote``, for an instant known to lie in this schedule's window (None: in none)."""
        provider, model = self._name_at(at)
        rows = [
            row
            for row in self.rows
            if row.provider == provider
            and matches(row.model, model)
            and holds(row.effective, at)
            and row.schedule in (None, schedule)
        ]
        rows = _most_specific(rows)
        row = max(
            (row for row in rows if row.over == 0 or prompt_tokens > row.over), key=_closest, default=None
        )
        if row is None:
            return Quote(None, self._why_unpriced(provider, model, at))
        factor = self._factor_at(row, provider, model, at)
        if factor is None:
            return Quote(None, f"no price is known for the region {self.facts.region!r}")
        agreements = self._agreements_at(provider, model, at)
        listed = _token_meters(row, factor.factor or Decimal(1)) | self._fees_at(row, provider, model, at)
        meters = negotiated(agreements, listed) | agreed_only(agreements, row, listed)
        brackets = [
            (lower.over, negotiated(agreements, _token_meters(lower, factor.factor or Decimal(1))))
            for lower in sorted(rows, key=_closest)
            if row.marginal and lower.over <= row.over and lower.schedule == row.schedule
        ]
        known = max(
            [priced.row.known_from for priced in meters.values()]
            + [priced.agreed.known_from for priced in meters.values() if priced.agreed]
            + [row.known_from, factor.known_from]
        )
        return Quote(row, "", factor.factor or Decimal(1), meters, brackets, known)

    def _name_at(self, at: Instant) -> tuple[str, str]:
        for provider, model, span in self.names:
            if holds(span, at):
                return provider, model
        return self.facts.provider, self.facts.model

    def _factor_at(self, row: BookRow, provider: str, model: str, at: Instant) -> Factor | None:
        """The regional factor; None when the region is one the book has no price for."""
        one = Factor(provider, model, "", Decimal(1))
        if self.facts.region in GLOBAL_REGIONS or row.region:
            return one
        found = [
            factor
            for factor in self.factors
            if factor.provider == provider
            and matches(factor.model, model)
            and matches(factor.region, self.facts.region)
            and holds(factor.effective, at)
        ]
        if found:
            best = max(found, key=lambda factor: (weight(factor.region), weight(factor.model)))
            return best if best.factor is not None else None
        return None if (provider, model) in self.regional else one

    def _fees_at(self, chosen: BookRow, provider: str, model: str, at: Instant) -> dict[str, Priced]:
        """Per-call fees: the model's own row names some itself; the most specific fee row adds others."""
        fees = [
            row
            for row in self.fees
            if row.provider == provider and matches(row.model, model) and holds(row.effective, at)
        ]
        meters: dict[str, Priced] = {}
        for row in sorted(fees, key=lambda row: (weight(row.model), row.id)):
            meters |= {name: Priced(unit_price, row) for name, unit_price in row.rates.items()}
        own = {name for name in chosen.rates if name in meters}
        return {name: priced for name, priced in meters.items() if name not in own}

    def _agreements_at(self, provider: str, model: str, at: Instant) -> Sequence[Agreed]:
        """Those that hold for the call's own name, what it stands for, or a name on the way to that."""
        found = [agreed for agreed in self.agreements if holds(agreed.effective, at)]
        if not found:
            return ()
        passed: list[Name] = [(p, m) for p, m, span in self.passed if holds(span, at)]
        return in_force(found, [*passed, (provider, model)])

    def _why_unpriced(self, provider: str, model: str, at: Instant) -> str:
        asked = (self.facts.service_tier, self.facts.processing, self.facts.speed)
        if any(row.provider == provider and matches(row.model, model) for row in self.rows):
            return f"no price of {provider}/{model} is in force at that time"
        return f"no price is known for {provider}/{model} ({', '.join(asked)})"


def _token_meters(row: BookRow, factor: Decimal) -> dict[str, Priced]:
    """Every meter the row prices, tokens times the factor; reasoning is output unless priced apart."""
    rates = dict(row.rates)
    for meter, other in FALLS_BACK.items():
        if meter not in rates and other in rates:
            rates[meter] = rates[other]
    return {
        name: Priced(price.times(factor) if name in TOKEN_METERS and factor != 1 else price, row)
        for name, price in rates.items()
    }


def _closest(row: BookRow) -> tuple[int, bool]:
    """Among rows of one model: the highest threshold passed, then the one with a schedule."""
    return (row.over, row.schedule is not None)


def _most_specific(rows: Sequence[BookRow]) -> list[BookRow]:
    """The rows of the best match of model, region and host (all bands and schedules of it)."""
    if not rows:
        return []
    best = max(specificity(row) for row in rows)
    return [row for row in rows if specificity(row) == best]


def specificity(row: BookRow) -> tuple[int, int, bool]:
    """By what one row comes before another that applies too: model, then region, then host."""
    return (weight(row.model), weight(row.region), bool(row.host))


@dataclass(frozen=True)
class Book:
    """Everything published and not superseded, by provider."""

    version: str
    rows: Mapping[str, Sequence[BookRow]]
    factors: Mapping[str, Sequence[Factor]]
    aliases: Mapping[str, Sequence[Alias]]
    agreements: Mapping[str, Sequence[Agreed]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        rows: Iterable[BookRow],
        factors: Iterable[Factor] = (),
        aliases: Iterable[Alias] = (),
        version: str = "",
        agreements: Iterable[Agreed] = (),
    ) -> Book:
        parts = (_by_provider(rows), _by_provider(factors), _by_provider(aliases), _by_provider(agreements))
        return cls(version, *parts)

    def tariff(self, facts: Facts) -> Tariff:
        """Everything that can apply to calls with these (normalised) facts."""
        passed: list[NameThen] = []
        names = list(self._names(facts, (facts.provider, facts.model, (None, None)), passed))
        pairs = {(provider, model) for provider, model, _ in names}
        providers = {provider for provider, _ in pairs}

        def concerns(model: str, provider: str) -> bool:
            return any(provider == p and matches(model, m) for p, m in pairs)

        all_rows = [r for p in providers for r in self.rows.get(p, ()) if concerns(r.model, p)]
        factors = [f for p in providers for f in self.factors.get(p, ()) if concerns(f.model, p)]
        regional = frozenset(
            (p, m)
            for p, m in pairs
            if any(f.provider == p and matches(f.model, m) for f in factors)
            or any(r.region and r.provider == p and matches(r.model, m) for r in all_rows)
        )
        return Tariff(
            facts=facts,
            rows=[row for row in all_rows if not row.fees and row.meets(facts)],
            fees=[row for row in all_rows if row.fees and row.meets(facts)],
            factors=factors,
            names=names,
            regional=regional,
            agreements=self._agreements(facts, [*passed, *names]),
            passed=passed if self.agreements else (),
        )

    def agreed(self, facts: Facts) -> list[Agreed]:
        """The agreements that can ever hold for calls with these (normalised) facts."""
        passed: list[NameThen] = []
        names = list(self._names(facts, (facts.provider, facts.model, (None, None)), passed))
        return self._agreements(facts, [*passed, *names])

    def _agreements(self, facts: Facts, names: Iterable[NameThen]) -> list[Agreed]:
        """Those whose conditions hold for one of these names.

        What a host bills is no usage of the provider that the call names, unless an agreement says the host.
        """
        if not self.agreements:
            return []
        pairs = {(provider, model) for provider, model, _ in names}
        hosted = any(alias.host for alias in self._aliases(facts, facts.provider, facts.model))
        billed = pairs - {(facts.provider, facts.model)} if hosted else pairs

        def concerns(agreed: Agreed) -> bool:
            concerned = pairs if agreed.host else billed
            return any(agreed.provider == p and matches(agreed.model, m) for p, m in concerned)

        return [
            agreed
            for provider in sorted({provider for provider, _ in pairs})
            for agreed in self.agreements.get(provider, ())
            if agreed.meets(facts) and concerns(agreed)
        ]

    def _names(
        self, facts: Facts, name: NameThen, passed: list[NameThen], depth: int = 0
    ) -> Iterator[NameThen]:
        """What the name stands for, and when: a host's own price, the model's own, else its aliases.

        Names on the way there are added to ``passed``.
        """
        provider, model, span = name
        aliases = [] if depth > _MOST_ALIASES else self._aliases(facts, provider, model)
        by_host = [alias for alias in aliases if alias.host and depth == 0]
        if not by_host and self._prices(provider, model):
            yield name
            return
        ranked = by_host or [alias for alias in aliases if not alias.host]
        if ranked:
            passed.append(name)
        for alias in sorted(ranked, key=lambda alias: -weight(alias.model)):
            within = _intersection(span, alias.effective)
            if within is not None:
                target = retarget(alias.model, alias.target_model, model)
                yield from self._names(facts, (alias.target_provider, target, within), passed, depth + 1)
        if not ranked:
            yield name

    def _aliases(self, facts: Facts, provider: str, model: str) -> list[Alias]:
        return [
            alias
            for alias in self.aliases.get(provider, ())
            if alias.host in ("", facts.host) and matches(alias.model, model)
        ]

    def _prices(self, provider: str, model: str) -> bool:
        return any(not row.fees and matches(row.model, model) for row in self.rows.get(provider, ()))


def _intersection(one: Span, other: Span) -> Span | None:
    starts = [edge for edge in (one[0], other[0]) if edge is not None]
    ends = [edge for edge in (one[1], other[1]) if edge is not None]
    start, end = max(starts, default=None), min(ends, default=None)
    return None if start is not None and end is not None and start >= end else (start, end)


def _by_provider(parts: Iterable[_Part]) -> dict[str, list[_Part]]:
    found: dict[str, list[_Part]] = {}
    for part in parts:
        found.setdefault(part.provider, []).append(part)
    return found
