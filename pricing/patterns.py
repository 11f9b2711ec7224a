"""Patterns of model and region names: ``*``, ``?`` and ``[...]`` as in a shell; anything else is itself."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

_WILD = re.compile(r"\[[^]]*\]|[*?]")
_EXACT = 10_000  # outweighs every pattern


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


def retarget(pattern: str, target: str, name: str) -> str:
    """The name that an alias leads to; a trailing ``*`` of the target is what the pattern's matched."""
    if not target.endswith("*"):
        return target
    fixed = len(pattern) - 1 if pattern.endswith("*") else len(name)
    return target[:-1] + name[fixed:]


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern), re.IGNORECASE)
