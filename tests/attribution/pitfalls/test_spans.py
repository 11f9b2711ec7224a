"""What real exporters send beside the conventions costs a call neither its usage nor its neighbours."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attribution.pitfalls.conftest import Product, span

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
}


@pytest.mark.parametrize(
    "count",
    [{"intValue": "100"}, {"intValue": 100}, {"doubleValue": 100.0}, {"stringValue": "100"}],
    ids=["as protobuf has it", "as a number", "as a double", "as text"],
)
def test_a_count_is_read_however_it_is_spelt(product: Product, count: dict[str, Any]) -> None:
    told = span(1, CHAT)
    told["attributes"][3]["value"] = count
    assert product.spans(told) == {}

    total = product.costs(measures="calls,input_tokens,output_tokens")["total"]
    assert total == {"calls": 1, "input_tokens": 100, "output_tokens": 10}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_reported_cost_that_is_no_number_costs_no_call(product: Product, number: str) -> None:
    told = span(1, CHAT, trace=1)
    told["attributes"].append({"key": "gen_ai.usage.cost", "value": {"doubleValue": number}})

    assert product.spans(told, span(2, CHAT, trace=2)) == {}

    assert product.total("calls") == 2


def test_one_impossible_span_of_a_request_costs_no_other(product: Product) -> None:
    bad = span(1, {**CHAT, "gen_ai.usage.cache_read.input_tokens": 900}, trace=1)

    partial = product.spans(bad, span(2, CHAT, trace=2))["partialSuccess"]

    assert partial["rejectedSpans"] == "1"
    assert "usage.input_tokens subset_exceeds_total" in partial["errorMessage"]
    assert product.total("calls") == 1
