"""opentelemetry-instrumentation-openai-v2, without a word of configuration."""

from __future__ import annotations

from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

from tests.attribution.otlp.capture import openai_calls, scenarios
from tests.attribution.otlp.capture.provider import tracing
from tests.attribution.otlp.capture.recording import Remark, recording

with recording("openai_v2") as made:
    made.of(
        "opentelemetry-instrumentation-openai-v2",
        "opentelemetry-util-genai",
        "opentelemetry-sdk",
        "openai",
        note="gen_ai.system, and neither cached nor reasoning tokens.",
    )
    made.in_general = Remark(lost=("cache_read_tokens", "reasoning_tokens"))
    unseen = Remark(lost=("call",), note="The Responses API is not instrumented.")
    made.remarks = {"responses": unseen, "responses_stream": unseen}
    OpenAIInstrumentor().instrument(tracer_provider=tracing(made))
    client = openai_calls.openai_client(made)
    openai_calls.openai_calls(made, client)
    scenarios.parents(made, openai_calls.openai_chat(client))
    scenarios.with_baggage(made, openai_calls.openai_chat(client))
