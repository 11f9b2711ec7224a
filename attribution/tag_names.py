"""``tags.<key>``: what rules, contracts and reports call the tag of an allocation key."""

from __future__ import annotations

import re
from collections.abc import Iterable

from attribution.models import AllocationKey

PREFIX = "tags."
# As events may spell a key; nothing in it needs quoting, in SQL or anywhere else.
KEY = re.compile(r"[a-z0-9_.\-]{1,64}")


def name_of(key: str) -> str:
    """What the tag of that key is called."""
    return PREFIX + key


def key_of(name: str) -> str | None:
    """The key behind such a name; None for any other name."""
    key = name.removeprefix(PREFIX)
    return key if name.startswith(PREFIX) and KEY.fullmatch(key) else None


def declared() -> list[str]:
    """The names of the keys that calls arriving now are allocated by, in order. One query."""
    keys = AllocationKey.objects.filter(dropped_at=None).values_list("key", flat=True)
    return [name_of(key) for key in keys]


def ever_declared() -> list[str]:
    """Those, and of the keys that were dropped: earlier calls carry them still. One query."""
    return [name_of(key) for key in AllocationKey.objects.values_list("key", flat=True)]


def never_declared(names: Iterable[str]) -> list[str]:
    """Those of the names that are of tags, but of none that costs were ever allocated by."""
    asked = sorted({name for name in names if name.startswith(PREFIX)})
    if not asked:
        return []
    known = set(ever_declared())
    return [name for name in asked if name not in known]
