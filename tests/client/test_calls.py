"""Calls that are measured, and answers of providers that are read without their SDKs."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from finops_client import Client
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from attribution.ingest.usage import UNTOLD
from pricing.raw_usage import read_usage
from tests.client.recording import Server

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-5-mini-2026-01-01",
    "service_tier": "flex",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "A secret.",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 1200,
        "completion_tokens": 80,
        "total_tokens": 1280,
        "prompt_tokens_details": {"cached_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 30},
    },
}
RESPONSES = {
    "object": "response",
    "model": "gpt-5",
    "service_tier": "default",
    "output": [{"type": "function_call", "name": "f"}, {"type": "message"}],
    "usage": {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 2}},
}
MESSAGE = {
    "type": "message",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "A secret."}, {"type": "tool_use", "name": "f", "input": {}}],
    "usage": {
        "input_tokens": 20,
        "output_tokens": 7,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": None,
        "service_tier": "standard",
    },
}
GEMINI = {
    "modelVersion": "gemini-3-pro",
    "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 4, "thoughtsTokenCount": 3},
}


def as_object(thing: Any) -> Any:
    """A plain object as SDKs return, without any way to dump itself."""
    if isinstance(thing, dict):
        return SimpleNamespace(**{name: as_object(value) for name, value in thing.items()})
    return [as_object(one) for one in thing] if isinstance(thing, list) else thing


def sent(server: Server, client: Client) -> dict[str, Any]:
    """The one event that arrived."""
    assert client.flush()
    (event,) = server.stored.values()
    return event


@pytest.mark.parametrize("shape", [dict, as_object])
@pytest.mark.parametrize(
    ("provider", "answered", "expected"),
    [
        ("openai", CHAT, ("openai.chat", "gpt-5-mini-2026-01-01", 1200, 1000, 80)),
        ("openai", RESPONSES, ("openai.responses", "gpt-5", 10, 2, 5)),
        ("anthropic", MESSAGE, ("anthropic.messages", "claude-sonnet-5", 120, 100, 7)),
        ("google", GEMINI, ("google.generateContent", "gemini-3-pro", 8, 0, 7)),
        ("deepseek", CHAT, ("deepseek.chat", "gpt-5-mini-2026-01-01", 1200, 1000, 80)),
    ],
)
def test_the_usage_of_an_answer_arrives_as_the_server_reads_it(
    *, server: Server, client: Client, shape: Any, provider: str, answered: Any, expected: tuple[Any, ...]
) -> None:
    client.record_response(shape(answered), provider=provider)

    event = sent(server, client)
    usage = read_usage(event["api_flavor"], event["raw_usage"], model=event["model"]).usage
    counts = (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens)
    assert (event["api_flavor"], event["model"], *counts) == expected
    assert "secret" not in str(event)


def test_an_answer_of_the_sdk_brings_tier_and_tool_calls(server: Server, client: Client) -> None:
    client.record_response(ChatCompletion.model_validate(CHAT), provider="openai")

    event = sent(server, client)
    assert event["raw_usage"]["service_tier"] == "flex"
    assert event["tool_calls"] == 2
    assert read_usage("openai.chat", event["raw_usage"]).service_tier == "flex"


def test_embeddings_and_answers_without_a_model(server: Server, client: Client) -> None:
    answered = CreateEmbeddingResponse.model_validate(
        {"object": "list", "data": [], "model": "embed", "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    )
    client.record_response(answered, provider="openai", operation="embeddings")
    converse = {"usage": {"inputTokens": 1, "outputTokens": 2}, "stopReason": "end_turn"}
    client.record_response(converse, provider="aws", model="anthropic.claude")
    assert client.flush()

    first, second = server.stored.values()
    assert (first["model"], first["api_flavor"], first["operation"]) == ("embed", "openai.chat", "embeddings")
    assert (second["model"], second["api_flavor"]) == ("anthropic.claude", "bedrock.converse")


def test_a_refusal_is_a_status(server: Server, client: Client) -> None:
    client.record_response({**MESSAGE, "stop_reason": "refusal"}, provider="anthropic")

    assert sent(server, client)["status"] == "refused"


def test_an_answer_without_usage_is_a_call_without_a_price(server: Server, client: Client) -> None:
    client.record_response({"object": "chat.completion", "model": "m"}, provider="openai")

    event = sent(server, client)
    assert (event["model"], event["usage"]) == ("m", {"units": {UNTOLD: 1}})


@pytest.mark.parametrize("answered", [object(), {}, {"object": "file"}, None, "text"])
def test_an_answer_that_cannot_be_read_is_counted_and_raises_nothing(
    server: Server, client: Client, answered: Any
) -> None:
    client.record_response(answered, provider="openai", model="m")

    assert client.flush()
    assert server.received == []
    assert client.stats.dropped == {"unencodable": 1}


def test_an_answer_without_any_model_is_counted_and_raises_nothing(client: Client) -> None:
    client.record_response({"usage": {"inputTokens": 1}}, provider="aws")

    assert client.stats.dropped == {"unencodable": 1}


def test_a_call_is_measured(server: Server, client: Client) -> None:
    with client.call("openai", "gpt-5-mini", feature="answers") as call:
        time.sleep(0.02)
        call.first_token()
        time.sleep(0.02)
        call.first_token()
        call.response(CHAT)

    event = sent(server, client)
    assert event["event_id"] == call.id
    assert 20 <= event["ttft_ms"] < event["duration_ms"] - 15
    assert (event["model"], event["model_requested"]) == ("gpt-5-mini-2026-01-01", "gpt-5-mini")
    assert "status" not in event


class APITimeoutError(Exception):
    """Named as the SDKs of providers do."""


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (ValueError(), "error"),
        (TimeoutError(), "timeout"),
        (APITimeoutError(), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
    ],
)
def test_a_call_that_fails_is_sent_as_failed_and_the_exception_passes_on(
    server: Server, client: Client, raised: BaseException, status: str
) -> None:
    with pytest.raises(type(raised)), client.call("openai", "gpt-5-mini"):
        raise raised

    event = sent(server, client)
    assert (event["status"], event["error_type"]) == (status, type(raised).__name__)
    assert event["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_a_call_may_say_its_usage_itself(server: Server, client: Client) -> None:
    with client.call("openai", "gpt-5-mini") as call:
        call.usage({"input_tokens": 5, "output_tokens": 1})
        call.set(attempt=2, response_cache="miss")

    event = sent(server, client)
    assert (event["usage"], event["attempt"], event["response_cache"]) == (
        {"input_tokens": 5, "output_tokens": 1},
        2,
        "miss",
    )
