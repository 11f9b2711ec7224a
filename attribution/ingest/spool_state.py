"""How full the spool of this host is, and since when something waits in it. Reads no record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

from attribution.ingest.spool_files import SET_ASIDE, segments


@dataclass(frozen=True, slots=True)
class SpoolState:
    """``oldest_at``: nothing that waits was acknowledged before; None when nothing waits."""

    bytes: int
    most_bytes: int
    oldest_at: datetime | None
    set_aside: int  # files that a person must look at


def spool_state() -> SpoolState:
    """The state now; a look at a directory."""
    found = segments(settings.SPOOL_DIR)
    return SpoolState(
        bytes=sum(segment.bytes for segment in found),
        most_bytes=settings.SPOOL_MAX_BYTES,
        oldest_at=datetime.fromtimestamp(min(each.opened_at for each in found), UTC) if found else None,
        set_aside=sum(1 for _ in (settings.SPOOL_DIR / SET_ASIDE).glob("*")),
    )
