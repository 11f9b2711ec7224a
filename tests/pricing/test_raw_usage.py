"""Every provider's usage object, read with what that provider means by it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

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
    (
        "perplexity: a request has a fee by the size of its search context",
        "perplexity.chat",
        {"prompt_tokens": 20, "completion_tokens": 100, "search_context_size": "high"},
        Usage(input_tokens=20, output_tokens=100),
        {"requests_high_context": "1"},
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

    assert read[:3] == (usage, {name: Decimal(amount) for name, amount in units.items()}, tier)


def test_gpt_on_bedrock_counts_cached_tokens_inside_its_input() -> None:
    raw = {"inputTokens": 100, "cacheReadInputTokens": 60, "outputTokens": 1}

    assert read_usage("bedrock.converse", raw, model="us.openai.gpt-5.6-sol").usage.input_tokens == 100
    assert read_usage("bedrock.converse", raw, model="anthropic.claude-sonnet-4-6").usage.input_tokens == 160


MORE: list[tuple[str, str, dict[str, Any], Usage, dict[str, str]]] = [
    (
        "openrouter, azure, groq, fireworks: as OpenAI, whatever stands beside",
        "openai.chat",
        {
            "prompt_tokens": 194,
            "completion_tokens": 12,
            "total_tokens": 206,
            "cost": 0.95,
            "queue_time": 0.05,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 50},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
        Usage(
            input_tokens=194,
            cache_read_tokens=100,
            cache_write_tokens=50,
            output_tokens=12,
            reasoning_tokens=5,
        ),
        {},
    ),
    (
        "proxies repeat counts under other names",
        "openai.chat",
        {
            "prompt_tokens": 100,
            "input_tokens": 0,
            "completion_tokens": 2,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 0,
            "prompt_tokens_details": {"cached_tokens": 60, "text_tokens": 100},
        },
        Usage(input_tokens=100, cache_read_tokens=60, output_tokens=2),
        {},
    ),
    (
        "anthropic: writes without a split are five-minute ones",
        "anthropic.messages",
        {"input_tokens": 3, "cache_creation_input_tokens": 12304, "output_tokens": 550},
        Usage(input_tokens=12307, cache_write_tokens=12304, output_tokens=550),
        {},
    ),
    (
        "anthropic: a split alone is the sum",
        "anthropic.messages",
        {"cache_creation": {"ephemeral_1h_input_tokens": 7}, "output_tokens": 1},
        Usage(input_tokens=7, cache_write_tokens=7, cache_write_1h_tokens=7, output_tokens=1),
        {},
    ),
    (
        "anthropic: thinking is output",
        "anthropic.messages",
        {"input_tokens": 3, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 8}},
        Usage(input_tokens=3, output_tokens=9, reasoning_tokens=8),
        {},
    ),
    (
        "gemini: a total may leave the tool's prompt out",
        "google.generateContent",
        {
            "prompt_token_count": 10,
            "tool_use_prompt_token_count": 5,
            "candidates_token_count": 2,
            "total_token_count": 12,
        },
        Usage(input_tokens=15, output_tokens=2),
        {},
    ),
    (
        "bedrock: older names, and a total with the cache in it",
        "bedrock.converse",
        {"inputTokens": 4, "outputTokens": 5, "cacheReadInputTokenCount": 90, "totalTokens": 99},
        Usage(input_tokens=94, cache_read_tokens=90, output_tokens=5),
        {},
    ),
    (
        "bedrock mantle: searches",
        "bedrock.converse",
        {"inputTokens": 4, "outputTokens": 5, "tool_usage": {"web_search": {"num_requests": 2}}},
        Usage(input_tokens=4, output_tokens=5),
        {"web_search_calls": "2"},
    ),
    (
        "xai: sources that were searched have no price here, and are no part of the tokens",
        "xai.native",
        {"prompt_tokens": 4, "completion_tokens": 5, "num_sources_used": 3},
        Usage(input_tokens=4, output_tokens=5),
        {"live_search_sources": "3"},
    ),
    (
        "mistral: audio is in the total, and billed by the second",
        "mistral.chat",
        {"prompt_tokens": 4, "completion_tokens": 635, "total_tokens": 3264, "prompt_audio_seconds": 203},
        Usage(input_tokens=4, output_tokens=635),
        {"audio_seconds": "203"},
    ),
    (
        "cohere: what else is billed is told, not dropped",
        "cohere.v2",
        {"billed_units": {"input_tokens": 4, "images": 2}},
        Usage(input_tokens=4),
        {"images": "2"},
    ),
]


@pytest.mark.parametrize(("_", "flavour", "raw", "usage", "units"), MORE, ids=[case[0] for case in MORE])
def test_further_shapes_of_the_same_objects(
    _: str, flavour: str, raw: dict[str, Any], usage: Usage, units: dict[str, str]
) -> None:
    read = read_usage(flavour, raw)

    assert read[:2] == (usage, {name: Decimal(amount) for name, amount in units.items()})


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_empty_object_is_no_usage(flavour: str) -> None:
    assert read_usage(flavour, {}) == (Usage(), {}, None, None, None)
