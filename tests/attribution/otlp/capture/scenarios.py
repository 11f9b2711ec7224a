"""What every client is recorded with, whatever instruments it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry.baggage import set_baggage
from opentelemetry.context import attach, detach
from opentelemetry.trace import get_tracer

from tests.attribution.otlp.capture.recording import Recording

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
Parent = Callable[[], AbstractContextManager[object]]


@contextlib.contextmanager
def plain_parent() -> Iterator[None]:
    """A span of the service itself that says which feature the calls inside are for."""
    tracer = get_tracer("shop")
    with tracer.start_as_current_span("answer ticket") as span:
        span.set_attributes({"finops.feature": "returns", "finops.task_id": "ticket-7"})
        yield


def said(word: str = "") -> Any:
    """The one message of a prompt."""
    return [{"role": "user", "content": f"Say hello. #{word}" if word else "Say hello."}]


def drain(stream: Any) -> None:
    """Read a stream to its end."""
    for _piece in stream:
        pass


def parents(recording: Recording, call: Callable[[str], object], parent: Parent = plain_parent) -> None:
    """A parent with two calls in one request, and the same with the parent in a request of its own."""
    with recording.scenario("parent_one_request"), parent():
        call("")
        call("cached")
    orders = ["as listed", "reversed"]
    with recording.scenario("parent_two_requests", orders=orders), parent():
        call("")
        call("cached")
        recording.flush()


def with_baggage(recording: Recording, call: Callable[[str], object]) -> None:
    """A call whose feature is said in baggage, which wins over that of the resource."""
    token = attach(set_baggage("finops.feature", "checkout"))
    try:
        with recording.scenario("baggage", feature="checkout"):
            call("")
    finally:
        detach(token)
