"""What one span says: a model call as an event of ours, or only which span is inside which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from attribution.ingest.otlp import litellm_spans, names
from attribution.ingest.otlp.mapping import Spellings
from attribution.ingest.otlp.wire import Attributes, Span, Value
from attribution.ingest.times import EPOCH

_NOT_IN_A_SLUG = re.compile(r"[^\w.:/@+#-]+")
_LONGEST = 128
_TEXTS = frozenset({"end_user", "session_id", "task_id"})  # anything printable; the others are slugs


_USAGE = names.index_of(names.USAGE)


@dataclass(slots=True)
class Reading:
    """A span in our words. ``event`` is as a client would send it, not checked; None for no call."""

    span: Span
    event: dict[str, Any] | None = None  # Any: JSON
    has_usage: bool = False
    said: dict[str, str] = field(default_factory=dict)  # our names, for the calls inside


def read(span: Span, spellings: Spellings) -> Reading:
    """Read one span. Usage counts whatever the span is called, unless it only holds calls together."""
    reading = Reading(span, said=_ours(span, spellings))
    operation = _lower(span.attributes, names.OPERATION) or _named_by_its_name(span)[0]
    if span.scope == names.LITELLM:
        operation = litellm_spans.operation(operation)
    kind = _lower(span.attributes, names.KIND)
    if operation in names.CONTAINERS or (not operation and kind in names.CONTAINERS):
        return reading
    usage = _usage(span)
    is_call = bool(usage) or operation in names.CALLS or kind in names.CALLS
    if not is_call or not (usage or span.has_failed):
        return reading
    reading.has_usage = bool(usage)
    reading.event = _event(span, operation or kind, usage or {"usage": {"input_tokens": 0}}, reading.said)
    return reading


def _event(span: Span, operation: str, usage: dict[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    attributes = span.attributes
    model = _model(span)
    requested = _text(attributes, names.MODEL_REQUESTED)
    duration = max(span.end_ns - span.start_ns, 0) / 1e6
    event = {
        "event_id": f"{span.trace_id}:{span.span_id}",
        "source": _source(span),
        "occurred_at": _instant(span.end_ns or span.start_ns),
        "provider": _provider(span, model),
        "model": model,
        "model_requested": requested if requested != model else None,
        "service_tier": _text(attributes, names.SERVICE_TIER),
        "operation": _slug(operation) or None,
        **usage,
        **said,
        "trace_id": span.trace_id,
        "parent_event_id": f"{span.trace_id}:{span.parent_id}" if span.parent_id else None,
        "duration_ms": duration if span.end_ns else None,
        "ttft_ms": _first_token_ms(attributes),
        "reported_cost": _reported_cost(attributes),
        **_status(span),
    }
    return {name: value for name, value in event.items() if value is not None}


def _usage(span: Span) -> dict[str, Any]:
    """``usage`` with its semantics, or the provider's own object; empty when the span has none."""
    if span.scope == names.LITELLM or names.LITELLM_USAGE in span.attributes:
        return litellm_spans.usage(span.attributes)
    if given := _usage_object(span.attributes):
        return given
    counts = {name: _whole(count) for name, count in names.told(span.attributes, _USAGE).items()}
    if not counts.keys() & {"input_tokens", "output_tokens"}:
        return {}
    found: dict[str, Any] = {"usage": counts}
    if _excludes_caches(span, counts):
        found["usage_semantics"] = "anthropic"
    return found


def _excludes_caches(span: Span, counts: Mapping[str, int]) -> bool:
    """Whether input is told without what was read from and written to caches.

    The conventions count it in; OpenLIT hands Anthropic's own counts through, which leave it out.
    Elsewhere only counts that cannot be true otherwise say so, and only Anthropic's ever do.
    """
    provider = (_text(span.attributes, names.PROVIDER) or "").lower()
    if "anthropic" not in provider:
        return False
    cached = counts.get("cache_read_tokens", 0) + counts.get("cache_write_tokens", 0)
    return cached > 0 and ("openlit" in span.scope or cached > counts.get("input_tokens", 0))


def _usage_object(attributes: Attributes) -> dict[str, Any]:
    """From a provider's usage object that rides as JSON text."""
    for name in names.USAGE_OBJECTS:
        if isinstance(text := attributes.get(name), str):
            try:
                told = json.loads(text)
            except ValueError:
                continue
            if isinstance(told, dict) and (read := _of_object(told)):
                return read
    return {}


def _of_object(told: dict[str, Any]) -> dict[str, Any]:
    """Which provider's shape it has, by its names."""
    if "prompt_tokens" in told:
        return {"raw_usage": told, "api_flavor": "openai.chat"}
    if "input_tokens" in told and {"cache_creation_input_tokens", "cache_read_input_tokens"} & told.keys():
        return {"raw_usage": told, "api_flavor": "anthropic.messages"}
    if "input_tokens_details" in told or "output_tokens_details" in told:
        return {"raw_usage": told, "api_flavor": "openai.responses"}
    counts = {ours: _whole(told[theirs]) for theirs, ours in _LANGFUSE.items() if theirs in told}
    if not counts.keys() & {"input_tokens", "output_tokens"}:
        return {}
    # What was read from and written to caches stands beside the input, reasoning inside the output.
    return {"usage": counts, "usage_semantics": "anthropic"}


_LANGFUSE = {
    "input": "input_tokens",
    "input_tokens": "input_tokens",
    "output": "output_tokens",
    "output_tokens": "output_tokens",
    "input_cached_tokens": "cache_read_tokens",
    "input_cache_read": "cache_read_tokens",
    "input_cache_creation": "cache_write_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "output_reasoning": "reasoning_tokens",
}


def _ours(span: Span, spellings: Spellings) -> dict[str, str]:
    """What the span, its baggage or its resource say in our words, or in those mapped to them."""
    found: dict[str, str] = {}
    metadata = _json_object(span.attributes.get("metadata"))
    of_metadata = {
        name: metadata.get(f"finops.{name}", metadata.get(name)) for name in names.OURS if metadata
    }
    values = {
        **names.told(span.resource, spellings.resource_index),
        **{name: value for name, value in of_metadata.items() if value is not None},
        **(litellm_spans.said(span.attributes) if span.scope == names.LITELLM else {}),
        **names.told(span.attributes, spellings.span_index),
    }
    for name, value in values.items():
        if text := _shown(value):
            found[name] = text if name in _TEXTS else _slug(text)
    for name, usual in (("end_user", names.END_USER), ("session_id", names.SESSION)):
        if name not in found and (text := _shown(_first(span.attributes, usual))):
            found[name] = text
    return {name: value for name, value in found.items() if value}


def _source(span: Span) -> str | None:
    """The service, as its resource calls it."""
    return _shown(span.resource.get("service.name")) or None


def _provider(span: Span, model: str | None) -> str | None:
    told = (_text(span.attributes, names.PROVIDER) or "").lower()
    if not told or span.scope == names.LITELLM:
        told = litellm_spans.provider(span.attributes, told)
    for api in ("openai.", "anthropic.", "mistral.", "cohere."):
        if told.startswith(api):  # "openai.chat", "anthropic.messages"
            return api[:-1]
    if told:
        return told
    if span.scope.startswith(names.VLLM):
        return names.VLLM
    return _provider_of(model or "")


def _provider_of(model: str) -> str | None:
    name = model.rpartition("/")[2].lower()
    return next((provider for start, provider in names.MODELS_OF_PROVIDERS if name.startswith(start)), None)


def _model(span: Span) -> str | None:
    """As answered, else as asked for; an engine of one's own may have to be told by its resource."""
    of_request = _json_object(span.attributes.get(names.REQUEST_SETTINGS)).get("model")
    found = (
        litellm_spans.model(span.attributes)
        or _text(span.attributes, names.MODEL)
        or _shown(of_request)
        or litellm_spans.copied(span.attributes, "model")
        or _named_by_its_name(span)[1]
    )
    if not found and span.scope.startswith(names.VLLM):
        return _text(span.resource, names.MODEL_OF_ENGINE) or names.UNKNOWN_MODEL
    return found or None


def _named_by_its_name(span: Span) -> tuple[str, str]:
    """Operation and model of a span that failed before it got any attribute: "chat claude-sonnet-4-5"."""
    operation, _, model = span.name.partition(" ")
    is_bare = span.has_failed and operation in names.CALLS and not _text(span.attributes, names.PROVIDER)
    return (operation, model) if is_bare and _provider_of(model) else ("", "")


def _status(span: Span) -> dict[str, Any]:
    error_type = _text(span.attributes, names.ERROR_TYPE)
    if not span.has_failed:
        return {}
    lowered = (error_type or "").lower()
    if "timeout" in lowered:
        status = "timeout"
    elif "cancel" in lowered:
        status = "cancelled"
    else:
        status = "error"
    return {"status": status, "error_type": error_type[:_LONGEST] if error_type else None}


def _first_token_ms(attributes: Attributes) -> float | None:
    if (milliseconds := _number(_first(attributes, names.FIRST_TOKEN_MS))) is not None:
        return milliseconds
    seconds = _number(_first(attributes, names.FIRST_TOKEN_SECONDS))
    return None if seconds is None else seconds * 1000


def _reported_cost(attributes: Attributes) -> dict[str, str] | None:
    amount = _number(_first(attributes, names.REPORTED_COST))
    if not amount or amount < 0:
        return None
    # A double, as the client sent it: to twelve places, beyond which it says nothing.
    return {"amount": str(round(Decimal(amount), 12)), "currency": "USD"}


def _instant(nanoseconds: int) -> datetime:
    return EPOCH.astimezone(UTC) + timedelta(microseconds=nanoseconds // 1000)


def _first(attributes: Mapping[str, Value], spellings: Iterable[str]) -> Value:
    for spelling in spellings:
        if (value := attributes.get(spelling)) is not None and value != "":
            return value
    return None


def _text(attributes: Attributes, spellings: Iterable[str]) -> str | None:
    return _shown(_first(attributes, spellings)) or None


def _lower(attributes: Attributes, spellings: Iterable[str]) -> str:
    return _shown(_first(attributes, spellings)).lower()


def _shown(value: Value) -> str:
    """A value as text; JSON inside a text, as some exporters quote it, unquoted."""
    if value is None or isinstance(value, bool | dict | list):
        return ""
    text = str(value).strip()
    if len(text) > 1 and text[0] == '"' == text[-1]:
        text = text[1:-1]
    return text if text.isprintable() else ""


def _slug(text: str) -> str:
    """The text as a name to group by: what a slug cannot have becomes a hyphen."""
    return _NOT_IN_A_SLUG.sub("-", text)[:_LONGEST].strip("-")


def _whole(value: Value) -> Any:
    """A count: some exporters send whole numbers as doubles or as text. Anything else is for the rules."""
    is_whole = value.is_integer() if isinstance(value, float) else _is_digits(value)
    return int(value) if is_whole else value


def _is_digits(value: Value) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < _LONGEST


def _number(value: Value) -> float | None:
    """A finite number; None for anything else, which says nothing."""
    try:
        number = float(value) if value is not None else None
    except (TypeError, ValueError):
        return None
    return number if number is not None and isfinite(number) else None


def _json_object(value: Value) -> dict[str, Any]:
    if not isinstance(value, str):
        return {}
    try:
        told = json.loads(value)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
