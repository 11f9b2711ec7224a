"""Spans out of OTLP in JSON: whole numbers may come as strings, ids come as hex, and null says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from attribution.ingest.otlp.names import is_content
from attribution.ingest.otlp.span import EXCEPTION, FAILED, Attributes, Span, Value

_FAILED = (FAILED, "2", "STATUS_CODE_ERROR")
_HEX_TRACE, _HEX_SPAN = 32, 16
_UINT64 = 2**64


class _Value(Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None


class _Array(Struct):
    values: list[_Value] | None = None


class _Pair(Struct):
    key: str
    value: _Value | None = None


class _Pairs(Struct):
    values: list[_Pair] | None = None


class _Status(Struct):
    code: int | str | None = None


class _Event(Struct):
    name: str | None = None
    attributes: list[_Pair] | None = None


class _Span(Struct, rename="camel"):
    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    name: str | None = None
    start_time_unix_nano: int | str | None = None
    end_time_unix_nano: int | str | None = None
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    status: _Status | None = None


class _Scope(Struct):
    name: str | None = None


class _ScopeSpans(Struct):
    scope: _Scope | None = None
    spans: list[_Span] | None = None


class _Resource(Struct):
    attributes: list[_Pair] | None = None


class _ResourceSpans(Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _Request(Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None


_decode_json = msgspec.json.Decoder(_Request).decode


def spans_in(body: bytes) -> Iterator[Span]:
    """The spans of a request. Raises MsgspecError or ValueError for anything else."""
    for resource_spans in _decode_json(body).resource_spans or ():
        named = resource_spans.resource
        resource, _ = _attributes(named.attributes if named else None)
        for scope_spans in resource_spans.scope_spans or ():
            scope = scope_spans.scope.name if scope_spans.scope else None
            for span in scope_spans.spans or ():
                attributes, dropped = _attributes(span.attributes)
                for event in span.events or ():
                    if event.name == EXCEPTION:
                        attributes |= _attributes(event.attributes)[0]
                yield Span(
                    _hex(span.trace_id, _HEX_TRACE),
                    _hex(span.span_id, _HEX_SPAN),
                    _hex(span.parent_span_id, _HEX_SPAN) if span.parent_span_id else "",
                    span.name or "",
                    scope or "",
                    _nanoseconds(span.start_time_unix_nano),
                    _nanoseconds(span.end_time_unix_nano),
                    span.status is not None and span.status.code in _FAILED,
                    attributes,
                    resource,
                    dropped,
                )


def _attributes(pairs: Iterable[_Pair] | None) -> tuple[Attributes, int]:
    """The attributes but those that hold content, and how many of those there were."""
    found: Attributes = {}
    dropped = 0
    for pair in pairs or ():
        if is_content(pair.key):
            dropped += 1
        else:
            found[pair.key] = _plain(pair.value) if pair.value else None
    return found, dropped


def _plain(value: _Value) -> Value:
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return int(value.int_value)
    if value.double_value is not None:
        return float(value.double_value)
    if value.bool_value is not None:
        return value.bool_value
    if value.array_value is not None:
        return [_plain(each) for each in value.array_value.values or ()]
    if value.kvlist_value is not None:
        return _attributes(value.kvlist_value.values)[0]
    return None


def _nanoseconds(told: int | str | None) -> int:
    number = int(told or 0)
    if not 0 <= number < _UINT64:
        raise ValueError(f"a time in nanoseconds has 64 bits, not {told}")
    return number


def _hex(text: str, length: int) -> str:
    if len(text) != length:
        raise ValueError(f"an id has {length} hexadecimal digits, not {len(text)}")
    return bytes.fromhex(text).hex()
