"""The book at every time of knowledge: what a price was known to be, and since when.

Pure. A slot lies inside every price it uses, at each time anything was known about it; so a call's cost
as of any time is rating it by the book of that time, also for a call that arrived later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pricing.agreements import Agreed
from pricing.book import Book, Tariff
from pricing.entries import Alias, BookRow, Factor
from pricing.facts import Facts
from pricing.patterns import matches, retarget

# When a draft would be known: after everything that was published.
AS_IF = 1e15
NEVER = math.inf
_MOST_STEPS = 6  # one more than aliases are followed

Part = TypeVar("Part", BookRow, Factor, Alias, Agreed)
Name = tuple[str, str]  # provider, model


@dataclass(frozen=True, slots=True)
class Known(Generic[Part]):
    """A row of the book and from when to when it was known, in Unix seconds, half-open."""

    part: Part
    known_from: float
    known_to: float = NEVER


@dataclass(frozen=True)
class History:
    """Everything that was ever published, by provider; ``version`` names its state."""

    version: str
    rows: Mapping[str, Sequence[Known[BookRow]]]
    factors: Mapping[str, Sequence[Known[Factor]]]
    aliases: Mapping[str, Sequence[Known[Alias]]]
    agreements: Mapping[str, Sequence[Known[Agreed]]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        rows: Iterable[Known[BookRow]],
        factors: Iterable[Known[Factor]] = (),
        aliases: Iterable[Known[Alias]] = (),
        version: str = "",
        agreements: Iterable[Known[Agreed]] = (),
    ) -> History:
        parts = (_by_provider(rows), _by_provider(factors), _by_provider(aliases), _by_provider(agreements))
        return cls(version, *parts)

    def tariffs(self, facts: Facts) -> list[tuple[float, Tariff]]:
        """What calls with these (normalised) facts were priced by, each with the time it became known.

        In order, the last is known now. At least one, though it may price nothing.
        """
        names = self._names(facts)
        rows = _concerned(self.rows, names, lambda row: row.model)
        factors = _concerned(self.factors, names, lambda factor: factor.model)
        aliases = _concerned(self.aliases, names, lambda alias: alias.model)
        agreements = _concerned(self.agreements, names, lambda agreed: agreed.model)
        known = _instants(rows) | _instants(factors) | _instants(aliases) | _instants(agreements)
        instants = sorted(known - {NEVER})
        return [
            (
                at,
                Book.of(
                    _at(rows, at), _at(factors, at), _at(aliases, at), agreements=_at(agreements, at)
                ).tariff(facts),
            )
            for at in instants or [0.0]
        ]

    def _names(self, facts: Facts) -> set[Name]:
        """Every name that the call's own may ever have stood for."""
        found = {(facts.provider, facts.model)}
        fresh = found
        for _ in range(_MOST_STEPS):
            fresh = {
                (known.part.target_provider, retarget(known.part.model, known.part.target_model, model))
                for provider, model in fresh
                for known in self.aliases.get(provider, ())
                if known.part.host in ("", facts.host) and matches(known.part.model, model)
            } - found
            found |= fresh
        return found


def _concerned(
    parts: Mapping[str, Sequence[Known[Part]]], names: set[Name], pattern: Callable[[Part], str]
) -> list[Known[Part]]:
    providers = {provider for provider, _ in names}
    return [
        known
        for provider in sorted(providers)
        for known in parts.get(provider, ())
        if any(p == provider and matches(pattern(known.part), model) for p, model in names)
    ]


def _instants(parts: Iterable[Known[Part]]) -> set[float]:
    return {at for known in parts for at in (known.known_from, known.known_to)}


def _at(parts: Iterable[Known[Part]], at: float) -> list[Part]:
    return [known.part for known in parts if known.known_from <= at < known.known_to]


def _by_provider(parts: Iterable[Known[Part]]) -> dict[str, list[Known[Part]]]:
    found: dict[str, list[Known[Part]]] = {}
    for known in parts:
        found.setdefault(known.part.provider, []).append(known)
    return found
