"""A span as it was sent, whatever the encoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Value = Any  # str, int, float, bool, or lists and dicts of them
Attributes = dict[str, Value]

EXCEPTION = "exception"  # the event that says why a span failed
FAILED = 2  # STATUS_CODE_ERROR


@dataclass(slots=True)
class Span:
    """One span, with what its resource says. Ids are lower-case hex; times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str  # "" for a root
    name: str
    scope: str  # the instrumentation that made it
    start_ns: int
    end_ns: int
    has_failed: bool
    attributes: Attributes
    resource: Attributes
    content_dropped: int = 0
