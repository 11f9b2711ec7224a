"""Reads what a provider answered, as an object of its SDK or as parsed JSON, without importing any SDK.

Only what is metered is read: the usage, the model and the service tier as served, how many tools were
called and whether the model refused. No text leaves this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finops_client.fields import EventFields, Usage

# Providers that answer in OpenAI's shape but count in their own way.
_COUNTS_ITS_OWN_WAY = {
    "deepseek": "deepseek.chat",
    "mistral": "mistral.chat",
    "perplexity": "perplexity.chat",
    "x-ai": "xai.native",
    "xai": "xai.native",
}
_BY_KIND = {
    "chat.completion": "openai.chat",
    "chat.completion.chunk": "openai.chat",
    "text_completion": "openai.chat",
    "list": "openai.chat",  # embeddings
    "response": "openai.responses",
    "message": "anthropic.messages",
}


# The unit that stands for what a call used and nobody told.
WITHOUT_USAGE = "calls_without_usage"


class Unreadable(ValueError):
    """An answer of a shape that is not known here."""


class Reading(EventFields, total=False):
    """The fields of an event that an answer settles."""

    model: str
    usage: Usage
    raw_usage: dict[str, Any]
    api_flavor: str


def read(response: object, *, provider: str, api_flavor: str | None = None) -> Reading:
    """What the answer says. One that states no usage is a call without usage, which has no price: a
    stream must be asked for it. Raises Unreadable when its shape is not known, and no ``api_flavor``
    tells that of its usage."""
    usage = _first(response, "usage", "usage_metadata", "usageMetadata")
    if usage is not None:
        reading = _metered(response, usage, api_flavor or _flavour(response, provider))
    elif _first(response, "object", "type") in _BY_KIND:
        reading = Reading(usage={"units": {WITHOUT_USAGE: 1}})
    else:
        raise Unreadable(f"{type(response).__name__} is no answer that is known here")
    model = _first(response, "model", "model_version", "modelVersion")
    if isinstance(model, str) and model:
        reading["model"] = model
    if calls := _tool_calls(response):
        reading["tool_calls"] = calls
    if _refused(response):
        reading["status"] = "refused"
    return reading


def _metered(response: object, usage: object, flavour: str | None) -> Reading:
    if flavour is None:
        raise Unreadable(f"the shape of {type(response).__name__} is not known: give api_flavor")
    raw = {"usage": _as_json(usage)}
    tier = _first(response, "service_tier", "serviceTier")
    if isinstance(tier, str):
        raw["service_tier"] = tier
    return Reading(raw_usage=raw, api_flavor=flavour)


def _flavour(response: object, provider: str) -> str | None:
    if _first(response, "usage_metadata", "usageMetadata") is not None:
        return "google.generateContent"
    if _first(_first(response, "usage"), "inputTokens") is not None:
        return "bedrock.converse"
    if _first(_first(response, "usage"), "billed_units") is not None:
        return "cohere.v2"
    kind = _first(response, "object", "type")
    found = _BY_KIND.get(kind) if isinstance(kind, str) else None
    return _COUNTS_ITS_OWN_WAY.get(provider, found) if found == "openai.chat" else found


def _first(thing: object, *names: str) -> Any:  # Any: an SDK's object
    """The first of these that is there, of an object or of a mapping; None else."""
    for name in names:
        value = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if value is not None:
            return value
    return None


def _each(thing: object, *names: str) -> Sequence[Any]:
    value = _first(thing, *names)
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _as_json(value: object) -> Any:  # Any: JSON
    """Plain JSON of an SDK's object; what is None is left out."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        return {str(name): _as_json(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_as_json(inner) for inner in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return {
        name: _as_json(inner)
        for name, inner in vars(value).items()
        if not name.startswith("_") and inner is not None
    }


def _tool_calls(response: object) -> int:
    """How many tools the model asked the caller to run."""
    chat = sum(len(_each(_first(choice, "message"), "tool_calls")) for choice in _each(response, "choices"))
    blocks = [*_each(response, "content"), *_each(response, "output")]
    return chat + sum(_first(block, "type") in ("tool_use", "function_call") for block in blocks)


def _refused(response: object) -> bool:
    reasons = [_first(choice, "finish_reason") for choice in _each(response, "choices")]
    return _first(response, "stop_reason") == "refusal" or "content_filter" in reasons
