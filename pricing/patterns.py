"""Patterns of model and region names: ``*``, ``?`` and ``[...]`` as in a shell; anything else is itself."""

from __future__ import annotations

import re
import string
from fnmatch import fnmatchcase, translate
from functools import lru_cache

_WILD = re.compile(r"\[[^]]*\]|[*?]")
_EXACT = 10_000  # outweighs every pattern
_LETTERS = frozenset(set(string.printable.lower()) - set(string.whitespace))
Part = str | frozenset[str]  # "*", or the letters that one place may have


def is_pattern(name: str) -> bool:
    """Whether the name stands for more than itself."""
    return _WILD.search(name) is not None


def matches(pattern: str, name: str) -> bool:
    """Whether the name is the pattern, or fits it; without regard to case."""
    if not is_pattern(pattern):
        return pattern == name or pattern.lower() == name.lower()
    return _compiled(pattern).match(name) is not None


def weight(pattern: str) -> int:
    """How specific a pattern is: an exact name beats all, then the number of letters it fixes."""
    if not pattern:
        return 0
    return _EXACT if not is_pattern(pattern) else 1 + len(_WILD.sub("", pattern))


def overlap(one: str, other: str) -> bool:
    """Whether any name fits both; without regard to case."""
    if not is_pattern(one) and not is_pattern(other):
        return one.lower() == other.lower()
    return _overlap(_parts(one.lower()), _parts(other.lower()))


def retarget(pattern: str, target: str, name: str) -> str:
    """The name that an alias leads to; a trailing ``*`` of the target is what the pattern's matched."""
    if not target.endswith("*"):
        return target
    fixed = len(pattern) - 1 if pattern.endswith("*") else len(name)
    return target[:-1] + name[fixed:]


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern), re.IGNORECASE)


@lru_cache(maxsize=4096)
def _parts(pattern: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for piece in re.findall(r"\[[^]]*\]|.", pattern):
        if piece == "*":
            parts.append(piece)
        elif is_pattern(piece):
            parts.append(frozenset(letter for letter in _LETTERS if fnmatchcase(letter, piece)))
        else:
            parts.append(frozenset(piece))
    return tuple(parts)


@lru_cache(maxsize=65_536)
def _overlap(one: tuple[Part, ...], other: tuple[Part, ...]) -> bool:
    for star, rest in ((one, other), (other, one)):
        if star and star[0] == "*":
            return _overlap(star[1:], rest) or (bool(rest) and _overlap(star, rest[1:]))
    if not one or not other:
        return not one and not other
    return bool(frozenset(one[0]) & frozenset(other[0])) and _overlap(one[1:], other[1:])
