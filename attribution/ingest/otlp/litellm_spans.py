"""What LiteLLM writes on its spans: objects as Python prints them, and copies of the provider's answer."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from attribution.ingest import litellm, litellm_names
from attribution.ingest.otlp.names import LITELLM_USAGE
from attribution.ingest.otlp.span import Attributes, Value

_LONGEST = 10_000
_OF_PROXY = "metadata."
_TEAM, _USER = ("team_alias", "team_id"), ("end_user_id", "user_id")
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


def provider(attributes: Attributes, told: str) -> str:
    """Our name of the one that was told, or else of where the call went; "" where neither is known."""
    if not told:
        found = (match[1] for name in attributes if (match := _COPIED_USAGE.fullmatch(name)))
        told = next((name for name in found if name != "None"), "") or _routed(attributes)[0]
    return litellm_names.provider_and_model(told, "")[0] if told else ""


def model(attributes: Attributes) -> str:
    """The model behind a name that a proxy gives its users; "" unless the answer goes by that name."""
    answered = attributes.get("gen_ai.response.model")
    is_alias = bool(answered) and answered == attributes.get("litellm.model_group")
    return _routed(attributes)[1] if is_alias else ""


def operation(told: str) -> str:
    """What kind of call it was, from the function that was called."""
    return litellm_names.operation(told) if told else ""


def said(attributes: Attributes) -> dict[str, str]:
    """Who a call through a proxy was for. The key's own team was checked by it; the request says the rest."""
    headers = _printed(attributes.get(f"{_OF_PROXY}requester_custom_headers"))
    found = litellm_names.Said.of(headers, _printed(attributes.get(f"{_OF_PROXY}spend_logs_metadata")), None)
    team = litellm_names.slug(_first(attributes, _TEAM))
    said = {"end_user": _first(attributes, _USER), **found.names, "team": team or found.names.get("team", "")}
    return {name: text for name, text in said.items() if text}


def _first(attributes: Attributes, places: Sequence[str]) -> str:
    told = (attributes.get(f"{_OF_PROXY}user_api_key_{place}") for place in places)
    return next((text for text in told if isinstance(text, str) and text), "")


def _routed(attributes: Attributes) -> tuple[str, str]:
    """Provider and model that a call was sent to."""
    told = attributes.get("litellm.provider.model")
    if not isinstance(told, str) or "/" not in told:
        return "", ""
    return litellm_names.provider_and_model("", told)


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
