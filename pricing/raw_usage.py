"""Reads the usage object of a provider's own answer into the meters of the wire.

Providers count differently: whether cached tokens are inside the input, whether reasoning is inside the
output, what is billed at all. Each reader says what its provider means; the result always has
inclusive totals. A whole answer may be given instead of its usage object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from finops.core.errors import InvalidInput
from finops.core.meters import Usage, inclusive, partition

Units = dict[str, Decimal]


class Reading(NamedTuple):
    """What a usage object says; ``service_tier`` is the one served, where it is stated."""

    usage: Usage
    units: Units
    service_tier: str | None


_LARGEST = 10**9


def read_usage(api_flavor: str, raw: object, *, model: str = "") -> Reading:
    """Usage, per-call units and the service tier as served, if the object states it.

    ``model`` is only asked where models behind one API count differently. Raises InvalidInput for an
    unknown flavour, for an object that is none of its kind, for counts that are not whole numbers from
    0 to 10⁹, and for parts larger than their total.
    """
    reader = _READERS.get(api_flavor)
    if reader is None:
        raise InvalidInput.field("api_flavor", "unknown", f"api_flavor must be one of {', '.join(_READERS)}")
    if not isinstance(raw, Mapping):
        raise InvalidInput.field("raw_usage", "invalid", "raw_usage must be the provider's usage object")
    reading = reader(_Object.of(raw), model)
    partition(reading.usage)
    return reading._replace(units={name: quantity for name, quantity in reading.units.items() if quantity})


class _Object:
    """A usage object; absent and null counts are zero, anything but whole numbers is refused."""

    def __init__(self, content: Mapping[str, Any], path: str = "raw_usage") -> None:  # Any: parsed JSON
        self.content, self.path = content, path

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> _Object:
        """The usage object itself, also out of a whole answer."""
        for name in ("usage", "usageMetadata", "usage_metadata"):
            inner = raw.get(name)
            if isinstance(inner, Mapping):
                outer = {key: raw[key] for key in ("service_tier", "serviceTier") if key in raw}
                return cls({**outer, **inner})
        return cls(raw)

    def count(self, *names: str) -> int:
        """The first of these names that is there, as a whole number."""
        for name in names:
            value = self.content.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
                field = f"{self.path}.{name}"
                raise InvalidInput.field(field, "invalid", f"{field} must be a whole number from 0 to 10⁹")
            return value
        return 0

    def quantity(self, *names: str) -> Decimal:
        """The first of these names that is there, as a decimal."""
        for name in names:
            value = self.content.get(name)
            if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
                return _decimal(value, f"{self.path}.{name}")
        return Decimal(0)

    def has(self, name: str) -> bool:
        return self.content.get(name) is not None

    def inside(self, *names: str) -> _Object:
        """The first of these nested objects that is there; an empty one else."""
        for name in names:
            value = self.content.get(name)
            if isinstance(value, Mapping):
                return _Object(value, f"{self.path}.{name}")
        return _Object({}, f"{self.path}.{names[0]}")

    def each(self, *names: str) -> list[_Object]:
        """The nested objects of the first of these lists that is there."""
        for name in names:
            value = self.content.get(name)
            if isinstance(value, list):
                return [_Object(item, f"{self.path}.{name}") for item in value if isinstance(item, Mapping)]
        return []

    def text(self, *names: str) -> str | None:
        for name in names:
            value = self.content.get(name)
            if isinstance(value, str) and value:
                return value
        return None


def _decimal(value: float | str | Decimal, field: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= _LARGEST:
        raise InvalidInput.field(field, "invalid", f"{field} must be a number from 0 to 10⁹")
    return number


def _openai(raw: _Object, _model: str) -> Reading:
    """OpenAI, Chat and Responses: every subset is inside its total."""
    given = raw.inside("prompt_tokens_details", "input_tokens_details", "input_token_details")
    made = raw.inside("completion_tokens_details", "output_tokens_details", "output_token_details")
    cached = given.inside("cached_tokens_details")
    usage = Usage(
        input_tokens=raw.count("prompt_tokens", "input_tokens"),
        cache_read_tokens=given.count("cached_tokens"),
        cache_write_tokens=given.count("cache_write_tokens"),
        output_tokens=raw.count("completion_tokens", "output_tokens"),
        reasoning_tokens=made.count("reasoning_tokens"),
        audio_input_tokens=given.count("audio_tokens"),
        audio_cached_tokens=cached.count("audio_tokens"),
        audio_output_tokens=made.count("audio_tokens"),
        image_input_tokens=given.count("image_tokens"),
        image_cached_tokens=cached.count("image_tokens"),
        image_output_tokens=made.count("image_tokens"),
    )
    searches = raw.inside("tool_usage").inside("web_search").quantity("num_requests")
    units = {"web_search_calls": searches}
    if raw.text("type") == "duration":
        units["audio_seconds"] = raw.quantity("seconds")
    return Reading(usage, units, raw.text("service_tier"))


def _anthropic(raw: _Object, _model: str) -> Reading:
    """Anthropic: input is what was neither read from nor written to a cache; writes without a split
    are five-minute ones; web fetches are free, so they are not metered."""
    split = raw.inside("cache_creation")
    one_hour = split.count("ephemeral_1h_input_tokens")
    written = raw.count("cache_creation_input_tokens") or one_hour + split.count("ephemeral_5m_input_tokens")
    usage = Usage(
        input_tokens=raw.count("input_tokens"),
        cache_read_tokens=raw.count("cache_read_input_tokens"),
        cache_write_tokens=written,
        cache_write_1h_tokens=one_hour,
        output_tokens=raw.count("output_tokens"),
        reasoning_tokens=raw.inside("output_tokens_details").count("thinking_tokens"),
    )
    searches = raw.inside("server_tool_use").quantity("web_search_requests")
    return Reading(inclusive(usage), {"web_search_calls": searches}, raw.text("service_tier"))


_GOOGLE_TIERS = {
    "ON_DEMAND": "standard",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "PROVISIONED_THROUGHPUT": "provisioned",
}


def _google(raw: _Object, _model: str) -> Reading:
    """Gemini: thoughts are outside the candidates, tool prompts outside the prompt; cached is inside.

    Video and documents cost what text does and count as such.
    """
    prompt = raw.each("promptTokensDetails", "prompt_tokens_details")
    prompt += raw.each("toolUsePromptTokensDetails", "tool_use_prompt_tokens_details")
    cached = raw.each("cacheTokensDetails", "cache_tokens_details")
    made = raw.each("candidatesTokensDetails", "candidates_tokens_details")
    thoughts = raw.count("thoughtsTokenCount", "thoughts_token_count")
    tool_prompt = raw.count("toolUsePromptTokenCount", "tool_use_prompt_token_count")
    usage = Usage(
        input_tokens=raw.count("promptTokenCount", "prompt_token_count") + tool_prompt,
        cache_read_tokens=raw.count("cachedContentTokenCount", "cached_content_token_count"),
        output_tokens=raw.count("candidatesTokenCount", "candidates_token_count") + thoughts,
        reasoning_tokens=thoughts,
        audio_input_tokens=_modality(prompt, "AUDIO"),
        audio_cached_tokens=_modality(cached, "AUDIO"),
        audio_output_tokens=_modality(made, "AUDIO"),
        image_input_tokens=_modality(prompt, "IMAGE"),
        image_cached_tokens=_modality(cached, "IMAGE"),
        image_output_tokens=_modality(made, "IMAGE"),
    )
    traffic = raw.text("trafficType", "traffic_type")
    tier = raw.text("serviceTier", "service_tier") or _GOOGLE_TIERS.get(traffic or "", traffic)
    return Reading(usage, {}, tier)


def _modality(details: list[_Object], modality: str) -> int:
    return sum(
        part.count("tokenCount", "token_count") for part in details if part.text("modality") == modality
    )


def _bedrock(raw: _Object, model: str) -> Reading:
    """Bedrock Converse: as Anthropic, except that GPT-5.6 counts cached tokens inside its input."""
    details = raw.each("cacheDetails")
    usage = Usage(
        input_tokens=raw.count("inputTokens"),
        cache_read_tokens=raw.count("cacheReadInputTokens", "cacheReadInputTokenCount"),
        cache_write_tokens=raw.count("cacheWriteInputTokens", "cacheWriteInputTokenCount")
        or sum(part.count("inputTokens") for part in details),
        cache_write_1h_tokens=sum(part.count("inputTokens") for part in details if part.text("ttl") == "1h"),
        output_tokens=raw.count("outputTokens"),
    )
    units = {"web_search_calls": raw.inside("tool_usage").inside("web_search").quantity("num_requests")}
    if "openai.gpt-5.6" not in model:
        usage = inclusive(usage)
    return Reading(usage, units, raw.inside("serviceTier").text("type") or raw.text("serviceTier"))


def _deepseek(raw: _Object, _model: str) -> Reading:
    """DeepSeek: the cache hits are stated twice, and are inside the prompt."""
    hits = raw.count("prompt_cache_hit_tokens") or raw.inside("prompt_tokens_details").count("cached_tokens")
    usage = Usage(
        input_tokens=raw.count("prompt_tokens"),
        cache_read_tokens=hits,
        output_tokens=raw.count("completion_tokens"),
        reasoning_tokens=raw.inside("completion_tokens_details").count("reasoning_tokens"),
    )
    return Reading(usage, {}, raw.text("service_tier"))


def _xai(raw: _Object, _model: str) -> Reading:
    """xAI: reasoning comes on top of the completion, unless the total says that it does not."""
    prompt, completion = raw.count("prompt_tokens"), raw.count("completion_tokens")
    reasoning = raw.count("reasoning_tokens") or raw.inside("completion_tokens_details").count(
        "reasoning_tokens"
    )
    within = raw.has("total_tokens") and raw.count("total_tokens") == prompt + completion
    given = raw.inside("prompt_tokens_details")
    usage = Usage(
        input_tokens=prompt,
        cache_read_tokens=raw.count("cached_prompt_text_tokens") or given.count("cached_tokens"),
        output_tokens=completion if within else completion + reasoning,
        reasoning_tokens=reasoning,
    )
    return Reading(usage, {}, raw.text("service_tier"))


def _mistral(raw: _Object, model: str) -> Reading:
    """Mistral: as OpenAI, with audio in seconds."""
    usage, units, tier = _openai(raw, model)
    if not usage.cache_read_tokens:
        usage = replace(usage, cache_read_tokens=raw.count("num_cached_tokens"))
    return Reading(usage, units | {"audio_seconds": raw.quantity("prompt_audio_seconds")}, tier)


def _cohere(raw: _Object, _model: str) -> Reading:
    """Cohere: what is billed is in ``billed_units``, not in ``tokens``."""
    billed = raw.inside("billed_units")
    if not billed.content:
        billed = raw.inside("meta").inside("billed_units")
    usage = Usage(input_tokens=_whole(billed, "input_tokens"), output_tokens=_whole(billed, "output_tokens"))
    return Reading(usage, {"rerank_searches": billed.quantity("search_units")}, None)


def _whole(raw: _Object, name: str) -> int:
    """Cohere writes whole numbers as 12.0."""
    number = raw.quantity(name)
    if number != int(number):
        raise InvalidInput.field(f"{raw.path}.{name}", "invalid", f"{raw.path}.{name} must be a whole number")
    return int(number)


def _perplexity(raw: _Object, _model: str) -> Reading:
    """Perplexity: reasoning and citations come on top, each with a rate of its own."""
    reasoning = raw.count("reasoning_tokens")
    usage = Usage(
        input_tokens=raw.count("prompt_tokens"),
        output_tokens=raw.count("completion_tokens") + reasoning,
        reasoning_tokens=reasoning,
    )
    units = {
        "citation_tokens": raw.quantity("citation_tokens"),
        "web_search_calls": raw.quantity("num_search_queries"),
    }
    return Reading(usage, units, None)


_READERS: dict[str, Callable[[_Object, str], Reading]] = {
    "openai.chat": _openai,
    "openai.responses": _openai,
    "anthropic.messages": _anthropic,
    "google.generateContent": _google,
    "bedrock.converse": _bedrock,
    "deepseek.chat": _deepseek,
    "xai.native": _xai,
    "mistral.chat": _mistral,
    "cohere.v2": _cohere,
    "perplexity.chat": _perplexity,
}
FLAVOURS = tuple(_READERS)
