"""Each kind of call to Anthropic that a client is recorded with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from anthropic import Anthropic

from tests.attribution.otlp.capture.recording import Recording
from tests.attribution.otlp.capture.scenarios import CITY, drain, said

_TOOL: Any = {"name": "weather", "input_schema": CITY}


def anthropic_client(recording: Recording) -> Anthropic:
    """Pointed at the upstream; it never tries again by itself."""
    return Anthropic(base_url=recording.upstream.url, api_key="sk-none", max_retries=0)


def anthropic_calls(recording: Recording, client: Anthropic) -> None:
    """Each kind of call once."""
    model = "claude-sonnet-4-5"
    with recording.scenario("messages"):
        client.messages.create(model=model, max_tokens=50, messages=said())
    with recording.scenario("messages_stream"):
        drain(client.messages.create(model=model, max_tokens=50, messages=said(), stream=True))
    with (
        recording.scenario("messages_stream_cached"),
        client.messages.stream(model=model, max_tokens=50, messages=said("cached_stream")) as stream,
    ):
        stream.until_done()
    with recording.scenario("messages_caches"):
        client.messages.create(model=model, max_tokens=50, messages=said("caches"))
    with recording.scenario("messages_stream_caches"):
        drain(client.messages.create(model=model, max_tokens=50, messages=said("caches"), stream=True))
    with recording.scenario("messages_tool_call"):
        _tool_call(client, model)
    for status in (429, 500):
        with recording.scenario(f"messages_failed_{status}"), contextlib.suppress(Exception):
            client.messages.create(model=model, max_tokens=50, messages=said(f"fail{status}"))


def anthropic_message(client: Anthropic) -> Callable[[str], object]:
    """One message, for scenarios that need no more."""
    return lambda word: client.messages.create(model="claude-sonnet-4-5", max_tokens=50, messages=said(word))


def _tool_call(client: Anthropic, model: str) -> None:
    messages = said("tool")
    tools = [_TOOL]
    first = client.messages.create(model=model, max_tokens=50, messages=messages, tools=tools)
    called: Any = first.content[0]
    use = {"type": "tool_use", "id": called.id, "name": called.name, "input": called.input}
    result = {"type": "tool_result", "tool_use_id": called.id, "content": "Sun."}
    messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    client.messages.create(model=model, max_tokens=50, messages=messages, tools=tools)
