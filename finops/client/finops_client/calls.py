"""One call to a model, measured while it runs."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from finops_client.fields import EventFields, Status, Usage
from finops_client.records import new_id

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

_CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError, GeneratorExit, KeyboardInterrupt)
_NO_ANSWER = object()
_TIMEOUTS = ("Timeout", "TimeoutError", "TimeoutException")


class _Records(Protocol):
    def send_event(self, fields: Mapping[str, Any]) -> str: ...

    def send_answered(self, fields: Mapping[str, Any], response: object) -> str: ...


class Call:
    """Measures from entering to leaving, and records one event on leaving.

    An exception makes its status ``timeout``, ``cancelled`` or ``error``, and passes on.
    """

    def __init__(self, client: _Records, fields: Mapping[str, Any]) -> None:
        self._client = client
        self._fields: dict[str, Any] = dict(fields)
        self._fields.setdefault("event_id", new_id())
        self._response: object = _NO_ANSWER
        self._started = perf_counter()

    @property
    def id(self) -> str:
        """The event's id."""
        return str(self._fields["event_id"])

    def first_token(self) -> None:
        """The first token of a stream is here; later ones change nothing."""
        self._fields.setdefault("ttft_ms", self._elapsed())

    def response(self, response: object) -> None:
        """The provider's answer: usage, model and service tier are read from it."""
        self._response = response

    def usage(self, usage: Usage) -> None:
        """What was used, where there is no answer to read it from."""
        self._fields["usage"] = usage

    def set(self, **fields: Unpack[EventFields]) -> None:
        """Say more about the call."""
        self._fields.update(fields)

    def __enter__(self) -> Self:
        self._started = perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._fields.setdefault("duration_ms", self._elapsed())
        if kind is not None:
            self._fields.setdefault("status", _status(kind))
            self._fields.setdefault("error_type", kind.__name__)
        if self._response is not _NO_ANSWER:
            self._client.send_answered(self._fields, self._response)
            return
        if kind is not None:
            # A call without an answer is not billed; the server wants to be told a quantity.
            self._fields.setdefault("usage", {"input_tokens": 0, "output_tokens": 0})
        self._client.send_event(self._fields)

    def _elapsed(self) -> float:
        return round((perf_counter() - self._started) * 1000, 3)


def _status(kind: type[BaseException]) -> Status:
    if issubclass(kind, _CANCELLED):
        return "cancelled"
    if any(base.__name__.endswith(_TIMEOUTS) for base in kind.__mro__):
        return "timeout"
    return "error"
