"""LiteLLM as a library with its callback "otel"."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

import litellm
from opentelemetry.trace import get_tracer_provider

from tests.attribution.otlp.capture import scenarios
from tests.attribution.otlp.capture.recording import Recording, Remark, recording


def _complete(made: Recording, word: str, model: str = "openai/gpt-4o", **more: Any) -> Any:
    base = made.upstream.url if model.startswith("anthropic/") else f"{made.upstream.url}/v1"
    with contextlib.suppress(Exception):
        return litellm.completion(
            model=model,
            messages=scenarios.said(word),
            api_base=base,
            api_key="sk-none",
            max_retries=0,
            **more,
        )


def _flush() -> None:
    """LiteLLM hands spans over from threads of its own, a moment after the answer."""
    time.sleep(0.5)
    get_tracer_provider().force_flush()


NOTE = """\
Two spans a call: litellm_request with gen_ai.usage.* (inclusive) and, inside, raw_gen_ai_request with the
provider's own usage as Python's repr in llm.<provider>.usage (not of streams). Cached and reasoning tokens
are only in reprs: metadata.usage_object and that one. gen_ai.system is empty for embeddings and responses."""
IN_PARENT = """\
Inside another span LiteLLM makes no litellm_request: it writes what would stand there on that other span, one
call over the other, so that only the raw_gen_ai_request spans tell each call."""

with recording("litellm") as made:
    made.of("litellm", "opentelemetry-sdk", "openai", note=NOTE)
    os.environ |= {"OTEL_EXPORTER_OTLP_PROTOCOL": "otlp_http", "OTEL_ENVIRONMENT_NAME": "test"}
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{made.receiver.url}/v1/traces"
    litellm.callbacks = ["otel"]
    litellm.num_retries = 0
    alias = Remark(lost=("model",), note="Of streams the alias is told as the model that answered.")
    in_parent = Remark(note=" ".join(IN_PARENT.split()))
    made.remarks = {
        "chat_stream_without_usage": Remark(
            lost=("usage",), told_wrong={"input_tokens": 0, "output_tokens": 0}, note="Told as 0 and 0."
        ),
        "chat_stream": alias,
        "messages_stream_caches": alias,
        "parent_one_request": in_parent,
        "parent_two_requests": in_parent,
    }
    _complete(made, "")  # makes the tracer provider
    made.flush = _flush
    claude = "anthropic/claude-sonnet-4-5"
    with made.scenario("chat"):
        _complete(made, "")
    with made.scenario("chat_stream"):
        scenarios.drain(_complete(made, "", stream=True, stream_options={"include_usage": True}))
    with made.scenario("chat_stream_without_usage"):
        scenarios.drain(_complete(made, "", stream=True))
    with made.scenario("cached"):
        _complete(made, "cached")
    with made.scenario("reasoning"):
        _complete(made, "reasoning", "openai/o4-mini")
    with made.scenario("tool_call"):
        tool = {"type": "function", "function": {"name": "weather", "parameters": scenarios.CITY}}
        _complete(made, "tool", tools=[tool])
    with made.scenario("embeddings"):
        litellm.embedding(
            model="openai/text-embedding-3-small",
            input=["hello"],
            api_base=f"{made.upstream.url}/v1",
            api_key="sk-none",
        )
    with made.scenario("responses"):
        litellm.responses(
            model="openai/gpt-4o",
            input="Say hello. #cached",
            api_base=f"{made.upstream.url}/v1",
            api_key="sk-none",
        )
    for status in (429, 500):
        with made.scenario(f"failed_{status}"):
            _complete(made, f"fail{status}")
    with made.scenario("messages"):
        _complete(made, "", claude)
    with made.scenario("messages_caches"):
        _complete(made, "caches", claude)
    with made.scenario("messages_stream_caches"):
        scenarios.drain(
            _complete(made, "caches", claude, stream=True, stream_options={"include_usage": True})
        )
    with made.scenario("messages_failed_500"):
        _complete(made, "fail500", claude)
    scenarios.parents(made, lambda word: _complete(made, word))
