"""Each kind of call to OpenAI that a client is recorded with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from openai import OpenAI

from tests.attribution.otlp.capture.recording import Recording, Remark
from tests.attribution.otlp.capture.scenarios import CITY, drain, said

_NOT_ASKED_FOR = Remark(
    lost=("usage",),
    note="Nobody asked for usage, so the upstream told none; the true one is here all the same.",
)
_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY}}


def openai_client(recording: Recording) -> OpenAI:
    """Pointed at the upstream; it never tries again by itself."""
    return OpenAI(base_url=f"{recording.upstream.url}/v1", api_key="sk-none", max_retries=0)


def openai_calls(recording: Recording, client: OpenAI) -> None:
    """Each kind of call once."""
    chat = client.chat.completions
    with recording.scenario("chat"):
        chat.create(model="gpt-4o", messages=said())
    with recording.scenario("chat_stream"):
        drain(
            chat.create(model="gpt-4o", messages=said(), stream=True, stream_options={"include_usage": True})
        )
    with recording.scenario("chat_stream_without_usage", _NOT_ASKED_FOR):
        drain(chat.create(model="gpt-4o", messages=said(), stream=True))
    with recording.scenario("cached"):
        chat.create(model="gpt-4o", messages=said("cached"))
    with recording.scenario("reasoning"):
        chat.create(model="o4-mini", messages=said("reasoning"))
    with recording.scenario("tool_call"):
        _tool_call(client)
    with recording.scenario("embeddings"):
        client.embeddings.create(model="text-embedding-3-small", input="hello")
    with recording.scenario("responses"):
        client.responses.create(model="gpt-4o", input="Say hello. #cached")
    with recording.scenario("responses_stream"):
        drain(client.responses.create(model="o4-mini", input="Say hello. #reasoning", stream=True))
    for status in (429, 500):
        with recording.scenario(f"failed_{status}"), contextlib.suppress(Exception):
            chat.create(model="gpt-4o", messages=said(f"fail{status}"))


def openai_chat(client: OpenAI) -> Callable[[str], object]:
    """One chat call, for scenarios that need no more."""
    return lambda word: client.chat.completions.create(model="gpt-4o", messages=said(word))


def _tool_call(client: OpenAI) -> None:
    messages = said("tool")
    tools = [_TOOL]
    first = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
    called = first.choices[0].message
    assert called.tool_calls
    messages.append(called.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "Sun."})
    client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
