"""What makes two events the same one, and what makes them say the same."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
import numpy as np
from xxhash import xxh3_64_intdigest, xxh3_128_digest

from attribution.ingest.schema import Event

# Defaults are left out, so that a field added later changes no hash of an event without it.
encode = msgspec.msgpack.Encoder(decimal_format="string").encode


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
    keys = [prefixes[event.source or ""] + event.event_id for event in events]
    digests = [xxh3_128_digest(key.encode()) for key in keys]
    return np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, 2)


def identity_of(source: str, event_id: str) -> UUID:
    """The identity of one event, as ``call_event`` keeps it."""
    return UUID(bytes=xxh3_128_digest((_Prefixes()[source] + event_id).encode()))


def content_hashes(events: Sequence[Event]) -> np.ndarray:
    """What each event says, as int64, without when it says that it happened: a retry may re-stamp it.

    Takes the time out of the events; read it before. In which order pairs come says nothing either.
    """
    for event in events:
        event.occurred_at = 0
        if event.tags:
            event.tags = dict(sorted(event.tags.items()))
        if event.usage and event.usage.units:
            event.usage.units = dict(sorted(event.usage.units.items()))
    hashes = [xxh3_64_intdigest(encode(event)) for event in events]
    return np.array(hashes, dtype=np.uint64).view(np.int64)
