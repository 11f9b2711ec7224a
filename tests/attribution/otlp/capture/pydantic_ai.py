"""Pydantic AI: the span of an agent around those of its model's calls and of its tools."""

from __future__ import annotations

import contextlib
from typing import Any

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai import Agent, Embedder
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.attribution.otlp.capture import scenarios
from tests.attribution.otlp.capture.provider import tracing
from tests.attribution.otlp.capture.recording import Recording, Remark, recording

REPEATS = """\
use_aggregated_usage_attribute_names=False, as older versions did: the agent's span tells the sum of its
calls in the same gen_ai.usage.* attributes as the calls themselves."""


def _agent(model: Any, settings: InstrumentationSettings, made: Recording | None = None) -> Agent:
    """An agent with one tool; given a recording, the tool sends what is held so far."""
    agent = Agent(model, name="helper", capabilities=[Instrumentation(settings)], retries=0)

    def weather(city: str) -> str:
        """Of a city."""
        if made:
            made.flush()
        return "Sun."

    agent.tool_plain(weather)
    return agent


def _run(agent: Agent, word: str = "") -> None:
    with contextlib.suppress(Exception):
        agent.run_sync(f"Say hello. #{word}" if word else "Say hello.")


def _stream(agent: Agent, word: str) -> None:
    with agent.run_stream_sync(f"Say hello. #{word}") as answer:
        scenarios.drain(answer.stream_text())


with recording("pydantic_ai") as made:
    made.of("pydantic-ai-slim", "opentelemetry-sdk", "openai", "anthropic", note=__doc__)
    settings = InstrumentationSettings(tracer_provider=tracing(made))
    client = AsyncOpenAI(base_url=f"{made.upstream.url}/v1", api_key="sk-none", max_retries=0)
    openai = OpenAIProvider(openai_client=client)
    anthropic = AnthropicProvider(
        anthropic_client=AsyncAnthropic(base_url=made.upstream.url, api_key="sk-none", max_retries=0)
    )
    gpt = OpenAIChatModel("gpt-4o", provider=openai)
    claude = AnthropicModel("claude-sonnet-4-5", provider=anthropic)
    with made.scenario("chat"):
        _run(_agent(gpt, settings))
    with made.scenario("chat_stream"):
        _stream(_agent(gpt, settings), "plain")
    with made.scenario("cached"):
        _run(_agent(gpt, settings), "cached")
    with made.scenario("reasoning"):
        _run(_agent(OpenAIChatModel("o4-mini", provider=openai), settings), "reasoning")
    with made.scenario("responses"):
        _run(_agent(OpenAIResponsesModel("gpt-4o", provider=openai), settings), "cached")
    with made.scenario("embeddings"):
        embedding = OpenAIEmbeddingModel("text-embedding-3-small", provider=openai)
        Embedder(embedding, instrument=settings).embed_query_sync("hello")
    with made.scenario("failed_429"):
        _run(_agent(gpt, settings), "fail429")
    with made.scenario("messages"):
        _run(_agent(claude, settings))
    with made.scenario("messages_caches"):
        _run(_agent(claude, settings), "caches")
    with made.scenario("messages_stream_caches"):
        _stream(_agent(claude, settings), "caches")
    with made.scenario("messages_failed_500"):
        _run(_agent(claude, settings), "fail500")
    with made.scenario("tool_call"):
        _run(_agent(gpt, settings), "tool")
    with made.scenario("messages_tool_call"):
        _run(_agent(claude, settings), "tool")
    orders = ["as listed", "reversed"]
    with made.scenario("parent_two_requests", orders=orders):
        _run(_agent(gpt, settings, made), "tool")
    repeating = InstrumentationSettings(use_aggregated_usage_attribute_names=False)
    with made.scenario("parent_repeats_usage", Remark(note=" ".join(REPEATS.split()))):
        _run(_agent(gpt, repeating), "tool")
    with made.scenario(
        "parent_repeats_usage_two_requests", Remark(note=" ".join(REPEATS.split())), orders=orders
    ):
        _run(_agent(gpt, repeating, made), "tool")
    with made.scenario("parent_repeats_usage_of_one_call", Remark(note=" ".join(REPEATS.split()))):
        _run(_agent(gpt, repeating), "cached")
    scenarios.with_baggage(made, lambda word: _run(_agent(gpt, settings), word))
