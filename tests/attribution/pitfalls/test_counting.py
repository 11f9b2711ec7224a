"""Every token once and at its own price, whichever way a call is told, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.attribution.ingest.conftest import event
from tests.attribution.pitfalls.conftest import Product, Row, logged, span

CLAUDE = {"provider": "anthropic", "model": "claude-sonnet-4-6"}
OF_CLAUDE = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic",
             "gen_ai.request.model": "claude-sonnet-4-6"}  # fmt: skip
OF_GPT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}


def native(usage: Row, **said: Any) -> Row:
    """An event by its own usage object, unless it is told otherwise."""
    return event(**{"usage": usage, **said})


# 3 x $3 + 12,304 x $3.75 + 550 x $15 a million.
WRITTEN = Decimal("0.054399")


@pytest.mark.parametrize(
    "way",
    [
        native({"input_tokens": 12_307, "cache_write_tokens": 12_304, "output_tokens": 550}, **CLAUDE),
        native(
            {"input_tokens": 3, "cache_write_tokens": 12_304, "cache_read_tokens": 0, "output_tokens": 550},
            usage_semantics="anthropic",
            **CLAUDE,
        ),
        event(
            usage=None,
            raw_usage={
                "input_tokens": 3,
                "cache_creation_input_tokens": 12_304,
                "cache_read_input_tokens": 0,
                "output_tokens": 550,
            },
            api_flavor="anthropic.messages",
            **CLAUDE,
        ),
    ],
    ids=["inclusive", "exclusive", "as Anthropic says it"],
)
def test_what_is_written_to_a_cache_is_charged_once(product: Product, way: Row) -> None:
    assert product.events(way)["accepted"] == 1

    assert product.total() == WRITTEN


def test_what_is_written_to_a_cache_is_charged_once_by_a_span(product: Product) -> None:
    written = {
        "gen_ai.usage.cache_creation.input_tokens": 12_304,
        "gen_ai.usage.cache_write.input_tokens": 12_304,
    }
    product.spans(
        span(
            1,
            {**OF_CLAUDE, "gen_ai.usage.input_tokens": 12_307, "gen_ai.usage.output_tokens": 550, **written},
        )
    )

    assert product.total() == WRITTEN


def test_what_is_written_to_a_cache_is_charged_once_by_a_proxy(product: Product) -> None:
    usage = {
        "prompt_tokens": 12_307,
        "completion_tokens": 550,
        "cache_creation_input_tokens": 12_304,
        "cache_read_input_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_tokens": 12_304},
    }
    product.post(
        "/api/v1/ingest/litellm",
        [
            logged(
                "c-1",
                custom_llm_provider="anthropic",
                model="claude-sonnet-4-6",
                metadata={"usage_object": usage},
            )
        ],
    )

    assert product.total() == WRITTEN


def test_anthropics_own_counts_have_their_cached_tokens_beside_the_input(product: Product) -> None:
    usage = {"input_tokens": 5000, "cache_read_tokens": 3000}
    product.events(native(usage, usage_semantics="anthropic", **CLAUDE))

    # 5,000 x $3 + 3,000 x $0.30 a million, and not 2,000 x $3.
    assert product.total() == Decimal("0.0159")
    assert product.total("input_tokens") == 8000
    assert product.total("uncached_input_tokens") == 5000


def test_openais_counts_have_them_inside(product: Product) -> None:
    raw = {
        "prompt_tokens": 17_903,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 17_817},
    }
    product.events(event(usage=None, raw_usage=raw, api_flavor="openai.chat"))

    assert product.total("input_tokens") == 17_903
    assert product.total("uncached_input_tokens") == 86
    assert product.total() == (86 * Decimal("2.5") + 17_817 * Decimal("1.25")) / 10**6


def test_spans_have_them_inside_for_every_provider(product: Product) -> None:
    usage = {
        "gen_ai.usage.input_tokens": 130_213,
        "gen_ai.usage.output_tokens": 0,
        "gen_ai.usage.cache_read.input_tokens": 128_955,
        "gen_ai.usage.cache_creation.input_tokens": 1_253,
    }
    product.spans(span(1, {**OF_CLAUDE, **usage}))

    assert product.total("input_tokens") == 130_213
    assert product.total("uncached_input_tokens") == 5


IMPOSSIBLE = {"input_tokens": 500, "cache_read_tokens": 900, "output_tokens": 1}


def test_more_cached_than_sent_is_refused_by_every_way_in_and_nothing_is_cut_to_size(
    product: Product,
) -> None:
    raw = {"prompt_tokens": 500, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 900}}
    by_events = product.events(
        event("a", usage=IMPOSSIBLE), event("b", usage=None, raw_usage=raw, api_flavor="openai.chat")
    )
    by_proxy = product.post("/api/v1/ingest/litellm", [logged("c", metadata={"usage_object": raw})])
    by_span = product.spans(
        span(
            1,
            {
                **OF_GPT,
                "gen_ai.usage.input_tokens": 500,
                "gen_ai.usage.output_tokens": 1,
                "gen_ai.usage.cache_read.input_tokens": 900,
            },
        )
    )

    assert [(bad["field"], bad["code"]) for bad in by_events["rejected"]] == [
        ("usage.input_tokens", "subset_exceeds_total"),
        ("raw_usage", "subset_exceeds_total"),
    ]
    assert [bad["code"] for bad in by_proxy["rejected"]] == ["subset_exceeds_total"]
    assert by_span["partialSuccess"]["rejectedSpans"] == "1"
    assert product.total("calls") == 0


@pytest.mark.parametrize(
    ("raw", "flavour"),
    [
        ({}, "openai.chat"),
        ({"usage": None, "service_tier": "default"}, "openai.chat"),
        ({"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 0}, "google.generateContent"),
        ({"prompt_tokens": 100, "completion_tokens": 10}, "bedrock.converse"),
    ],
    ids=["nothing", "an answer without usage", "Anthropic's as Google's", "OpenAI's as Bedrock's"],
)
def test_a_usage_object_that_tells_no_count_makes_no_call_free(
    product: Product, raw: Row, flavour: str
) -> None:
    answer = product.events(event(usage=None, raw_usage=raw, api_flavor=flavour), event("sound"))

    assert [(bad["index"], bad["field"], bad["code"]) for bad in answer["rejected"]] == [
        (0, "raw_usage", "empty")
    ]
    assert product.total("calls") == 1


def test_a_call_that_failed_has_no_usage_to_tell(product: Product) -> None:
    failed: Row = {"status": "error", "raw_usage": {}, "api_flavor": "openai.chat", "usage": None}
    assert product.events(event(**failed))["accepted"] == 1

    assert (product.total("calls"), product.total("errors"), product.total()) == (1, 1, 0)
