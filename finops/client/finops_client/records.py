"""What waits to be sent: records as the bytes they will be sent as, and batches of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID


class Lane(Enum):
    """Where a record goes: the path, and the name of the list in the body."""

    EVENTS = ("/api/v1/events", "events")
    OUTCOMES = ("/api/v1/outcomes", "outcomes")

    @property
    def path(self) -> str:
        return self.value[0]

    @property
    def list_name(self) -> str:
        return self.value[1]


@dataclass(frozen=True)
class Rejection:
    """One record that the server looked at and will not take."""

    id: str
    field: str
    code: str
    message: str


@dataclass(frozen=True)
class Drop:
    """Records that are given up, and why.

    ``reason`` is one of ``closed``, ``unencodable``, ``too_large``, ``queue_full``,
    ``refused`` (by the server, as a whole), ``unsupported`` (by an older server), ``undelivered`` (in the
    time there was at the end).
    """

    reason: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """One event or outcome; ``body`` is its JSON, settled when it was recorded."""

    lane: Lane
    id: str
    body: bytes
    # Its place among everything recorded, and when that was on the monotonic clock.
    number: int = 0
    at: float = 0.0


@dataclass(eq=False)
class Batch:
    """Records sent together, the same ones in every attempt."""

    lane: Lane
    records: Sequence[Record]
    attempts: int = 0
    # How many batches had been delivered when this one failed first.
    delivered_before: int = -1
    file: Path | None = None
    lock: int | None = field(default=None, repr=False)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(record.id for record in self.records)

    def body(self) -> bytes:
        """The body of the request, before compression."""
        return b'{"%s":[%s]}' % (
            self.lane.list_name.encode(),
            b",".join(record.body for record in self.records),
        )

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches with the same records."""
        middle = len(self.records) // 2
        return Batch(self.lane, self.records[:middle]), Batch(self.lane, self.records[middle:])


def encode(content: Mapping[str, Any]) -> bytes:  # Any: JSON
    """JSON without what is None. Raises TypeError or ValueError for what JSON cannot say."""
    given = {name: value for name, value in content.items() if value is not None}
    return json.dumps(
        given, default=_plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Decimal | UUID | date):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def rfc3339(at: datetime) -> str:
    """UTC with microseconds. A time without a zone is taken as the machine's own."""
    return at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def new_id() -> str:
    """32 hexadecimal digits that begin with the time (a UUID of version 7), so that indexes stay dense."""
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    high, low = (noise >> 64) & 0xFFF, noise & (2**62 - 1)
    number = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
    return f"{number:032x}"
