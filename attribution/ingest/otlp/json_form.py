"""Spans out of OTLP in JSON: whole numbers may come as strings, ids come as hex."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from attribution.ingest.otlp.names import is_content
from attribution.ingest.otlp.span import EXCEPTION, FAILED, Attributes, Span, Value

_FAILED = (FAILED, "2", "STATUS_CODE_ERROR")
_HEX_TRACE, _HEX_SPAN = 32, 16


class _Value(Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None


class _Array(Struct):
    values: list[_Value] = []


class _Pair(Struct):
    key: str
    value: _Value = msgspec.field(default_factory=_Value)


class _Pairs(Struct):
    values: list[_Pair] = []


class _Status(Struct):
    code: int | str = 0


class _Event(Struct):
    name: str = ""
    attributes: list[_Pair] = []


class _Span(Struct, rename="camel"):
    trace_id: str
    span_id: str
    parent_span_id: str = ""
    name: str = ""
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_Pair] = []
    events: list[_Event] = []
    status: _Status | None = None


class _Scope(Struct):
    name: str = ""


class _ScopeSpans(Struct):
    scope: _Scope | None = None
    spans: list[_Span] = []


class _Resource(Struct):
    attributes: list[_Pair] = []


class _ResourceSpans(Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] = []


class _Request(Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] = []


_decode_json = msgspec.json.Decoder(_Request).decode


def spans_in(body: bytes) -> Iterator[Span]:
    """The spans of a request. Raises MsgspecError or ValueError for anything else."""
    for resource_spans in _decode_json(body).resource_spans:
        named = resource_spans.resource
        resource, _ = _attributes(named.attributes if named else [])
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name if scope_spans.scope else ""
            for span in scope_spans.spans:
                attributes, dropped = _attributes(span.attributes)
                for event in span.events:
                    if event.name == EXCEPTION:
                        attributes |= _attributes(event.attributes)[0]
                yield Span(
                    _hex(span.trace_id, _HEX_TRACE),
                    _hex(span.span_id, _HEX_SPAN),
                    _hex(span.parent_span_id, _HEX_SPAN) if span.parent_span_id else "",
                    span.name,
                    scope,
                    int(span.start_time_unix_nano),
                    int(span.end_time_unix_nano),
                    span.status is not None and span.status.code in _FAILED,
                    attributes,
                    resource,
                    dropped,
                )


def _attributes(pairs: Iterable[_Pair]) -> tuple[Attributes, int]:
    """The attributes but those that hold content, and how many of those there were."""
    found: Attributes = {}
    dropped = 0
    for pair in pairs:
        if is_content(pair.key):
            dropped += 1
        else:
            found[pair.key] = _plain(pair.value)
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
        return [_plain(each) for each in value.array_value.values]
    if value.kvlist_value is not None:
        return _attributes(value.kvlist_value.values)[0]
    return None


def _hex(text: str, length: int) -> str:
    if len(text) != length:
        raise ValueError(f"an id has {length} hexadecimal digits, not {len(text)}")
    return bytes.fromhex(text).hex()
