"""Spans out of OTLP in protobuf.

Only the fields that are read here are declared, and attributes as bytes: most of them are the same from
span to span, so a pair is decoded once and then looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessages
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from attribution.ingest.otlp.names import is_content
from attribution.ingest.otlp.span import EXCEPTION, FAILED, Attributes, Span, Value

_LONGEST_REMEMBERED = 200  # bytes
_MOST_REMEMBERED = 10_000
_remembered: dict[bytes, tuple[str, Value] | None] = {}
# The beginnings of attributes up to their values, and the keys that these name; '' for content.
_keys: dict[bytes, str] = {}
# Field and wire type, as they stand before a value in an attribute, and before a text or a number in it.
_VALUE, _TEXT, _NUMBER = 0x12, 0x0A, 0x18
_SHORT = 0x80  # a length or number below it is one byte

# By message its fields: name, number and type; "*" marks a repeated one. Numbers and types are OTLP's.
_DECLARED: dict[str, dict[str, tuple[int, str]]] = {
    "Request": {"resource_spans": (1, "ResourceSpans*")},
    "ResourceSpans": {"resource": (1, "Resource"), "scope_spans": (2, "ScopeSpans*")},
    "Resource": {"attributes": (1, "bytes*")},
    "ScopeSpans": {"scope": (1, "Scope"), "spans": (2, "Span*")},
    "Scope": {"name": (1, "string")},
    "Span": {
        "trace_id": (1, "bytes"),
        "span_id": (2, "bytes"),
        "parent_span_id": (4, "bytes"),
        "name": (5, "string"),
        "start_time_unix_nano": (7, "fixed64"),
        "end_time_unix_nano": (8, "fixed64"),
        "attributes": (9, "bytes*"),
        "events": (11, "Event*"),
        "status": (15, "Status"),
    },
    "Event": {"name": (2, "string"), "attributes": (3, "bytes*")},
    "Status": {"code": (3, "int32")},
}
_SCALARS = {
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "string": FieldDescriptorProto.TYPE_STRING,
    "fixed64": FieldDescriptorProto.TYPE_FIXED64,
    "int32": FieldDescriptorProto.TYPE_INT32,
}


def spans_in(body: bytes) -> Iterator[Span]:
    """The spans of an ExportTraceServiceRequest. Raises DecodeError for anything else."""
    for resource_spans in _Request.FromString(body).resource_spans:
        resource, _ = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name
            for span in scope_spans.spans:
                attributes, dropped = _attributes(span.attributes)
                for event in span.events:
                    if event.name == EXCEPTION:
                        attributes |= _attributes(event.attributes)[0]
                yield Span(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    scope,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == FAILED,
                    attributes,
                    resource,
                    dropped,
                )


def _attributes(pairs: Iterable[bytes]) -> tuple[Attributes, int]:
    """The attributes but those that hold content, and how many of those there were."""
    found: Attributes = {}
    dropped = 0
    for encoded in pairs:
        try:
            pair = _remembered[encoded]
        except KeyError:
            pair = _decoded(encoded)
        if pair is None:
            dropped += 1
        else:
            found[pair[0]] = pair[1]
    return found, dropped


def _decoded(encoded: bytes) -> tuple[str, Value] | None:
    """Key and value; None where the value may be what was asked or answered."""
    pair = _short(encoded)
    if pair is None:
        read = KeyValue.FromString(encoded)
        key = read.key
        pair = None if is_content(key) else (key, _plain(read.value))
        start = len(key) + 2
        if len(key) < _SHORT and len(_keys) < _MOST_REMEMBERED and encoded[2:start] == key.encode():
            _keys[encoded[:start]] = key if pair else ""
    if len(encoded) <= _LONGEST_REMEMBERED:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[encoded] = pair
    return pair


def _short(encoded: bytes) -> tuple[str, Value] | None:
    """A short text or number under a key that was met before; None for all else.

    Most values that differ from span to span are these, and a message of their own takes twice the time.
    """
    start = encoded[1] + 2 if len(encoded) > 2 else 0
    key = _keys.get(encoded[:start])
    size = len(encoded) - start - 2
    if not key or not 2 <= size < _SHORT or encoded[start] != _VALUE or encoded[start + 1] != size:
        return None
    kind, first = encoded[start + 2], encoded[start + 3]
    if kind == _TEXT and first == size - 2 and first < _SHORT:
        return key, encoded[start + 4 :].decode()
    digits = encoded[start + 3 :]
    # Five of them hold every count. All but the last say that another one follows.
    if (
        kind != _NUMBER
        or len(digits) > 5
        or digits[-1] >= _SHORT
        or min(digits[:-1], default=_SHORT) < _SHORT
    ):
        return None
    return key, sum((digit & 0x7F) << 7 * place for place, digit in enumerate(digits))


def _plain(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    inner = getattr(value, kind)
    if kind == "array_value":
        return [_plain(each) for each in inner.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value) for pair in inner.values if not is_content(pair.key)}
    return inner


def _request() -> Any:  # Any: a message class made here
    file = FileDescriptorProto(name="attribution/otlp_spans.proto", package="attribution", syntax="proto3")
    for message, fields in _DECLARED.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            scalar = _SCALARS.get(kind.removesuffix("*"))
            declared.field.add(
                name=name,
                number=number,
                label=FieldDescriptorProto.LABEL_REPEATED
                if kind.endswith("*")
                else FieldDescriptorProto.LABEL_OPTIONAL,
                type=scalar or FieldDescriptorProto.TYPE_MESSAGE,
                type_name=None if scalar else f".attribution.{kind.removesuffix('*')}",
            )
    return GetMessages([file], DescriptorPool())["attribution.Request"]


_Request = _request()
