"""From the body of an OTLP request to spans: protobuf and JSON, told the same way.

Prompts and completions ride in attributes; they are dropped by name, before anything else sees a span,
and counted.
"""

from __future__ import annotations

import msgspec
from google.protobuf.message import DecodeError

from attribution.ingest.bodies import UnsupportedMedia
from attribution.ingest.otlp import json_form, protobuf
from attribution.ingest.otlp.span import Span
from finops.core.errors import FieldProblem, InvalidInput, TooLarge

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_SPANS = 10_000


def media_of(content_type: str) -> str:
    """PROTOBUF or JSON. Raises UnsupportedMedia for anything else."""
    media = content_type.partition(";")[0].strip().lower()
    if media in (PROTOBUF, "application/protobuf"):
        return PROTOBUF
    if media == JSON:
        return JSON
    message = f"Content-Type must be {PROTOBUF} or {JSON}."
    raise UnsupportedMedia(message, [FieldProblem("Content-Type", "unsupported", message)])


def spans_of(body: bytes, media: str) -> list[Span]:
    """Every span of a request. Raises InvalidInput for a body that is none, TooLarge for too many."""
    try:
        spans = list(protobuf.spans_in(body) if media == PROTOBUF else json_form.spans_in(body))
    except (DecodeError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"The body is not an OTLP trace request: {error}."
        raise InvalidInput.field("body", "malformed", message) from error
    if len(spans) > MOST_SPANS:
        message = f"More than {MOST_SPANS} spans: send them in several requests."
        raise TooLarge(message, [FieldProblem("resourceSpans", "too_many", message)])
    return spans
