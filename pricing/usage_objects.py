"""A provider's usage object under its own names: counts are whole numbers, and said once or twice the same.

What is absent or null counts as nothing. Everything that cannot be true is refused and never repaired: a
guess would be a wrong price that nobody sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from finops.core.errors import InvalidInput

LARGEST = 10**9
LONGEST_WORD = 64
_INNER = ("usage", "usageMetadata", "usage_metadata")
_OUTER = ("service_tier", "serviceTier")


class UsageObject:
    """One object, and where it stands in what was sent."""

    def __init__(self, content: Mapping[str, Any], path: str = "raw_usage") -> None:  # Any: parsed JSON
        self.content, self.path = content, path

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> UsageObject:
        """The usage object itself, also out of a whole answer."""
        for name in _INNER:
            inner = raw.get(name)
            if isinstance(inner, Mapping):
                return cls({**{key: raw[key] for key in _OUTER if key in raw}, **inner})
        return cls(raw)

    def count(self, *names: str) -> int:
        """The whole number under these names; zero where none is there.

        Raises InvalidInput for anything else, and where two of the names say different numbers.
        """
        said = {name: count for name in names if (count := self._count(name))}
        if len(set(said.values())) > 1:
            raise self.contradiction(*said)
        return next(iter(said.values()), 0)

    def quantity(self, *names: str) -> Decimal:
        """The first of these names that is there, as a decimal."""
        for name in names:
            value = self.content.get(name)
            if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
                return _decimal(value, f"{self.path}.{name}")
        return Decimal(0)

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self.content.get(name) is not None

    def inside(self, *names: str) -> UsageObject:
        """The first of these nested objects that is there; an empty one else."""
        for name in names:
            value = self.content.get(name)
            if isinstance(value, Mapping):
                return UsageObject(value, f"{self.path}.{name}")
        return UsageObject({}, f"{self.path}.{names[0]}")

    def each(self, *names: str) -> list[UsageObject]:
        """The nested objects of the first of these lists that is there."""
        for name in names:
            value = self.content.get(name)
            if isinstance(value, list):
                path = f"{self.path}.{name}"
                return [UsageObject(item, path) for item in value if isinstance(item, Mapping)]
        return []

    def text(self, *names: str) -> str | None:
        """The first of these names that is there and not empty.

        Raises InvalidInput for more than a word: what was served is remembered with its prices.
        """
        for name in names:
            value = self.content.get(name)
            if isinstance(value, str) and value:
                if len(value) > LONGEST_WORD or not value.isprintable():
                    field = f"{self.path}.{name}"
                    raise InvalidInput.field(
                        field, "invalid", f"{field} must be a word of at most {LONGEST_WORD} letters"
                    )
                return value
        return None

    def contradiction(self, *names: str) -> InvalidInput:
        """The refusal of an object in which these cannot all be true."""
        what = " and ".join(f"{name} ({self.content.get(name)})" for name in names)
        return InvalidInput.field(
            f"{self.path}.{names[0]}", "contradictory", f"{self.path}: {what} contradict the rest of it."
        )

    def must_be(self, name: str, *possible: int) -> None:
        """Raises InvalidInput where a count is stated that is none of what it can be."""
        if self.has(name) and self._count(name) not in possible:
            raise self.contradiction(name)

    def must_not_have(self, *names: str) -> None:
        """Raises InvalidInput where it counts what objects of its kind do not have."""
        for name in names:
            if self._count(name):
                raise InvalidInput.field(
                    f"{self.path}.{name}", "contradictory", f"{self.path}.{name} is a count of another API."
                )

    def counts_tokens(self) -> bool:
        """Whether anything in it, at any depth, looks like a count of tokens or units that is not zero."""
        return any(value for name, value in _numbers(self.content) if "token" in name or "units" in name)

    def _count(self, name: str) -> int:
        value = self.content.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
            field = f"{self.path}.{name}"
            raise InvalidInput.field(field, "invalid", f"{field} must be a whole number from 0 to 10⁹")
        return value


def _numbers(content: Mapping[str, Any]) -> Iterator[tuple[str, int | float | Decimal]]:
    """Every number in nested objects, with its path; any depth may arrive, so without recursion."""
    objects = [("", content)]
    while objects:
        above, inner = objects.pop()
        for name, value in inner.items():
            # Only the two names nearest to a number say what it counts.
            path = f"{above}.{name}".lower()
            if isinstance(value, Mapping):
                objects.append((str(name), value))
            elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
                yield path, value


def _decimal(value: float | str | Decimal, field: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= LARGEST:
        raise InvalidInput.field(field, "invalid", f"{field} must be a number from 0 to 10⁹")
    return number
