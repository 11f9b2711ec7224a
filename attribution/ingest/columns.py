"""A batch of events as columns, in the order in which they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from attribution.ingest.post import Post
from attribution.ingest.schema import Event
from attribution.ingest.times import DAY_US
from attribution.ingest.usage import meter_columns
from attribution.models.events import CallStatus, ResponseCache
from finops.core.meters import HOT_METERS, SPARSE_TOKEN_METERS, USAGE_FIELDS, Meter

_STATUS = {status.label: status.value for status in CallStatus}
_RESPONSE_CACHE: dict[str | None, int] = {
    None: ResponseCache.UNSTATED,
    **{cache.label: cache.value for cache in ResponseCache},
}
_INPUT_TOKENS = USAGE_FIELDS.index("input_tokens")
_NUMBERS = tuple(
    attrgetter(name)
    for name in (
        "duration_ms",
        "ttft_ms",
        "retrieval_tokens",
        "tool_calls",
        "attempt",
        "status",
        "response_cache",
    )
)
_DETAIL = ("parent_event_id", "model_requested", "error_type", "reported_cost", "tags")
_rarities_of = attrgetter(*_DETAIL)
_context_of = attrgetter("context_tokens")
# In which order tags come says nothing.
_encode_detail = msgspec.json.Encoder(order="deterministic").encode


@dataclass(slots=True)
class Columns:
    """Everything about the events of some posts that does not depend on the database.

    Rows stand in the order (UTC day, identity): every writer takes the locks of the unique indexes in
    the same order, so writers never wait for each other in a circle. ``place`` says which event, in
    order of arrival, a row is.
    """

    place: np.ndarray
    time_us: np.ndarray
    identity: np.ndarray
    prompt_tokens: np.ndarray
    contexts: np.ndarray  # -1: not given
    meters: dict[Meter, np.ndarray]
    events: list[Event]

    @classmethod
    def of(cls, posts: Sequence[Post]) -> Columns:
        """The events of all posts."""
        events = [event for post in posts for event in post.events]
        time_us = np.concatenate([post.time_us for post in posts])
        identity = np.concatenate([post.identity for post in posts], dtype=">u8")
        order = np.lexsort((identity[:, 1], identity[:, 0], time_us // DAY_US))
        ordered = [events[place] for place in order.tolist()]
        tokens = np.concatenate([post.tokens for post in posts])[order]
        contexts = np.array(list(map(_context_of, ordered)), dtype=np.int64)
        return cls(
            place=order,
            time_us=time_us[order],
            identity=identity[order],
            # Its input, unless that is the sum of several.
            prompt_tokens=np.where(contexts >= 0, contexts, np.maximum(tokens[:, _INPUT_TOKENS], 0)),
            contexts=contexts,
            meters=meter_columns(tokens),
            events=ordered,
        )

    @property
    def days(self) -> np.ndarray:
        """UTC days since 1970."""
        return self.time_us // DAY_US

    def numbers(self) -> dict[str, np.ndarray]:
        """What each event says in numbers, besides its time; named as in ``call_event``."""
        # A column at a time: a tuple for each event would cost three times as much.
        duration, ttft, retrieval, tools, attempt, status, cache = (
            list(map(number_of, self.events)) for number_of in _NUMBERS
        )
        return {
            **{meter.label: self.meters[meter] for meter in HOT_METERS},
            "duration_ms": np.rint(duration),
            "ttft_ms": np.rint(ttft),
            "retrieval_tokens": np.array(retrieval),
            "tool_calls": np.array(tools),
            "attempt": np.array(attempt),
            "status": np.array([_STATUS[each] for each in status]),
            "response_cache": np.array([_RESPONSE_CACHE[each] for each in cache]),
        }

    def details(self) -> list[bytes | None]:
        """The rarer fields of each event as a JSON object; None where it has none of them."""
        found = [_detail(values) if any(values) else None for values in map(_rarities_of, self.events)]
        for row in np.flatnonzero(self.contexts >= 0).tolist():
            found[row] = _detail(_rarities_of(self.events[row]), context_tokens=int(self.contexts[row]))
        return found

    def units(self) -> list[tuple[int, str | Meter, Any]]:
        """(row, meter or unit name, quantity) of everything beyond the hot meters; no zeros."""
        found: list[tuple[int, str | Meter, Any]] = []
        for meter in SPARSE_TOKEN_METERS:
            column = self.meters[meter]
            found += [(row, meter, int(column[row])) for row in np.flatnonzero(column).tolist()]
        for row, event in enumerate(self.events):
            if event.usage and event.usage.units:
                found += [(row, name, amount) for name, amount in event.usage.units.items() if amount]
        return found


def _detail(values: tuple[Any, ...], **more: int) -> bytes:  # Any: what the fields of an event are
    said = {name: value for name, value in zip(_DETAIL, values, strict=True) if value}
    return _encode_detail(said | more)
