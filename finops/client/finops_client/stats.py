"""What became of everything that was recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """Counts of records since the client was made, or since the fork that made this process.

    ``delivered`` counts what the server answered for: ``accepted``, ``duplicates``, ``conflicts``,
    ``rejected``, and what it took without such an answer. ``waiting`` is in memory; ``spooled`` was written
    to disk by this process, also if it was sent since.
    """

    recorded: int
    delivered: int
    accepted: int
    duplicates: int
    conflicts: int
    rejected: int
    waiting: int
    spooled: int
    requests: int
    failed_requests: int
    dropped: Mapping[str, int]

    @property
    def lost(self) -> int:
        """How many were given up, for any reason."""
        return sum(self.dropped.values())


class Counts:
    """The counts while they grow; whoever changes them holds the client's lock."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def snapshot(self, waiting: int) -> Stats:
        """The counts as they are now."""
        names = ("recorded", "delivered", "accepted", "duplicates", "conflicts", "rejected", "spooled")
        named = {name: self.of[name] for name in (*names, "requests", "failed_requests")}
        return Stats(waiting=waiting, dropped=dict(self.dropped), **named)
