"""Worked examples with their arithmetic: every one must come out to the last digit."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from finops.core.meters import Usage
from pricing.rating import Status, rate_usage
from pricing.raw_usage import read_usage
from tests.pricing.books import tariff

VECTORS = [json.loads(line) for line in (Path(__file__).parent / "vectors.jsonl").read_text().splitlines()]
_TOKENS = {
    "input_tokens_total": "input_tokens",
    "cached_read": "cache_read_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "output_tokens": "output_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "audio_in": "audio_input_tokens",
    "audio_cached_read": "audio_cached_tokens",
    "audio_out": "audio_output_tokens",
    "image_in": "image_input_tokens",
    "image_cached_read": "image_cached_tokens",
    "image_out": "image_output_tokens",
}
_WRITES = ("cache_write_5m", "cache_write_1h", "cache_write_other")


def usage_of(counts: dict[str, int]) -> tuple[Usage, dict[str, Decimal]]:
    """A vector's counts as wire usage and per-call units (pricing/README.md says how they map)."""
    tokens = {wire: counts[name] for name, wire in _TOKENS.items() if name in counts}
    tokens["cache_write_tokens"] = sum(counts.get(name, 0) for name in _WRITES)
    units = {name: Decimal(n) for name, n in counts.items() if n and name not in (*_TOKENS, *_WRITES)}
    return Usage(**tokens), units


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vector_is_met_to_the_last_digit(vector: dict[str, Any]) -> None:
    usage, units = usage_of(vector["usage"])
    if "raw_usage" in vector:
        assert read_usage(vector["api_flavor"], vector["raw_usage"])[:2] == (usage, units)
    names = ("service_tier", "processing", "speed", "region")
    conditions = {name: vector[name] for name in names}
    prices = tariff(vector["provider"], vector["model"], **conditions)

    rating = rate_usage(
        prices, at=int(datetime.fromisoformat(vector["timestamp"]).timestamp()), usage=usage, units=units
    )

    assert rating.status is Status.PRICED
    assert rating.cost == Decimal(vector["expected_cost_usd"])
