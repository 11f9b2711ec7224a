"""A span as the engine of vLLM's versions before 0.11 (V0) made it, which told the model.

Made after its source, not by vLLM: those versions run on GPUs alone.
"""

from __future__ import annotations

from opentelemetry.trace import SpanKind

from tests.attribution.otlp.capture.provider import tracing
from tests.attribution.otlp.capture.recording import Remark, recording
from tests.attribution.otlp.usages import USAGES, Served

MODEL = "llama-3.1-8b-instruct"

with recording("vllm_v0") as made:
    tracer = tracing(made).get_tracer("vllm.llm_engine")
    made.of("opentelemetry-sdk", note="Made after the source of vLLM's engine V0, not by vLLM.")
    with made.scenario("chat", Remark(lost=("model_requested",))):
        usage = USAGES["plain"]
        number = made.upstream.remember(Served("vllm", "chat", MODEL, MODEL, 200, usage))
        attributes = {
            "gen_ai.latency.time_to_first_token": 0.12,
            "gen_ai.latency.e2e": 0.81,
            "gen_ai.usage.prompt_tokens": usage.input_tokens,
            "gen_ai.usage.completion_tokens": usage.output_tokens,
            "gen_ai.request.id": f"chatcmpl-{number:08d}",
            "gen_ai.request.max_tokens": 512,
            "gen_ai.request.n": 1,
            "gen_ai.response.model": MODEL,
        }
        tracer.start_span("llm_request", kind=SpanKind.SERVER, attributes=attributes).end()
