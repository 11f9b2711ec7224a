"""What LiteLLM writes on its spans: objects as Python prints them, and copies of the provider's answer."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from attribution.ingest import litellm
from attribution.ingest.otlp.names import LITELLM_USAGE
from attribution.ingest.otlp.wire import Attributes, Value

_LONGEST = 10_000
_COPIED_USAGE = re.compile(r"llm\.([\w-]+)\.usage")


def usage(attributes: Attributes) -> dict[str, Any]:
    """An event's usage: the provider's own where it was copied, else LiteLLM's; empty for none.

    LiteLLM says nothing and nothing for a stream whose usage it never learnt.
    """
    for name, text in attributes.items():
        if _COPIED_USAGE.fullmatch(name) and (told := _printed(text)):
            return _of_provider(told)
    counts = _of_litellm(_printed(attributes.get(LITELLM_USAGE)))
    return {"usage": counts} if counts.get("input_tokens") or counts.get("output_tokens") else {}


def copied(attributes: Attributes, field: str) -> str:
    """A field of the provider's answer; "" where none was copied."""
    held = next((name for name in attributes if _COPIED_USAGE.fullmatch(name)), "")
    value = attributes.get(held.replace(".usage", f".{field}")) if held else None
    return value if isinstance(value, str) else ""


def provider(attributes: Attributes) -> str:
    """As LiteLLM calls it; "" where it did not know."""
    found = (match[1] for name in attributes if (match := _COPIED_USAGE.fullmatch(name)))
    return next((name for name in found if name != "None"), "")


def _of_provider(told: Mapping[str, Any]) -> dict[str, Any]:
    if "prompt_tokens" in told:
        return {"raw_usage": told, "api_flavor": "openai.chat"}
    if "input_tokens_details" in told or "output_tokens_details" in told:
        return {"raw_usage": told, "api_flavor": "openai.responses"}
    if "input_tokens" in told:
        return {"raw_usage": told, "api_flavor": "anthropic.messages"}
    return {}


def _of_litellm(told: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return litellm.usage_of(told)
    except msgspec.ValidationError:
        return {}


def _printed(text: Value) -> dict[str, Any]:
    """A dictionary of plain values as Python prints it; empty for anything else."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return {}
    try:
        told = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
