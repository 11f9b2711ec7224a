"""Bodies as OpenAI and Anthropic answer them, with the usage that is wanted in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.attribution.otlp.usages import Usage

Json = dict[str, Any]
_CREATED = 1_760_000_000
_TEXT = "All is well."


def openai_usage(usage: Usage) -> Json:
    """As chat completions tell it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def chat(number: int, model: str, usage: Usage, *, calls_tool: bool) -> Json:
    """A chat completion."""
    message: Json = {"role": "assistant", "content": None if calls_tool else _TEXT, "refusal": None}
    if calls_tool:
        called = {"name": "weather", "arguments": '{"city": "Oslo"}'}
        message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": called}]
    reason = "tool_calls" if calls_tool else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {
        "id": f"chatcmpl-{number:08d}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": model,
        "choices": [choice],
        "usage": openai_usage(usage),
        "service_tier": "default",
        "system_fingerprint": "fp_0000000000",
    }


def chat_stream(
    number: int, model: str, usage: Usage, *, calls_tool: bool, tells_usage: bool
) -> Iterator[Json]:
    """A chat completion in pieces; its usage comes last and only where it was asked for."""
    common = {
        "id": f"chatcmpl-{number:08d}",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_0000000000",
    }
    nothing_yet: Json = {"usage": None} if tells_usage else {}
    deltas: list[tuple[Json, str | None]] = [({"role": "assistant", "content": ""}, None)]
    if calls_tool:
        called = {"name": "weather", "arguments": '{"city": "Oslo"}'}
        piece = {"index": 0, "id": f"call_{number}", "type": "function", "function": called}
        deltas += [({"tool_calls": [piece]}, None), ({}, "tool_calls")]
    else:
        deltas += [*(({"content": f"{piece} "}, None) for piece in _TEXT.split()), ({}, "stop")]
    for delta, reason in deltas:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        yield {**common, "choices": [choice], **nothing_yet}
    if tells_usage:
        yield {**common, "choices": [], "usage": openai_usage(usage)}


def response(number: int, model: str, usage: Usage) -> Json:
    """Of the Responses API."""
    content = [{"type": "output_text", "text": _TEXT, "annotations": [], "logprobs": []}]
    message = {
        "id": f"msg_{number:08d}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }
    return {
        "id": f"resp_{number:08d}",
        "object": "response",
        "created_at": _CREATED,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": model,
        "output": [message],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cache_read_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
        "metadata": {},
    }


def response_stream(number: int, model: str, usage: Usage) -> Iterator[Json]:
    """The same in pieces: the whole response with its usage comes last."""
    whole = response(number, model, usage)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    item = whole["output"][0]
    yield {"type": "response.created", "sequence_number": 0, "response": begun}
    yield {
        "type": "response.output_item.added",
        "sequence_number": 1,
        "output_index": 0,
        "item": {**item, "status": "in_progress", "content": []},
    }
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    yield {"type": "response.content_part.added", "sequence_number": 2, **place, "part": empty}
    yield {
        "type": "response.output_text.delta",
        "sequence_number": 3,
        **place,
        "delta": _TEXT,
        "logprobs": [],
    }
    yield {
        "type": "response.output_text.done",
        "sequence_number": 4,
        **place,
        "text": _TEXT,
        "logprobs": [],
    }
    yield {
        "type": "response.content_part.done",
        "sequence_number": 5,
        **place,
        "part": item["content"][0],
    }
    yield {"type": "response.output_item.done", "sequence_number": 6, "output_index": 0, "item": item}
    yield {"type": "response.completed", "sequence_number": 7, "response": whole}


def embeddings(model: str, usage: Usage) -> Json:
    """One short vector."""
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
        "model": model,
        "usage": {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens},
    }


def openai_failure(status: int) -> Json:
    """An error as OpenAI words it."""
    code = "rate_limit_exceeded" if status == 429 else "server_error"
    return {"error": {"message": "Not now.", "type": code, "param": None, "code": code}}


def anthropic_usage(usage: Usage) -> Json:
    """As Messages tell it: what came from and went to caches stands beside the input."""
    five_minutes = usage.cache_write_tokens - usage.cache_write_1h_tokens
    return {
        "input_tokens": usage.uncached_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": five_minutes,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.output_tokens,
        "service_tier": "standard",
    }


def message(number: int, model: str, usage: Usage, *, calls_tool: bool) -> Json:
    """Of the Messages API."""
    content: list[Json] = [{"type": "text", "text": _TEXT}]
    if calls_tool:
        content = [
            {"type": "tool_use", "id": f"toolu_{number}", "name": "weather", "input": {"city": "Oslo"}}
        ]
    return {
        "id": f"msg_{number:08d}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if calls_tool else "end_turn",
        "stop_sequence": None,
        "usage": anthropic_usage(usage),
    }


def message_stream(number: int, model: str, usage: Usage, *, calls_tool: bool) -> Iterator[Json]:
    """A message in pieces: input at the start with one token of output, all output at the end."""
    started = message(number, model, usage, calls_tool=False)
    started |= {"content": [], "stop_reason": None}
    started["usage"] = {**anthropic_usage(usage), "output_tokens": 1}
    yield {"type": "message_start", "message": started}
    yield from _tool_block(number) if calls_tool else _text_block()
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use" if calls_tool else "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": usage.output_tokens},
    }
    yield {"type": "message_stop"}


def _text_block() -> Iterator[Json]:
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for piece in _TEXT.split():
        delta = {"type": "text_delta", "text": f"{piece} "}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}


def _tool_block(number: int) -> Iterator[Json]:
    block = {"type": "tool_use", "id": f"toolu_{number}", "name": "weather", "input": {}}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    delta = {"type": "input_json_delta", "partial_json": '{"city": "Oslo"}'}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}


def anthropic_failure(status: int) -> Json:
    """An error as Anthropic words it."""
    kind = "rate_limit_error" if status == 429 else "api_error"
    return {"type": "error", "error": {"type": kind, "message": "Not now."}, "request_id": "req_0"}
