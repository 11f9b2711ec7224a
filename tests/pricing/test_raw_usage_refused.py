"""Usage objects that cannot be true, or are another API's than they are said to be."""

from __future__ import annotations

from typing import Any

import pytest

from finops.core.errors import InvalidInput
from pricing.raw_usage import read_usage

CONTRADICTIONS: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "reasoning on top of the completion, said to be OpenAI's",
        "openai.chat",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 95,
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
        "raw_usage.total_tokens",
    ),
    (
        "one count twice, differently",
        "openai.responses",
        {"prompt_tokens": 10, "input_tokens": 11, "completion_tokens": 5},
        "raw_usage.prompt_tokens",
    ),
    (
        "cached tokens outside the prompt, said to be OpenAI's",
        "openai.chat",
        {"prompt_tokens": 10, "completion_tokens": 5, "cache_read_input_tokens": 900},
        "raw_usage.cache_read_input_tokens",
    ),
    (
        "Anthropic's answer, said to be OpenAI's",
        "openai.responses",
        {"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 900},
        "raw_usage.cache_creation_input_tokens",
    ),
    (
        "Perplexity's answer, said to be OpenAI's",
        "openai.chat",
        {"prompt_tokens": 10, "completion_tokens": 5, "citation_tokens": 900},
        "raw_usage.citation_tokens",
    ),
    (
        "text, audio and images that are not the prompt",
        "openai.responses",
        {
            "input_tokens": 100,
            "output_tokens": 5,
            "input_token_details": {"text_tokens": 20, "audio_tokens": 90},
        },
        "raw_usage.input_token_details.text_tokens",
    ),
    (
        "a split that is not the sum",
        "anthropic.messages",
        {
            "input_tokens": 1,
            "cache_creation_input_tokens": 900,
            "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
        },
        "raw_usage.cache_creation_input_tokens",
    ),
    (
        "OpenAI's answer, said to be Anthropic's",
        "anthropic.messages",
        {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 80}, "output_tokens": 5},
        "raw_usage.input_tokens_details.cached_tokens",
    ),
    (
        "a total that is no sum of Gemini's parts",
        "google.generateContent",
        {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 99},
        "raw_usage.totalTokenCount",
    ),
    (
        "more cached than the prompt, hidden by the tool's prompt",
        "google.generateContent",
        {"promptTokenCount": 10, "cachedContentTokenCount": 11, "toolUsePromptTokenCount": 5},
        "raw_usage.cachedContentTokenCount",
    ),
    (
        "times to live that are not the writes",
        "bedrock.converse",
        {"inputTokens": 1, "cacheWriteInputTokens": 9, "cacheDetails": [{"ttl": "1h", "inputTokens": 5}]},
        "raw_usage.cacheWriteInputTokens",
    ),
    (
        "a total that is neither with the cache nor without",
        "bedrock.converse",
        {"inputTokens": 1, "outputTokens": 1, "cacheReadInputTokens": 9, "totalTokens": 7},
        "raw_usage.totalTokens",
    ),
    (
        "hits stated twice, differently",
        "deepseek.chat",
        {
            "prompt_tokens": 9,
            "prompt_cache_hit_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
        "raw_usage.prompt_tokens_details.cached_tokens",
    ),
    (
        "hits and misses that are not the prompt",
        "deepseek.chat",
        {"prompt_tokens": 9, "prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 5},
        "raw_usage.prompt_cache_miss_tokens",
    ),
    (
        "a total with reasoning neither inside nor on top",
        "xai.native",
        {"prompt_tokens": 9, "completion_tokens": 5, "reasoning_tokens": 7, "total_tokens": 20},
        "raw_usage.total_tokens",
    ),
    (
        "cached tokens stated twice, differently",
        "mistral.chat",
        {
            "prompt_tokens": 9,
            "num_cached_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
        "raw_usage.num_cached_tokens",
    ),
    (
        "tokens without what is billed",
        "cohere.v2",
        {"tokens": {"input_tokens": 80, "output_tokens": 3}},
        "raw_usage",
    ),
    ("Gemini's answer, said to be Perplexity's", "perplexity.chat", {"promptTokenCount": 8}, "raw_usage"),
    (
        "a tier that is no word",
        "openai.chat",
        {"prompt_tokens": 1, "service_tier": "x" * 65},
        "raw_usage.service_tier",
    ),
    (
        "a tier that no text can hold",
        "openai.chat",
        {"prompt_tokens": 1, "service_tier": "a\0"},
        "raw_usage.service_tier",
    ),
]


@pytest.mark.parametrize(
    ("_", "flavour", "raw", "field"), CONTRADICTIONS, ids=[case[0] for case in CONTRADICTIONS]
)
def test_object_that_cannot_be_what_it_is_said_to_be_is_refused(
    _: str, flavour: str, raw: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_usage(flavour, raw)

    assert [problem.field for problem in refused.value.problems] == [field]


@pytest.mark.parametrize(
    ("flavour", "raw", "field"),
    [
        ("openai.chat", {"prompt_tokens": -1}, "raw_usage.prompt_tokens"),
        ("openai.chat", {"prompt_tokens": True}, "raw_usage.prompt_tokens"),
        ("openai.chat", {"prompt_tokens": 1.0}, "raw_usage.prompt_tokens"),
        ("openai.chat", {"prompt_tokens": 10**9 + 1}, "raw_usage.prompt_tokens"),
        (
            "openai.chat",
            {"prompt_tokens_details": {"cached_tokens": "9"}},
            "raw_usage.prompt_tokens_details.cached_tokens",
        ),
        ("openai.chat", {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}, "input_tokens"),
        ("perplexity.chat", {"citation_tokens": float("nan")}, "raw_usage.citation_tokens"),
        ("cohere.v2", {"billed_units": {"input_tokens": 1.5}}, "raw_usage.billed_units.input_tokens"),
        ("openai.chat", [1], "raw_usage"),
        ("acme.chat", {}, "api_flavor"),
    ],
)
def test_impossible_object_is_refused_and_the_field_named(flavour: str, raw: object, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_usage(flavour, raw)

    assert [problem.field for problem in refused.value.problems] == [field]


def test_object_of_any_depth_is_refused_like_any_other() -> None:
    deep: dict[str, Any] = {"tokens": 1}
    for _ in range(5_000):
        deep = {"more": deep}

    with pytest.raises(InvalidInput, match="Nothing in raw_usage"):
        read_usage("openai.chat", deep)
