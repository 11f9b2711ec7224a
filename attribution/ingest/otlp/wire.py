"""From the bytes of an OTLP request to spans: protobuf and JSON, told the same way.

Prompts and completions ride in attributes; they are dropped here, by name, before anything else sees
a span, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from attribution.ingest.bodies import UnsupportedMedia
from attribution.ingest.otlp.names import is_content
from finops.core.errors import FieldProblem, InvalidInput, TooLarge

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_SPANS = 10_000
_FAILED = 2  # STATUS_CODE_ERROR
_FAILED_IN_JSON = (_FAILED, "2", "STATUS_CODE_ERROR")
_EXCEPTION = "exception"  # the event that says why a span failed
_HEX_TRACE, _HEX_SPAN = 32, 16

Value = Any  # str, int, float, bool, or lists and dicts of them
Attributes = dict[str, Value]


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
        spans = list(_from_protobuf(body) if media == PROTOBUF else _from_json(body))
    except (DecodeError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"The body is not an OTLP trace request: {error}."
        raise InvalidInput.field("body", "malformed", message) from error
    if len(spans) > MOST_SPANS:
        message = f"More than {MOST_SPANS} spans: send them in several requests."
        raise TooLarge(message, [FieldProblem("resourceSpans", "too_many", message)])
    return spans


def _from_protobuf(body: bytes) -> Iterator[Span]:
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource, _ = _attributes(resource_spans.resource.attributes, _plain)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name
            for span in scope_spans.spans:
                attributes, dropped = _attributes(span.attributes, _plain)
                for event in span.events:
                    if event.name == _EXCEPTION:
                        attributes |= _attributes(event.attributes, _plain)[0]
                yield Span(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    scope,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == _FAILED,
                    attributes,
                    resource,
                    dropped,
                )


def _attributes(
    pairs: Iterable[KeyValue] | Iterable[_Pair], plain: Callable[[Any], Value]
) -> tuple[Attributes, int]:
    found: Attributes = {}
    dropped = 0
    for pair in pairs:
        key = pair.key
        if is_content(key):
            dropped += 1
        else:
            found[key] = plain(pair.value)
    return found, dropped


def _plain(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    inner = getattr(value, kind)
    if kind == "array_value":
        return [_plain(each) for each in inner.values]
    if kind == "kvlist_value":
        return _attributes(inner.values, _plain)[0]
    return inner


# The JSON form: whole numbers may come as strings, ids come as hex.
class _JsonValue(Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _JsonArray | None = None
    kvlist_value: _JsonPairs | None = None


class _JsonArray(Struct):
    values: list[_JsonValue] = []


class _Pair(Struct):
    key: str
    value: _JsonValue = msgspec.field(default_factory=_JsonValue)


class _JsonPairs(Struct):
    values: list[_Pair] = []


class _JsonStatus(Struct):
    code: int | str = 0


class _JsonEvent(Struct):
    name: str = ""
    attributes: list[_Pair] = []


class _JsonSpan(Struct, rename="camel"):
    trace_id: str
    span_id: str
    parent_span_id: str = ""
    name: str = ""
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_Pair] = []
    events: list[_JsonEvent] = []
    status: _JsonStatus | None = None


class _JsonScope(Struct):
    name: str = ""


class _JsonScopeSpans(Struct):
    scope: _JsonScope | None = None
    spans: list[_JsonSpan] = []


class _JsonResource(Struct):
    attributes: list[_Pair] = []


class _JsonResourceSpans(Struct, rename="camel"):
    resource: _JsonResource | None = None
    scope_spans: list[_JsonScopeSpans] = []


class _JsonRequest(Struct, rename="camel"):
    resource_spans: list[_JsonResourceSpans] = []


_decode_json = msgspec.json.Decoder(_JsonRequest).decode


def _from_json(body: bytes) -> Iterator[Span]:
    for resource_spans in _decode_json(body).resource_spans:
        named = resource_spans.resource
        resource, _ = _attributes(named.attributes if named else [], _plain_json)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name if scope_spans.scope else ""
            for span in scope_spans.spans:
                attributes, dropped = _attributes(span.attributes, _plain_json)
                for event in span.events:
                    if event.name == _EXCEPTION:
                        attributes |= _attributes(event.attributes, _plain_json)[0]
                yield Span(
                    _hex(span.trace_id, _HEX_TRACE),
                    _hex(span.span_id, _HEX_SPAN),
                    _hex(span.parent_span_id, _HEX_SPAN) if span.parent_span_id else "",
                    span.name,
                    scope,
                    int(span.start_time_unix_nano),
                    int(span.end_time_unix_nano),
                    span.status is not None and span.status.code in _FAILED_IN_JSON,
                    attributes,
                    resource,
                    dropped,
                )


def _plain_json(value: _JsonValue) -> Value:
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return int(value.int_value)
    if value.double_value is not None:
        return float(value.double_value)
    if value.bool_value is not None:
        return value.bool_value
    if value.array_value is not None:
        return [_plain_json(each) for each in value.array_value.values]
    if value.kvlist_value is not None:
        return _attributes(value.kvlist_value.values, _plain_json)[0]
    return None


def _hex(text: str, length: int) -> str:
    if len(text) != length:
        raise ValueError(f"an id has {length} hexadecimal digits, not {len(text)}")
    return bytes.fromhex(text).hex()
