"""What became of the events of one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribution.ingest.native import Arrivals

_MOST_UNKNOWN_FIELDS = 20


@dataclass(slots=True)
class Outcome:
    """Counts of what was kept, and every event that was not, by its place in the request."""

    arrivals: Arrivals
    accepted: int
    duplicates: int
    conflicts: list[int]  # places in ``arrivals.events``
    spooled: int = 0  # durable on this host's disk, and not in the database yet

    def as_dict(self) -> dict[str, Any]:
        """The answer to the client."""
        arrivals = self.arrivals
        unknown = sorted(arrivals.unknown_fields)[:_MOST_UNKNOWN_FIELDS]
        return {
            **({"spooled": self.spooled} if self.spooled else self._kept()),
            "rejected": [
                rejection.as_dict()
                for rejection in sorted(arrivals.rejected, key=lambda rejection: rejection.index)
            ],
            "content_dropped": arrivals.content_dropped,
            "unknown_fields": unknown,
        }

    def _kept(self) -> dict[str, Any]:
        """What only the books can tell."""
        arrivals = self.arrivals
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "conflicts": [
                {"index": arrivals.index[place], "event_id": arrivals.events[place].event_id}
                for place in self.conflicts
            ],
        }
