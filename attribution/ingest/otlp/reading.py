"""What one span says: a model call as an event of ours, or only which span is inside which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any

from attribution.ingest.otlp import litellm_spans, names
from attribution.ingest.otlp.mapping import Spellings
from attribution.ingest.otlp.span import Attributes, Span, Value
from attribution.ingest.times import EPOCH

_NOT_IN_A_SLUG = re.compile(r"[^\w.:/@+#-]+")
_LONGEST = 128
_TEXTS = frozenset({"end_user", "session_id", "task_id"})  # anything printable; the others are slugs
_NOT_SHOWN = (bool, dict, list)
_APIS = ("openai.", "anthropic.", "mistral.", "cohere.")  # as in "openai.chat", "anthropic.messages"

Told = Mapping[str, Value]  # by the names of ``names.FIELDS`` and ours


@dataclass(slots=True)
class Service:
    """What a resource says of all its spans."""

    source: str | None
    process: tuple[str, str]  # which of a service's processes it is, where that is told
    engine_model: str | None
    said: dict[str, str]  # our names, unless a span says otherwise


@dataclass(slots=True)
class Reading:
    """A span in our words. ``event`` is as a client would send it, not checked; None for no call."""

    span: Span
    service: Service
    event: dict[str, Any] | None = None  # Any: JSON
    has_usage: bool = False
    answer: str = ""  # the provider's id of it
    said: dict[str, str] = field(default_factory=dict)  # our names, for the calls inside too


def read_all(spans: Iterable[Span], spellings: Spellings) -> list[Reading]:
    """Read the spans of one request, and each resource once."""
    services: dict[int, Service] = {}
    readings = []
    for span in spans:
        resource = span.resource
        service = services.get(id(resource))
        if service is None:
            service = services[id(resource)] = _service(resource, spellings)
        readings.append(_read(span, service, spellings))
    return readings


def _service(resource: Attributes, spellings: Spellings) -> Service:
    return Service(
        source=_shown(resource.get("service.name")) or None,
        process=(str(resource.get("service.name", "")), str(resource.get("service.instance.id", ""))),
        engine_model=_shown(_first(resource, names.MODEL_OF_ENGINE)) or None,
        said=_ours(spellings.resource_index.told(resource)),
    )


def _read(span: Span, service: Service, spellings: Spellings) -> Reading:
    """Usage counts whatever the span is called, unless it only holds calls together."""
    told = spellings.span_index.told(span.attributes)
    if "metadata" in span.attributes:
        told = {**_of_metadata(span.attributes["metadata"]), **told}
    if span.scope == names.LITELLM:
        told = {**litellm_spans.said(span.attributes), **told}
    reading = Reading(span, service, said=_ours(told))
    operation = _lower(told, "operation") or _named_by_its_name(span, told)[0]
    if span.scope == names.LITELLM:
        operation = litellm_spans.operation(operation)
    kind = _lower(told, "kind")
    if operation in names.CONTAINERS or (not operation and kind in names.CONTAINERS):
        return reading
    usage = _usage(span, told)
    is_call = bool(usage) or operation in names.CALLS or kind in names.CALLS
    if not is_call or not (usage or span.has_failed):
        return reading
    reading.has_usage = bool(usage)
    reading.answer = _text(told, "answer")
    reading.event = _event(reading, told, operation or kind, usage or {"usage": {"input_tokens": 0}})
    return reading


def _event(reading: Reading, told: Told, operation: str, usage: dict[str, Any]) -> dict[str, Any]:
    span = reading.span
    model = _model(span, told) or _model_of_engine(reading)
    requested = _text(told, "model_requested")
    event = {
        "event_id": f"{span.trace_id}:{span.span_id}",
        "source": reading.service.source,
        "occurred_at": _instant(span.end_ns or span.start_ns),
        "provider": _provider(span, told, model),
        "model": model,
        "model_requested": requested if requested != model else None,
        "service_tier": _text(told, "service_tier"),
        "operation": _slug(operation) or None,
        **usage,
        **reading.service.said,
        **reading.said,
        "trace_id": span.trace_id,
        "parent_event_id": f"{span.trace_id}:{span.parent_id}" if span.parent_id else None,
        "duration_ms": max(span.end_ns - span.start_ns, 0) / 1e6 if span.end_ns else None,
        "ttft_ms": _first_token_ms(told),
        "reported_cost": _reported_cost(told),
    }
    if span.has_failed:
        event |= _failure(told)
    return {name: value for name, value in event.items() if value is not None}


def _usage(span: Span, told: Told) -> dict[str, Any]:
    """``usage`` with its semantics, or the provider's own object; empty when the span has none."""
    if span.scope == names.LITELLM or names.LITELLM_USAGE in span.attributes:
        return litellm_spans.usage(span.attributes)
    if given := _usage_object(span.attributes):
        return given
    counts = {name: _whole(told[name]) for name in names.USAGE if name in told}
    if "input_tokens" not in counts and "output_tokens" not in counts:
        return {}
    found: dict[str, Any] = {"usage": counts}
    if _excludes_caches(span, told, counts):
        found["usage_semantics"] = "anthropic"
    return found


def _excludes_caches(span: Span, told: Told, counts: Mapping[str, int]) -> bool:
    """Whether input is told without what was read from and written to caches.

    The conventions count it in; OpenLIT hands Anthropic's own counts through, which leave it out.
    Elsewhere only counts that cannot be true otherwise say so, and only Anthropic's ever do.
    """
    if "anthropic" not in _lower(told, "provider"):
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


def _ours(told: Told) -> dict[str, str]:
    """Our names among what is told, as an event may have them."""
    found = {}
    for name in names.OURS:
        if name in told:
            found[name] = _shown(told[name]) if name in _TEXTS else _slug(told[name])
    return {name: text for name, text in found.items() if text}


def _of_metadata(attribute: Value) -> Attributes:
    """Our names in a JSON object of the user's own."""
    metadata = _json_object(attribute)
    found = {
        name: metadata.get(f"finops.{name}", None if name in names.AMBIGUOUS else metadata.get(name))
        for name in names.OURS
    }
    return {name: value for name, value in found.items() if value is not None}


def _provider(span: Span, told: Told, model: str | None) -> str | None:
    said = _lower(told, "provider")
    if not said or span.scope == names.LITELLM:
        said = litellm_spans.provider(span.attributes, said)
    if said.startswith(_APIS):
        return said.partition(".")[0]
    if said:
        return said
    if span.scope.startswith(names.VLLM):
        return names.VLLM
    return _provider_of(model or "")


def _provider_of(model: str) -> str | None:
    name = model.rpartition("/")[2].lower()
    return next((provider for start, provider in names.MODELS_OF_PROVIDERS if name.startswith(start)), None)


def _model(span: Span, told: Told) -> str | None:
    """As answered, else as asked for."""
    return (
        litellm_spans.model(span.attributes)
        or _text(told, "model")
        or _shown(_json_object(span.attributes.get(names.REQUEST_SETTINGS)).get("model"))
        or litellm_spans.copied(span.attributes, "model")
        or _named_by_its_name(span, told)[1]
        or None
    )


def _model_of_engine(reading: Reading) -> str | None:
    """An engine of one's own may have to be told by its resource."""
    is_engine = reading.span.scope.startswith(names.VLLM)
    return (reading.service.engine_model or names.UNKNOWN_MODEL) if is_engine else None


def _named_by_its_name(span: Span, told: Told) -> tuple[str, str]:
    """Operation and model of a span that failed before it got any attribute: "chat claude-sonnet-4-5"."""
    if not span.has_failed or _text(told, "provider"):
        return "", ""
    operation, _, model = span.name.partition(" ")
    return (operation, model) if operation in names.CALLS and _provider_of(model) else ("", "")


def _failure(told: Told) -> dict[str, Any]:
    error_type = _text(told, "error_type")
    lowered = (error_type or "").lower()
    if "timeout" in lowered:
        status = "timeout"
    elif "cancel" in lowered:
        status = "cancelled"
    else:
        status = "error"
    return {"status": status, "error_type": error_type[:_LONGEST] if error_type else None}


def _first_token_ms(told: Told) -> float | None:
    if (milliseconds := _number(told.get("first_token_ms"))) is not None:
        return milliseconds
    seconds = _number(told.get("first_token_seconds"))
    return None if seconds is None else seconds * 1000


def _reported_cost(told: Told) -> dict[str, str] | None:
    amount = _number(told.get("reported_cost"))
    if not amount or amount < 0:
        return None
    # A double, as the client sent it: to twelve places, beyond which it says nothing.
    return {"amount": str(round(Decimal(amount), 12)), "currency": "USD"}


def _instant(nanoseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _first(attributes: Attributes, spellings: Iterable[str]) -> Value:
    for spelling in spellings:
        if (value := attributes.get(spelling)) is not None and value != "":
            return value
    return None


def _text(told: Told, name: str) -> str:
    return _shown(told[name]) if name in told else ""


def _lower(told: Told, name: str) -> str:
    return _shown(told[name]).lower() if name in told else ""


def _shown(value: Value) -> str:
    """A value as text; JSON inside a text, as some exporters quote it, unquoted."""
    if value is None or isinstance(value, _NOT_SHOWN):
        return ""
    text = str(value).strip()
    if text[:1] == '"' == text[-1:] and len(text) > 1:
        text = text[1:-1]
    return text if text.isprintable() else ""


def _slug(value: Value) -> str:
    """A value as a name to group by: what a slug cannot have becomes a hyphen."""
    return _slug_of(value) if isinstance(value, str) else _slug_of(_shown(value))


@lru_cache(maxsize=10_000)
def _slug_of(text: str) -> str:
    return _NOT_IN_A_SLUG.sub("-", _shown(text))[:_LONGEST].strip("-")


def _whole(value: Value) -> Any:
    """A count: some exporters send whole numbers as doubles or as text. Anything else is for the rules."""
    if isinstance(value, int):
        return value
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
