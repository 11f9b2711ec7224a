"""Every provider's usage object, read with what that provider means by it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from finops.core.errors import InvalidInput
from finops.core.meters import Usage
from pricing.raw_usage import FLAVOURS, read_usage

CASES: list[tuple[str, str, dict[str, Any], Usage, dict[str, str], str | None]] = [
    (
        "chat: subsets lie inside their totals, null is none",
        "openai.chat",
        {
            "prompt_tokens": 900,
            "completion_tokens": 300,
            "total_tokens": 1200,
            "prompt_tokens_details": {"cached_tokens": 512, "audio_tokens": None, "cache_write_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 120, "audio_tokens": 20},
        },
        Usage(
            input_tokens=900,
            cache_read_tokens=512,
            cache_write_tokens=100,
            output_tokens=300,
            reasoning_tokens=120,
            audio_output_tokens=20,
        ),
        {},
        None,
    ),
    (
        "responses: a whole answer tells the tier that was served",
        "openai.responses",
        {
            "id": "resp_1",
            "service_tier": "flex",
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"cached_tokens": 8},
                "output_tokens": 7,
                "output_tokens_details": {"reasoning_tokens": 5},
            },
        },
        Usage(input_tokens=50, cache_read_tokens=8, output_tokens=7, reasoning_tokens=5),
        {},
        "flex",
    ),
    (
        "realtime: cached tokens by modality",
        "openai.responses",
        {
            "input_tokens": 1200,
            "output_tokens": 90,
            "input_token_details": {
                "cached_tokens": 640,
                "text_tokens": 300,
                "audio_tokens": 900,
                "cached_tokens_details": {"text_tokens": 200, "audio_tokens": 440},
            },
            "output_token_details": {"text_tokens": 20, "audio_tokens": 70},
        },
        Usage(
            input_tokens=1200,
            cache_read_tokens=640,
            output_tokens=90,
            audio_input_tokens=900,
            audio_cached_tokens=440,
            audio_output_tokens=70,
        ),
        {},
        None,
    ),
    (
        "transcription: billed by the second",
        "openai.chat",
        {"type": "duration", "seconds": 12.5},
        Usage(),
        {"audio_seconds": "12.5"},
        None,
    ),
    (
        "anthropic: the split of writes is not added to their sum",
        "anthropic.messages",
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 700,
            "cache_read_input_tokens": 2000,
            "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 40,
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 3},
            "service_tier": "batch",
        },
        Usage(
            input_tokens=2710,
            cache_read_tokens=2000,
            cache_write_tokens=700,
            cache_write_1h_tokens=200,
            output_tokens=40,
        ),
        {"web_search_calls": "1"},
        "batch",
    ),
    (
        "gemini: thoughts and tool prompts lie outside, cached inside",
        "google.generateContent",
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 400,
            "candidatesTokenCount": 50,
            "thoughtsTokenCount": 70,
            "toolUsePromptTokenCount": 30,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 600},
                {"modality": "AUDIO", "tokenCount": 300},
                {"modality": "IMAGE", "tokenCount": 100},
            ],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 200}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 20}],
            "trafficType": "ON_DEMAND",
        },
        Usage(
            input_tokens=1030,
            cache_read_tokens=400,
            output_tokens=120,
            reasoning_tokens=70,
            audio_input_tokens=300,
            audio_cached_tokens=200,
            image_input_tokens=100,
            image_output_tokens=20,
        ),
        {},
        "standard",
    ),
    (
        "bedrock: cache reads and writes lie outside, with their time to live",
        "bedrock.converse",
        {
            "inputTokens": 5,
            "outputTokens": 6,
            "cacheReadInputTokens": 70,
            "cacheWriteInputTokens": 80,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 50}, {"ttl": "1h", "inputTokens": 30}],
        },
        Usage(
            input_tokens=155,
            cache_read_tokens=70,
            cache_write_tokens=80,
            cache_write_1h_tokens=30,
            output_tokens=6,
        ),
        {},
        None,
    ),
    (
        "deepseek: hits are stated twice and counted once",
        "deepseek.chat",
        {
            "prompt_tokens": 100,
            "prompt_cache_hit_tokens": 60,
            "prompt_cache_miss_tokens": 40,
            "prompt_tokens_details": {"cached_tokens": 60},
            "completion_tokens": 30,
            "completion_tokens_details": {"reasoning_tokens": 10},
        },
        Usage(input_tokens=100, cache_read_tokens=60, output_tokens=30, reasoning_tokens=10),
        {},
        None,
    ),
    (
        "xai: reasoning comes on top of the completion",
        "xai.native",
        {
            "prompt_tokens": 100,
            "completion_tokens": 9,
            "reasoning_tokens": 90,
            "total_tokens": 199,
            "cached_prompt_text_tokens": 64,
        },
        Usage(input_tokens=100, cache_read_tokens=64, output_tokens=99, reasoning_tokens=90),
        {},
        None,
    ),
    (
        "xai: unless the total says that it does not",
        "xai.native",
        {
            "prompt_tokens": 100,
            "completion_tokens": 99,
            "total_tokens": 199,
            "completion_tokens_details": {"reasoning_tokens": 90},
        },
        Usage(input_tokens=100, output_tokens=99, reasoning_tokens=90),
        {},
        None,
    ),
    (
        "mistral: audio in seconds",
        "mistral.chat",
        {"prompt_tokens": 10, "completion_tokens": 5, "num_cached_tokens": 4, "prompt_audio_seconds": 30},
        Usage(input_tokens=10, cache_read_tokens=4, output_tokens=5),
        {"audio_seconds": "30"},
        None,
    ),
    (
        "cohere: what is billed, not what was tokenised",
        "cohere.v2",
        {
            "billed_units": {"input_tokens": 12.0, "output_tokens": 3},
            "tokens": {"input_tokens": 80, "output_tokens": 3},
        },
        Usage(input_tokens=12, output_tokens=3),
        {},
        None,
    ),
    (
        "cohere: rerank",
        "cohere.v2",
        {"meta": {"billed_units": {"search_units": 2}}},
        Usage(),
        {"rerank_searches": "2"},
        None,
    ),
    (
        "perplexity: reasoning, citations and queries come on top",
        "perplexity.chat",
        {
            "prompt_tokens": 20,
            "completion_tokens": 100,
            "reasoning_tokens": 900,
            "citation_tokens": 300,
            "num_search_queries": 4,
        },
        Usage(input_tokens=20, output_tokens=1000, reasoning_tokens=900),
        {"citation_tokens": "300", "web_search_calls": "4"},
        None,
    ),
]


@pytest.mark.parametrize(
    ("_", "flavour", "raw", "usage", "units", "tier"), CASES, ids=[case[0] for case in CASES]
)
def test_usage_object_is_read_as_its_provider_means_it(
    _: str, flavour: str, raw: dict[str, Any], usage: Usage, units: dict[str, str], tier: str | None
) -> None:
    read = read_usage(flavour, raw)

    assert read == (usage, {name: Decimal(amount) for name, amount in units.items()}, tier)


def test_gpt_on_bedrock_counts_cached_tokens_inside_its_input() -> None:
    raw = {"inputTokens": 100, "cacheReadInputTokens": 60, "outputTokens": 1}

    assert read_usage("bedrock.converse", raw, model="us.openai.gpt-5.6-sol").usage.input_tokens == 100
    assert read_usage("bedrock.converse", raw, model="anthropic.claude-sonnet-4-6").usage.input_tokens == 160


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_empty_object_is_no_usage(flavour: str) -> None:
    assert read_usage(flavour, {}) == (Usage(), {}, None)


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
