"""What makes two events the same one, and what makes them say the same."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from xxhash import xxh3_64_digest, xxh3_128_digest

from attribution.ingest.schema import Event


class _Prefixes(dict[str, str]):
    """The length stands before the source, so no source and id run into another pair's."""

    def __missing__(self, source: str) -> str:
        prefix = self[source] = f"{len(source)}:{source}:"
        return prefix


def identities(events: Sequence[Event]) -> np.ndarray:
    """xxh3-128 of (source, event_id) for each event, as two big-endian 64-bit columns."""
    prefixes = _Prefixes()
    if not events:
        return np.empty((0, 2), dtype=">u8")
    digests = [xxh3_128_digest((prefixes[event.source or ""] + event.event_id).encode()) for event in events]
    return np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, 2)


def identity_of(source: str, event_id: str) -> UUID:
    """The identity of one event, as ``call_event`` keeps it."""
    return UUID(bytes=xxh3_128_digest((_Prefixes()[source] + event_id).encode()))


def said(values: Sequence[str | None]) -> int:
    """A number, as int64, for what these texts say; None says the same as ''."""
    told = "".join(f"{len(value)}:{value}" for value in (text or "" for text in values))
    return int.from_bytes(xxh3_64_digest(told.encode()), "big", signed=True)


def content_hashes(numbers: Sequence[np.ndarray], texts: Sequence[bytes]) -> np.ndarray:
    """What each event says, as int64: the same row of all ``numbers`` and its ``texts``.

    When it happened is not among them: a retry may re-stamp it. A field that is added later belongs
    here only where it is given, or every retry across that change would seem to say something else.
    """
    table = np.column_stack([column.astype(np.int64) for column in numbers])
    rows, width = table.tobytes(), table.shape[1] * table.itemsize
    starts = range(0, len(rows), width)
    digests = [
        xxh3_64_digest(rows[start : start + width] + text) for start, text in zip(starts, texts, strict=True)
    ]
    return np.frombuffer(b"".join(digests), dtype=">i8")
