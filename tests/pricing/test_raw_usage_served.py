"""What an answer says about how it was served: tier, place and speed."""

from __future__ import annotations

import pytest

from pricing.raw_usage import read_usage


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned"),
        ({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}, None),
        ({"trafficType": "ON_DEMAND", "serviceTier": "FLEX"}, "FLEX"),
        ({}, None),
    ],
)
def test_tier_of_gemini_is_the_kind_of_its_traffic(said: dict[str, str], tier: str | None) -> None:
    assert read_usage("google.generateContent", {"promptTokenCount": 1, **said}).service_tier == tier


def test_place_and_speed_of_an_answer_are_those_it_was_served_at() -> None:
    counts = {"input_tokens": 3, "output_tokens": 9}

    served = read_usage("anthropic.messages", {**counts, "inference_geo": "us", "speed": "fast"})
    unknown = read_usage("anthropic.messages", {**counts, "inference_geo": "not_available"})

    assert (served.region, served.speed) == ("us", "fast")
    assert (unknown.region, unknown.speed) == (None, None)
