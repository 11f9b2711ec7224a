"""What the client says in the log: each thing once a while, however often it happens."""

from __future__ import annotations

import logging
from time import monotonic

EVERY_SECONDS = 60.0

log = logging.getLogger("finops_client")


class Voice:
    """Remembers what was said when."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def say(self, level: int, kind: str, message: str, *values: object) -> None:
        """Log it, unless something of this kind was logged within the last minute."""
        now = monotonic()
        if now - self._said.get(kind, -EVERY_SECONDS) < EVERY_SECONDS:
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return
        self._said[kind] = now
        again = self._held_back.pop(kind, 0)
        log.log(level, f"{message} (and {again} times before)" if again else message, *values)
