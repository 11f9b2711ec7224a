"""Langfuse: its drop-in client for OpenAI, and a generation written by hand for Anthropic."""

from __future__ import annotations

import os
from typing import Any

from anthropic import Anthropic
from langfuse import Langfuse, propagate_attributes
from langfuse.openai import OpenAI

from tests.attribution.otlp.capture import anthropic_calls, openai_calls, scenarios
from tests.attribution.otlp.capture.recording import Recording, Remark, recording


def _by_hand(made: Recording, langfuse: Langfuse, client: Anthropic) -> None:
    """The counts as Anthropic tells them, without caches in the input."""
    model = "claude-sonnet-4-5"
    with (
        made.scenario("messages_by_hand", Remark(note=" ".join(BY_HAND.split()))),
        langfuse.start_as_current_observation(as_type="generation", name="claude", model=model) as generation,
    ):
        answer = client.messages.create(model=model, max_tokens=50, messages=scenarios.said("caches"))
        usage: Any = answer.usage
        generation.update(
            model=answer.model,
            usage_details={
                "input": usage.input_tokens,
                "output": usage.output_tokens,
                "cache_read_input_tokens": usage.cache_read_input_tokens,
                "cache_creation_input_tokens": usage.cache_creation_input_tokens,
            },
        )


BY_HAND = """\
Input without caches. The SDK's own span (scope com.anthropic.sdk.python) lies inside, counts them in and
tells the 1h part."""
NOTE = """\
Sent to Langfuse's own path. langfuse.observation.usage_details is JSON in a string: OpenAI's own object with
every detail, {"input": n} for embeddings, and by hand whatever was written. No provider, no model_requested,
no type of an error. Values of langfuse.trace.metadata.* are JSON, quotes included."""

with recording("langfuse") as made:
    made.of("langfuse", "opentelemetry-sdk", "openai", "anthropic", note=NOTE)
    os.environ |= {"LANGFUSE_PUBLIC_KEY": "pk-none", "LANGFUSE_SECRET_KEY": "sk-none"}
    made.in_general = Remark(lost=("provider", "model_requested"))
    langfuse = Langfuse(base_url=made.receiver.url)
    made.flush = langfuse.flush
    client = OpenAI(base_url=f"{made.upstream.url}/v1", api_key="sk-none", max_retries=0)
    chat = openai_calls.openai_chat(client)
    openai_calls.openai_calls(made, client)
    _by_hand(made, langfuse, anthropic_calls.anthropic_client(made))
    scenarios.parents(made, chat, lambda: langfuse.start_as_current_observation(name="answer ticket"))
    about = {"user_id": "user-3", "session_id": "s-1", "metadata": {"finops.feature": "checkout"}}
    with (
        made.scenario("attributes", feature="checkout", session_id="s-1", end_user="user-3"),
        propagate_attributes(**about),
    ):
        chat("")
