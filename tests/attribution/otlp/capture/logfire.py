"""Logfire for OpenAI and Anthropic, sending to an OTLP endpoint as its environment names it."""

from __future__ import annotations

import logfire

from tests.attribution.otlp.capture import anthropic_calls, openai_calls, scenarios
from tests.attribution.otlp.capture.recording import Remark, recording

# By default the resource says which machine it is on.
_HOST = {
    "host.name": "shop-1",
    "host.id": "00000000000000000000000000000000",
    "os.version": "6.1",
    "os.description": "Linux",
    "os.build_id": "12",
    "process.runtime.description": "Python 3.11",
}

NOTE = """\
gen_ai.usage.input_tokens (inclusive) and output_tokens; all else only in gen_ai.usage.raw, the provider's own
object as JSON. A stream is told by two spans, each the root of a trace of its own where there is no parent:
the request without usage, and "streaming response from", made when it has ended, with usage."""
TWICE = """\
The span of the ended stream and the SDK's own span (inside that of the request) both tell the usage, in two
traces."""

with recording("logfire") as made:
    made.of("logfire", "opentelemetry-sdk", "openai", "anthropic", note=NOTE)
    alias = "The model asked for is told as the one that answered."
    twice = Remark(note=" ".join(TWICE.split()))
    made.remarks = {
        "chat_stream": Remark(told_wrong={"model": "gpt-4o"}, note=alias),
        "responses_stream": Remark(told_wrong={"model": "o4-mini"}, note=alias),
        **dict.fromkeys(["messages_stream", "messages_stream_cached", "messages_stream_caches"], twice),
    }
    logfire.configure(
        send_to_logfire=False,
        console=False,
        inspect_arguments=False,
        metrics=False,
        service_version="1.4.0",
        resource_attributes=_HOST,
    )
    made.flush = logfire.force_flush
    client = openai_calls.openai_client(made)
    anthropic = anthropic_calls.anthropic_client(made)
    logfire.instrument_openai(client)
    logfire.instrument_anthropic(anthropic)
    chat = openai_calls.openai_chat(client)
    openai_calls.openai_calls(made, client)
    anthropic_calls.anthropic_calls(made, anthropic)
    scenarios.parents(made, chat)
    with made.scenario("baggage", feature="checkout"), logfire.set_baggage(**{"finops.feature": "checkout"}):
        chat("")
