"""Spans made by hand, sent as an exporter sends them, settled and read back from the books."""

from __future__ import annotations

import gzip
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from attribution.ingest import writer
from attribution.ingest.otlp import settling
from attribution.ingest.otlp.mapping import forget_spellings
from finops.accounts.authentication import forget_keys
from tests.attribution.ingest.conftest import issue_key

URL = "/v1/traces"
TRACE = "5b8efff798038103d269b633813fc60c"
_numbers = itertools.count(1)
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
}


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    for forget in (writer.forget, forget_keys, forget_spellings):
        forget()
    yield
    for forget in (writer.forget, forget_keys, forget_spellings):
        forget()


@pytest.fixture(autouse=True)
def _committed(transactional_db: None) -> None:
    """Settling commits between its steps."""


def value(of: Any) -> AnyValue:
    """As OTLP has it."""
    match of:
        case bool():
            return AnyValue(bool_value=of)
        case int():
            return AnyValue(int_value=of)
        case float():
            return AnyValue(double_value=of)
        case _:
            return AnyValue(string_value=of)


def span(
    span_id: int | None = None,
    attributes: Mapping[str, Any] | None = None,
    *,
    inside: int | None = None,
    trace: str = TRACE,
    failed: bool = False,
    seconds: float = 1.5,
) -> Span:
    """A span that ended just now."""
    ended = time.time_ns() - 10**9
    return Span(
        trace_id=bytes.fromhex(trace),
        span_id=(span_id or 1000 + next(_numbers)).to_bytes(8, "big"),
        parent_span_id=inside.to_bytes(8, "big") if inside else b"",
        name="call",
        start_time_unix_nano=ended - int(seconds * 1e9),
        end_time_unix_nano=ended,
        status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
        attributes=[KeyValue(key=key, value=value(each)) for key, each in (attributes or {}).items()],
    )


def chat(
    span_id: int | None = None,
    tokens: tuple[int, int] = (100, 10),
    attributes: Mapping[str, Any] | None = None,
    *,
    inside: int | None = None,
    trace: str = TRACE,
) -> Span:
    """A model call with its input and output tokens."""
    usage = {"gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1]}
    return span(span_id, {**CHAT, **usage, **(attributes or {})}, inside=inside, trace=trace)


def request(
    *spans: Span, resource: dict[str, Any] | None = None, scope: str = ""
) -> ExportTraceServiceRequest:
    """One request of one service."""
    made = ExportTraceServiceRequest()
    one = made.resource_spans.add()
    for key, each in (resource or {"service.name": "shop"}).items():
        one.resource.attributes.append(KeyValue(key=key, value=value(each)))
    scoped = one.scope_spans.add()
    scoped.scope.name = scope
    scoped.spans.extend(spans)
    return made


Send = Callable[..., ExportTraceServiceResponse]


@pytest.fixture
def send(client: Client) -> Send:
    """Send spans, protobuf and gzip, with a new key unless one is given."""
    keys: list[str] = []

    def sending(*spans: Span, key: str = "", **said: Any) -> ExportTraceServiceResponse:
        if not key and not keys:
            keys.append(issue_key("collector"))
        answer = client.post(
            URL,
            gzip.compress(request(*spans, **said).SerializeToString()),
            content_type="application/x-protobuf",
            headers={"Authorization": f"Bearer {key or keys[0]}", "Content-Encoding": "gzip"},
        )
        assert answer.status_code == 200, answer.content
        assert answer["Content-Type"] == "application/x-protobuf"
        return ExportTraceServiceResponse.FromString(answer.content)

    return sending


def settle() -> None:
    """Let everything that was sent have waited long enough."""
    settling.settle(wait=timedelta(0))


def booked() -> list[tuple[int, int]]:
    """Input and output tokens of every booked call, all cached ones included."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT input + cache_read + cache_write + cache_write_1h, output + reasoning FROM call_event"
            " ORDER BY 1, 2"
        )
        return [(int(read), int(written)) for read, written in cursor.fetchall()]
