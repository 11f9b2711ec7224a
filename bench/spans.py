"""Calls of the demo company as OpenTelemetry and LiteLLM would tell them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from bench.traffic import today
from finops.demo.calls import Calls
from finops.demo.events import events
from finops.demo.story import Story

_ATTRIBUTES = {
    "provider": "gen_ai.provider.name",
    "model": "gen_ai.response.model",
    "operation": "gen_ai.operation.name",
    **{
        name: f"finops.{name}"
        for name in (
            "team",
            "feature",
            "tier",
            "environment",
            "customer",
            "end_user",
            "session_id",
            "task_id",
        )
    },
}
_USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}


def otlp_bodies(some: Calls, *, prefix: str, size: int) -> Iterator[bytes]:
    """OTLP requests in protobuf, ``size`` spans each, a resource for each service."""
    first = Story.before(today(), 2).first
    for start in range(0, len(some), size):
        by_service: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in events(some[start : start + size], prefix, start, first):
            by_service[event["source"]].append(event)
        request = ExportTraceServiceRequest()
        for service, told in by_service.items():
            one = request.resource_spans.add()
            one.resource.attributes.append(_pair("service.name", service))
            scope = one.scope_spans.add()
            scope.scope.name = "opentelemetry.instrumentation.openai_v2"
            for event in told:
                _add_span(scope.spans, event)
        yield request.SerializeToString()


def litellm_bodies(some: Calls, *, prefix: str, size: int) -> Iterator[bytes]:
    """Arrays of what LiteLLM's generic callback sends, less the many fields that nobody reads."""
    first = Story.before(today(), 2).first
    for start in range(0, len(some), size):
        told = events(some[start : start + size], prefix, start, first)
        yield msgspec.json.encode([_litellm(event) for event in told])


def _add_span(spans: Any, event: dict[str, Any]) -> None:  # Any: a repeated field of protobuf
    digest = hashlib.blake2b(event["event_id"].encode(), digest_size=24).digest()
    ended = event["occurred_at"] * 1_000_000
    spans.add(
        trace_id=digest[:16],
        span_id=digest[16:],
        name=f"{event['operation']} {event['model']}",
        start_time_unix_nano=ended - int(event["duration_ms"]) * 1_000_000,
        end_time_unix_nano=ended,
        status={"code": 2 if event["status"] == "error" else 0},
        attributes=[
            *(_pair(key, event[name]) for name, key in _ATTRIBUTES.items() if name in event),
            *(_pair(key, event["usage"][name]) for name, key in _USAGE.items() if name in event["usage"]),
        ],
    )


def _pair(key: str, value: str | int) -> KeyValue:
    held = AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value)
    return KeyValue(key=key, value=held)


def _litellm(event: dict[str, Any]) -> dict[str, Any]:
    usage, ended = event["usage"], event["occurred_at"] / 1000
    cached = {"cached_tokens": usage.get("cache_read_tokens", 0)}
    return {
        "id": "chatcmpl-1",
        "call_id": event["event_id"],
        "trace_id": event.get("session_id", event["event_id"]),
        "call_type": "acompletion",
        "custom_llm_provider": event["provider"],
        "model": event["model"],
        "startTime": ended - event["duration_ms"] / 1000,
        "endTime": ended,
        "completionStartTime": ended,
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["input_tokens"] + usage["output_tokens"],
        "status": "failure" if event["status"] == "error" else "success",
        "end_user": event.get("end_user", ""),
        "request_tags": [f"{name}:{event[name]}" for name in ("feature", "tier") if name in event],
        "metadata": {
            "user_api_key_team_alias": event.get("team"),
            "usage_object": {
                "prompt_tokens": usage["input_tokens"],
                "completion_tokens": usage["output_tokens"],
                "prompt_tokens_details": cached,
            },
        },
    }
