"""The GenAI instrumentations of OpenTelemetry for OpenAI and Anthropic."""

from __future__ import annotations

from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

from tests.attribution.otlp.capture import anthropic_calls, openai_calls, scenarios
from tests.attribution.otlp.capture.provider import tracing
from tests.attribution.otlp.capture.recording import recording

NOTE = """\
The Anthropic SDK's own span (scope com.anthropic.sdk.python) lies inside the instrumentation's and
repeats its usage; it alone tells the 1h part of cache writes."""

with recording("genai") as made:
    made.of(
        "opentelemetry-instrumentation-genai-openai",
        "opentelemetry-instrumentation-genai-anthropic",
        "opentelemetry-sdk",
        "openai",
        "anthropic",
        note=NOTE,
    )
    provider = tracing(made)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    AnthropicInstrumentor().instrument(tracer_provider=provider)
    client = openai_calls.openai_client(made)
    openai_calls.openai_calls(made, client)
    anthropic_calls.anthropic_calls(made, anthropic_calls.anthropic_client(made))
    scenarios.parents(made, openai_calls.openai_chat(client))
    scenarios.with_baggage(made, openai_calls.openai_chat(client))
