"""A span as vLLM's own tracing makes it.

vLLM needs a GPU and is no part of the recording: the name, kind, scope and attributes are those that its
source sets (``vllm/tracing``, ``SpanAttributes``, ``do_tracing``), sent by the SDK and exporter it uses.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from tests.attribution.otlp.capture.provider import tracing
from tests.attribution.otlp.capture.recording import Remark, recording
from tests.attribution.otlp.capture.scenarios import plain_parent
from tests.attribution.otlp.usages import USAGES, Served

MODEL = "llama-3.1-8b-instruct"
NOTE = """\
Made after vLLM's source, not by vLLM. Its engine of today (V1) names neither model nor provider on the span,
the one before (V0) told gen_ai.response.model. The scope is vllm.llm_engine."""


def _attributes(word: str, number: int) -> dict[str, Any]:
    usage = USAGES[word]
    return {
        "gen_ai.latency.time_to_first_token": 0.12,
        "gen_ai.latency.e2e": 0.81,
        "gen_ai.latency.time_in_queue": 0.01,
        "gen_ai.usage.prompt_tokens": usage.input_tokens,
        "gen_ai.usage.completion_tokens": usage.output_tokens,
        "gen_ai.latency.time_in_model_prefill": 0.1,
        "gen_ai.latency.time_in_model_decode": 0.7,
        "gen_ai.latency.time_in_model_inference": 0.8,
        "gen_ai.request.id": f"chatcmpl-{number:08d}",
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.max_tokens": 512,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.n": 1,
    }


with recording("vllm") as made:
    provider: TracerProvider = tracing(made)
    made.of("opentelemetry-sdk", note=NOTE)
    made.in_general = Remark(lost=("model", "model_requested", "cache_read_tokens", "reasoning_tokens"))
    tracer = provider.get_tracer("vllm.llm_engine")

    def serve(word: str, **more: str) -> None:
        """One request to the engine."""
        served = Served("vllm", "chat", MODEL, MODEL, 200, USAGES[word])
        number = made.upstream.remember(served)
        started = time.time_ns() - 810_000_000
        span = tracer.start_span(
            "llm_request",
            kind=SpanKind.SERVER,
            start_time=started,
            attributes=_attributes(word, number) | more,
        )
        span.end()

    with made.scenario("chat"):
        serve("plain")
    with made.scenario("chat_v0", Remark(lost=("model_requested",))):
        serve("plain", **{"gen_ai.response.model": MODEL})
    with made.scenario("cached"):
        serve("cached")
    with made.scenario("parent_one_request"), plain_parent():
        serve("plain")
        serve("reasoning")
    with made.scenario("parent_two_requests", orders=["as listed", "reversed"]), plain_parent():
        serve("plain")
        serve("reasoning")
        made.flush()
