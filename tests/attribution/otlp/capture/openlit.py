"""OpenLIT for OpenAI and Anthropic."""

from __future__ import annotations

import openlit
from opentelemetry.trace import get_tracer_provider

from tests.attribution.otlp.capture import anthropic_calls, openai_calls, scenarios
from tests.attribution.otlp.capture.recording import Remark, recording

NOTE = """\
gen_ai.usage.*: inclusive input for OpenAI, without caches for Anthropic; gen_ai.usage.cost is 0 where its
price list cannot be downloaded; a span of httpx inside each call; the exporter sends without compression."""

with recording("openlit") as made:
    made.of("openlit", "opentelemetry-sdk", "openai", "anthropic", note=NOTE)
    no_1h = "cache_write_1h_tokens"
    nameless = Remark(lost=("model",), note="No attribute at all: scope and span name tell what it was.")
    made.remarks = {
        "chat_stream_without_usage": Remark(
            told_wrong={"input_tokens": 8, "output_tokens": 7}, note="Counted by the client itself."
        ),
        "reasoning": Remark(lost=("reasoning_tokens",)),
        "messages_caches": Remark(lost=(no_1h,), note="Input is told without caches: 300."),
        "messages_stream_cached": Remark(
            lost=("cache_read_tokens",),
            told_wrong={"input_tokens": 1024},
            note="Input without caches, and the caches are told as 0.",
        ),
        "messages_stream_caches": Remark(
            lost=("cache_read_tokens", "cache_write_tokens", no_1h),
            told_wrong={"input_tokens": 300},
            note="Input without caches, and the caches are told as 0.",
        ),
        "messages_failed_429": nameless,
        "messages_failed_500": nameless,
    }
    openlit.init(
        service_name="shop",
        application_name="shop",
        environment="test",
        otlp_endpoint=made.receiver.url,
        disable_metrics=True,
        disable_events=True,
    )
    made.flush = lambda: get_tracer_provider().force_flush()
    client = openai_calls.openai_client(made)
    openai_calls.openai_calls(made, client)
    anthropic_calls.anthropic_calls(made, anthropic_calls.anthropic_client(made))
    scenarios.parents(made, openai_calls.openai_chat(client))
