"""The spans that Anthropic's SDK makes by itself, with no instrumentation package at all."""

from __future__ import annotations

from tests.attribution.otlp.capture import anthropic_calls, scenarios
from tests.attribution.otlp.capture.provider import tracing
from tests.attribution.otlp.capture.recording import recording

with recording("anthropic_sdk") as made:
    made.of("anthropic", "opentelemetry-sdk", note=__doc__)
    tracing(made)
    client = anthropic_calls.anthropic_client(made)
    anthropic_calls.anthropic_calls(made, client)
    scenarios.parents(made, anthropic_calls.anthropic_message(client))
    scenarios.with_baggage(made, anthropic_calls.anthropic_message(client))
