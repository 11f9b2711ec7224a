"""Reads the usage object of a provider's own answer into the meters of the wire.

Providers count differently: whether cached tokens are inside the input, whether reasoning is inside the
output, what is billed at all. Each reader says what its provider means; the result always has
inclusive totals. A whole answer may be given instead of its usage object. An object that contradicts
itself, or is of another API than it is said to be, is refused: a guess would be a wrong price.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from finops.core.errors import InvalidInput
from finops.core.meters import Usage, inclusive, partition
from pricing.usage_objects import UsageObject

Units = dict[str, Decimal]


class Reading(NamedTuple):
    """What a usage object says; tier, region and speed are those served, where it states them."""

    usage: Usage
    units: Units
    service_tier: str | None
    region: str | None = None
    speed: str | None = None


def read_usage(api_flavor: str, raw: object, *, model: str = "") -> Reading:
    """What a usage object says was used and served.

    ``model`` is only asked where models behind one API count differently. Raises InvalidInput for an
    unknown flavour, for an object that is none of its kind or contradicts itself, for counts that are not
    whole numbers from 0 to 10⁹, and for parts larger than their total.
    """
    reader = _READERS.get(api_flavor)
    if reader is None:
        raise InvalidInput.field("api_flavor", "unknown", f"api_flavor must be one of {', '.join(_READERS)}")
    if not isinstance(raw, Mapping):
        raise InvalidInput.field("raw_usage", "invalid", "raw_usage must be the provider's usage object")
    given = UsageObject.of(raw)
    reading = reader(given, model)
    units = {name: quantity for name, quantity in reading.units.items() if quantity}
    if not any(partition(reading.usage).values()) and not units and given.counts_tokens():
        raise InvalidInput.field("raw_usage", "empty", f"Nothing in raw_usage is a count of {api_flavor}.")
    return reading._replace(units=units)


def _openai(raw: UsageObject, model: str) -> Reading:
    """OpenAI, Chat and Responses, and who speaks them: every subset is inside its total."""
    reading = _openai_counts(raw, model)
    raw.must_be("total_tokens", reading.usage.input_tokens + reading.usage.output_tokens)
    return reading


def _openai_counts(raw: UsageObject, _model: str) -> Reading:
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
    _check_openai(raw, given, made, usage)
    units = {"web_search_calls": raw.inside("tool_usage").inside("web_search").quantity("num_requests")}
    if raw.text("type") == "duration":
        units["audio_seconds"] = raw.quantity("seconds")
    return Reading(usage, units, raw.text("service_tier"))


def _check_openai(raw: UsageObject, given: UsageObject, made: UsageObject, usage: Usage) -> None:
    """Refuse what would be counted wrongly: parts that are no partition, or counts as others make them.

    Proxies repeat the counts under the names of other APIs; the same number twice is no contradiction.
    """
    raw.must_not_have("citation_tokens")
    raw.must_be("reasoning_tokens", 0, usage.reasoning_tokens)
    raw.must_be("cache_read_input_tokens", 0, usage.cache_read_tokens)
    raw.must_be("cache_creation_input_tokens", 0, usage.cache_write_tokens)
    if given.count("text_tokens"):
        given.must_be("text_tokens", usage.input_tokens - usage.audio_input_tokens - usage.image_input_tokens)
    if made.count("text_tokens"):
        text = usage.output_tokens - usage.audio_output_tokens - usage.image_output_tokens
        made.must_be("text_tokens", text, text - usage.reasoning_tokens)


def _anthropic(raw: UsageObject, _model: str) -> Reading:
    """Anthropic: input is what was neither read from nor written to a cache; writes without a split
    are five-minute ones; web fetches are free, so they are not metered."""
    if raw.count("input_tokens"):
        raw.must_not_have("prompt_tokens")
    raw.inside("input_tokens_details", "input_token_details").must_not_have("cached_tokens")
    split = raw.inside("cache_creation")
    one_hour = split.count("ephemeral_1h_input_tokens")
    written = one_hour + split.count("ephemeral_5m_input_tokens")
    if not split.content:
        written = raw.count("cache_creation_input_tokens")
    raw.must_be("cache_creation_input_tokens", written)
    usage = Usage(
        input_tokens=raw.count("input_tokens"),
        cache_read_tokens=raw.count("cache_read_input_tokens"),
        cache_write_tokens=written,
        cache_write_1h_tokens=one_hour,
        output_tokens=raw.count("output_tokens"),
        reasoning_tokens=raw.inside("output_tokens_details").count("thinking_tokens"),
    )
    searches = raw.inside("server_tool_use").quantity("web_search_requests")
    # Where the model knows no place of inference, the endpoint that was called still has one.
    place = raw.text("inference_geo")
    region = None if place == "not_available" else place
    units = {"web_search_calls": searches}
    return Reading(inclusive(usage), units, raw.text("service_tier"), region, raw.text("speed"))


_GOOGLE_TIERS = {
    "TRAFFIC_TYPE_UNSPECIFIED": None,
    "ON_DEMAND": "standard",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "PROVISIONED_THROUGHPUT": "provisioned",
}


def _google(raw: UsageObject, _model: str) -> Reading:
    """Gemini: thoughts are outside the candidates, tool prompts outside the prompt; cached is inside.

    Video and documents cost what text does and count as such.
    """
    prompts = raw.each("promptTokensDetails", "prompt_tokens_details")
    prompts += raw.each("toolUsePromptTokensDetails", "tool_use_prompt_tokens_details")
    cached = raw.each("cacheTokensDetails", "cache_tokens_details")
    made = raw.each("candidatesTokensDetails", "candidates_tokens_details")
    prompt = raw.count("promptTokenCount", "prompt_token_count")
    candidates = raw.count("candidatesTokenCount", "candidates_token_count")
    thoughts = raw.count("thoughtsTokenCount", "thoughts_token_count")
    tool_prompt = raw.count("toolUsePromptTokenCount", "tool_use_prompt_token_count")
    usage = Usage(
        input_tokens=prompt + tool_prompt,
        cache_read_tokens=raw.count("cachedContentTokenCount", "cached_content_token_count"),
        output_tokens=candidates + thoughts,
        reasoning_tokens=thoughts,
        audio_input_tokens=_modality(prompts, "AUDIO"),
        audio_cached_tokens=_modality(cached, "AUDIO"),
        audio_output_tokens=_modality(made, "AUDIO"),
        image_input_tokens=_modality(prompts, "IMAGE"),
        image_cached_tokens=_modality(cached, "IMAGE"),
        image_output_tokens=_modality(made, "IMAGE"),
    )
    if usage.cache_read_tokens > prompt:
        raise raw.contradiction("cachedContentTokenCount", "promptTokenCount")
    everything = usage.input_tokens + usage.output_tokens
    for total in ("totalTokenCount", "total_token_count"):
        raw.must_be(total, everything, everything - tool_prompt)
    traffic = raw.text("trafficType", "traffic_type")
    tier = raw.text("serviceTier", "service_tier") or _GOOGLE_TIERS.get(traffic or "", traffic)
    return Reading(usage, {}, tier)


def _modality(details: list[UsageObject], modality: str) -> int:
    return sum(
        part.count("tokenCount", "token_count") for part in details if part.text("modality") == modality
    )


def _bedrock(raw: UsageObject, model: str) -> Reading:
    """Bedrock Converse: as Anthropic, except that GPT-5.6 counts cached tokens inside its input."""
    details = raw.each("cacheDetails")
    written = raw.count("cacheWriteInputTokens", "cacheWriteInputTokenCount")
    if details:
        split = sum(part.count("inputTokens") for part in details)
        if written not in (0, split):
            raise raw.contradiction("cacheWriteInputTokens", "cacheDetails")
        written = split
    usage = Usage(
        input_tokens=raw.count("inputTokens"),
        cache_read_tokens=raw.count("cacheReadInputTokens", "cacheReadInputTokenCount"),
        cache_write_tokens=written,
        cache_write_1h_tokens=sum(part.count("inputTokens") for part in details if part.text("ttl") == "1h"),
        output_tokens=raw.count("outputTokens"),
    )
    outside = usage.input_tokens + usage.output_tokens
    raw.must_be("totalTokens", outside, outside + usage.cache_read_tokens + usage.cache_write_tokens)
    units = {"web_search_calls": raw.inside("tool_usage").inside("web_search").quantity("num_requests")}
    if "openai.gpt-5.6" not in model:
        usage = inclusive(usage)
    return Reading(usage, units, raw.inside("serviceTier").text("type") or raw.text("serviceTier"))


def _deepseek(raw: UsageObject, _model: str) -> Reading:
    """DeepSeek: the cache hits are stated twice, and are inside the prompt."""
    prompt, completion = raw.count("prompt_tokens"), raw.count("completion_tokens")
    hits, nested = raw.count("prompt_cache_hit_tokens"), raw.inside("prompt_tokens_details")
    if raw.has("prompt_cache_hit_tokens"):
        nested.must_be("cached_tokens", hits)
    hits = hits or nested.count("cached_tokens")
    raw.must_be("prompt_cache_miss_tokens", prompt - hits)
    raw.must_be("total_tokens", prompt + completion)
    usage = Usage(
        input_tokens=prompt,
        cache_read_tokens=hits,
        output_tokens=completion,
        reasoning_tokens=raw.inside("completion_tokens_details").count("reasoning_tokens"),
    )
    return Reading(usage, {}, raw.text("service_tier"))


def _xai(raw: UsageObject, _model: str) -> Reading:
    """xAI: reasoning comes on top of the completion, unless the total says that it does not."""
    prompt, completion = raw.count("prompt_tokens"), raw.count("completion_tokens")
    nested = raw.inside("completion_tokens_details").count("reasoning_tokens")
    raw.must_be("reasoning_tokens", nested or raw.count("reasoning_tokens"))
    reasoning = nested or raw.count("reasoning_tokens")
    raw.must_be("total_tokens", prompt + completion, prompt + completion + reasoning)
    within = raw.has("total_tokens") and raw.count("total_tokens") == prompt + completion
    cached = raw.inside("prompt_tokens_details").count("cached_tokens")
    raw.must_be("cached_prompt_text_tokens", cached or raw.count("cached_prompt_text_tokens"))
    usage = Usage(
        input_tokens=prompt,
        cache_read_tokens=cached or raw.count("cached_prompt_text_tokens"),
        output_tokens=completion if within else completion + reasoning,
        reasoning_tokens=reasoning,
    )
    return Reading(usage, {"live_search_sources": raw.quantity("num_sources_used")}, raw.text("service_tier"))


def _mistral(raw: UsageObject, model: str) -> Reading:
    """Mistral: as OpenAI, with audio in seconds, whose tokens only the total counts."""
    reading = _openai_counts(raw, model)
    seconds = raw.quantity("prompt_audio_seconds")
    if not seconds:
        raw.must_be("total_tokens", reading.usage.input_tokens + reading.usage.output_tokens)
    cached = reading.usage.cache_read_tokens
    raw.must_be("num_cached_tokens", cached or raw.count("num_cached_tokens"))
    usage = replace(reading.usage, cache_read_tokens=cached or raw.count("num_cached_tokens"))
    return reading._replace(usage=usage, units={**reading.units, "audio_seconds": seconds})


# What the price book calls the things that Cohere bills beside tokens.
_COHERE_UNITS = {"search_units": "rerank_searches"}


def _cohere(raw: UsageObject, _model: str) -> Reading:
    """Cohere: what is billed is in ``billed_units``, not in ``tokens``; without it there is no bill."""
    billed = raw.inside("billed_units")
    if not billed.content:
        billed = raw.inside("meta").inside("billed_units")
    usage = Usage(input_tokens=_whole(billed, "input_tokens"), output_tokens=_whole(billed, "output_tokens"))
    others = billed.content.keys() - {"input_tokens", "output_tokens"}
    units = {_COHERE_UNITS.get(name, name): billed.quantity(name) for name in sorted(others)}
    return Reading(usage, units, None)


def _whole(raw: UsageObject, name: str) -> int:
    """Cohere writes whole numbers as 12.0."""
    number = raw.quantity(name)
    if number != int(number):
        raise InvalidInput.field(f"{raw.path}.{name}", "invalid", f"{raw.path}.{name} must be a whole number")
    return int(number)


_CONTEXT_SIZES = ("low", "medium", "high")


def _perplexity(raw: UsageObject, model: str) -> Reading:
    """Perplexity: reasoning and citations come on top, each with a rate of its own.

    A request has a fee by the size of its search context, except of deep research, which pays by query.
    """
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
    size = raw.text("search_context_size")
    if size in _CONTEXT_SIZES and "deep-research" not in model:
        units[f"requests_{size}_context"] = Decimal(1)
    return Reading(usage, units, None)


_READERS: dict[str, Callable[[UsageObject, str], Reading]] = {
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
