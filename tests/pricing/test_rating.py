"""The rules of rating, each with numbers of its own; mistakes that others made."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.errors import InvalidInput
from finops.core.meters import Meter, Usage, inclusive, partition
from finops.core.money import as_text
from pricing.book import Book, Tariff
from pricing.entries import BookRow, Factor, UnitPrice
from pricing.facts import Facts, normalise
from pricing.rating import Rating, Status, rate_usage
from tests.pricing.books import tariff, vendored_book

NOON = "2026-11-10T12:00:00Z"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp())


def row(number: int = 1, *, rates: dict[str, str] | None = None, **conditions: Any) -> BookRow:
    stated = {"input": "3"} if rates is None else rates
    priced = {meter: UnitPrice(Decimal(amount), 1_000_000) for meter, amount in stated.items()}
    return BookRow(
        id=number, provider="acme", model=str(conditions.pop("model", "m")), rates=priced, **conditions
    )


def small(*rows: BookRow, factors: tuple[Factor, ...] = (), **facts: Any) -> Tariff:
    return Book.of(rows, factors).tariff(normalise(Facts("acme", "m")._replace(**facts)))


def rate(prices: Tariff, when: str = NOON, units: dict[str, str] | None = None, **counts: int) -> Rating:
    quantities = {name: Decimal(amount) for name, amount in (units or {}).items()}
    return rate_usage(prices, at=at(when), usage=Usage(**counts), units=quantities)


def cost(prices: Tariff, when: str = NOON, units: dict[str, str] | None = None, **counts: int) -> str:
    paid = rate(prices, when, units, **counts).cost
    return "unpriced" if paid is None else as_text(paid)


def test_cache_write_is_charged_once() -> None:
    usage = inclusive(Usage(input_tokens=7, cache_write_tokens=20_000, output_tokens=400))

    rating = rate_usage(tariff("anthropic", "claude-3-7-sonnet-20250219"), at=at(NOON), usage=usage)

    assert rating.cost == Decimal("0.081021")  # 7 x 3 + 20,000 x 3.75 + 400 x 15, per million


def test_input_that_leaves_out_cached_tokens_and_input_that_includes_them() -> None:
    assert partition(inclusive(Usage(input_tokens=5000, cache_read_tokens=3000)))[Meter.INPUT] == 5000
    assert partition(Usage(input_tokens=17_903, cache_read_tokens=17_817))[Meter.INPUT] == 86
    everything = Usage(input_tokens=130_213, cache_read_tokens=128_955, cache_write_tokens=1_253)
    assert partition(everything)[Meter.INPUT] == 5


@pytest.mark.parametrize(
    ("counts", "field"),
    [
        ({"input_tokens": 500, "cache_read_tokens": 900}, "input_tokens"),
        ({"output_tokens": 10, "reasoning_tokens": 11}, "output_tokens"),
        ({"input_tokens": 50, "cache_write_tokens": 5, "cache_write_1h_tokens": 6}, "cache_write_tokens"),
        ({"input_tokens": 50, "audio_input_tokens": 5, "audio_cached_tokens": 6}, "audio_input_tokens"),
        (
            {"input_tokens": 50, "cache_read_tokens": 5, "audio_input_tokens": 9, "audio_cached_tokens": 6},
            "cache_read_tokens",
        ),
        ({"input_tokens": 9, "cache_read_tokens": 5, "image_input_tokens": 5}, "input_tokens"),
    ],
)
def test_part_larger_than_its_total_is_refused_never_clamped(counts: dict[str, int], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        partition(Usage(**counts))

    assert [problem.field for problem in refused.value.problems] == [field]


@given(
    st.tuples(*[st.integers(0, 10**6)] * 10).map(
        lambda n: Usage(
            input_tokens=sum(n[:6]) + n[9],
            cache_read_tokens=n[1] + n[2],
            cache_write_tokens=n[3] + n[4],
            cache_write_1h_tokens=n[4],
            audio_input_tokens=n[2] + n[5],
            audio_cached_tokens=n[2],
            image_input_tokens=n[9],
            output_tokens=sum(n[6:9]),
            reasoning_tokens=n[7],
            audio_output_tokens=n[8],
        )
    )
)
def test_meters_are_disjoint_and_add_up_to_input_plus_output(usage: Usage) -> None:
    meters = partition(usage)

    assert sum(meters.values()) == usage.input_tokens + usage.output_tokens
    assert min(meters.values()) >= 0


def test_missing_cache_price_is_neither_full_price_nor_zero() -> None:
    rating = rate(small(row()), input_tokens=12_000, cache_read_tokens=10_000)

    assert rating.status is Status.PARTIALLY_PRICED
    assert rating.cost == Decimal("0.006")
    assert [(line.meter, line.cost) for line in rating.lines] == [
        ("input", Decimal("0.006")),
        ("cache_read", None),
    ]


def test_unknown_model_is_not_free() -> None:
    rating = rate(small(row(model="other")), input_tokens=100)

    assert (rating.status, rating.cost) == (Status.UNPRICED, None)


def test_call_whose_every_meter_lacks_a_price_is_unpriced() -> None:
    assert rate(small(row()), output_tokens=5).status is Status.UNPRICED


def test_call_that_used_nothing_costs_nothing() -> None:
    rating = rate(small(row()))

    assert (rating.status, rating.cost, rating.lines) == (Status.PRICED, Decimal(0), ())


def test_price_is_that_of_the_instant() -> None:
    cut = at("2026-03-01T00:00:00Z")
    prices = small(row(1, effective=(None, cut)), row(2, rates={"input": "2"}, effective=(cut, None)))

    assert cost(prices, "2026-03-01T00:00:00Z", input_tokens=1_000_000) == "2"
    assert cost(prices, "2026-02-28T23:59:59.999Z", input_tokens=1_000_000) == "3"
    before = tariff("openai", "o3")
    assert rate(before, "2025-06-09T23:59:59.999Z", input_tokens=1_000_000).cost == 10
    assert rate(before, "2025-06-10T00:00:00Z", input_tokens=1_000_000).cost == 2


def test_region_and_endpoint_have_their_own_prices() -> None:
    million: dict[str, Any] = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}

    def total(model: str, region: str) -> Decimal | None:
        return rate(tariff("aws", model, region=region), **million).cost

    assert total("anthropic.claude-sonnet-4-6", "us-east-1") == Decimal("19.8")
    assert total("global.anthropic.claude-sonnet-4-6", "us-east-1") == 18
    assert total("eu.anthropic.claude-sonnet-4-6", "eu-west-1") == Decimal("19.8")
    assert total("anthropic.claude-sonnet-4-6", "us-gov-west-1") is None


def test_unknown_region_never_takes_another_regions_price() -> None:
    us = Factor("acme", "m", "us", Decimal("1.1"))

    assert cost(small(row(), factors=(us,), region="us"), input_tokens=1_000_000) == "3.3"
    assert cost(small(row(), factors=(us,), region="global"), input_tokens=1_000_000) == "3"
    unknown = rate(small(row(), factors=(us,), region="mars"), input_tokens=1_000_000)
    assert (unknown.status, unknown.cost) == (Status.UNPRICED, None)
    assert "mars" in unknown.quote.reason


def test_provider_without_regional_prices_has_one_price_everywhere() -> None:
    assert cost(small(row(), region="mars"), input_tokens=1_000_000) == "3"


def test_factor_is_on_tokens_and_never_on_fees() -> None:
    fees = BookRow(
        id=2, provider="acme", model="*", fees=True, rates={"web_search_calls": UnitPrice(Decimal(10), 1000)},
        service_tier="", processing="", speed="",
    )  # fmt: skip
    prices = small(row(), fees, factors=(Factor("acme", "m", "us", Decimal("1.1")),), region="us")

    assert cost(prices, units={"web_search_calls": "2"}, input_tokens=1_000_000) == "3.32"


@pytest.mark.parametrize(
    "conditions",
    [{"service_tier": "flex"}, {"service_tier": "scale"}, {"processing": "batch"}, {"speed": "fast"}],
)
def test_other_conditions_are_never_priced_as_standard(conditions: dict[str, Any]) -> None:
    assert rate(small(row(), **conditions), input_tokens=10).status is Status.UNPRICED


def test_batch_above_the_context_limit_is_batch_at_the_long_rate() -> None:
    prices = tariff("openai", "gpt-5.4", processing="batch")

    assert rate(prices, input_tokens=272_001, output_tokens=1000).cost == Decimal("0.6912525")


@pytest.mark.parametrize(
    ("prompt", "whole", "marginal"),
    [(200_000, "0.6", "0.6"), (200_001, "1.200006", "0.600006"), (300_000, "1.8", "1.2")],
)
def test_mode_says_what_crossing_a_threshold_does(prompt: int, whole: str, marginal: str) -> None:
    base, long = row(1), row(2, rates={"input": "6"}, over=200_000)

    assert cost(small(base, long), input_tokens=prompt) == whole
    assert cost(small(base, replace(long, marginal=True)), input_tokens=prompt) == marginal


def test_marginal_brackets_are_filled_by_the_cached_beginning_first() -> None:
    rates = {"input": "3", "cache_read": "0.3", "output": "10"}
    long = {"input": "6", "cache_read": "0.6", "output": "99"}
    prices = small(row(1, rates=rates), row(2, rates=long, over=200_000, marginal=True))

    rating = rate(prices, input_tokens=300_000, cache_read_tokens=150_000, output_tokens=1000)

    # 150,000 read and 50,000 written below the threshold, 100,000 beyond it, output at the base rate.
    assert rating.cost == Decimal("0.045") + Decimal("0.15") + Decimal("0.6") + Decimal("0.01")


@pytest.mark.parametrize(
    ("provider", "model", "threshold", "at_threshold", "beyond"),
    [
        ("openai", "gpt-5.5", 272_000, "5", "10"),
        ("google", "gemini-2.5-pro", 200_000, "1.25", "2.5"),
        ("anthropic", "claude-sonnet-4-5", 200_000, "3", "6"),
        ("xai", "grok-4.7", 199_999, "2", "4"),  # xAI: 200,000 is long already
    ],
)
def test_threshold_is_where_each_provider_has_it(
    provider: str, model: str, threshold: int, at_threshold: str, beyond: str
) -> None:
    prices = tariff(provider, model)

    assert rate(prices, input_tokens=threshold).cost == threshold * Decimal(at_threshold) / 1_000_000
    assert rate(prices, input_tokens=threshold + 1).cost == (threshold + 1) * Decimal(beyond) / 1_000_000


def test_money_is_exact() -> None:
    prices = small(row(rates={"input": "37.5", "output": "0.1"}))

    assert rate(prices, input_tokens=1_000_000).cost == Decimal("37.5000000")
    assert cost(prices, output_tokens=3) == "0.0000003"


def test_least_charge_is_for_each_call() -> None:
    whisper = tariff("groq", "whisper-large-v3")

    assert rate(whisper, units={"audio_seconds": "600"}).cost == Decimal("0.0185")
    short = rate(whisper, units={"audio_seconds": "2"})
    assert short.cost == rate(whisper, units={"audio_seconds": "10"}).cost
    assert [(line.meter, line.quantity) for line in short.lines] == [("audio_seconds", Decimal(10))]


def test_daily_window_ends_before_its_last_instant() -> None:
    chat = tariff("deepseek", "deepseek-chat")

    def unit(when: str) -> Decimal:
        return (rate(chat, when, input_tokens=1_000_000).cost or Decimal(0)).normalize()

    assert unit("2025-07-15T16:29:59Z") == Decimal("0.27")
    assert unit("2025-07-15T16:30:00Z") == Decimal("0.135")
    assert unit("2025-07-16T00:29:59Z") == Decimal("0.135")
    assert unit("2025-07-16T00:30:00Z") == Decimal("0.27")


@pytest.mark.parametrize(
    ("when", "dear"),
    [
        ("2026-11-11T01:00:00Z", True),  # Wednesday
        ("2026-11-11T04:00:00Z", False),
        ("2026-11-11T06:00:00Z", True),
        ("2026-11-14T02:00:00Z", False),  # Saturday
        ("2026-10-06T02:00:00Z", False),  # Tuesday, National Day holidays
        ("2026-08-16T16:00:00Z", False),
        ("2026-08-17T01:00:00Z", True),
        ("2026-08-17T00:59:59Z", False),
    ],
)
def test_peak_hours_leave_out_weekends_and_holidays(when: str, dear: bool) -> None:
    paid = rate(tariff("deepseek", "deepseek-v4-pro"), when, input_tokens=1_000_000).cost

    assert paid == (Decimal("1.32") if dear else Decimal("0.66"))


def test_moving_alias_follows_its_model_from_the_day_it_moved() -> None:
    latest = tariff("mistral", "mistral-medium-latest")

    assert rate(latest, "2026-06-15T23:59:59Z", input_tokens=1_000_000).cost == Decimal("0.4")
    assert rate(latest, "2026-06-16T00:00:00Z", input_tokens=1_000_000).cost == Decimal("1.5")


def test_fine_tuned_model_never_takes_its_bases_price() -> None:
    assert rate(
        tariff("openai", "ft:gpt-4.1-mini-2025-04-14:acme::x"), input_tokens=1_000_000
    ).cost == Decimal("0.8")
    assert rate(tariff("openai", "ft:gpt-5-mini-2025-08-07:acme::x"), input_tokens=1).cost is None


@pytest.mark.parametrize(
    ("provider", "model", "same_as"),
    [
        ("openai", "gpt-4.1-2025-04-14", ("openai", "gpt-4.1")),
        ("openai", "gpt-5-mini-2025-08-07", ("openai", "gpt-5-mini")),
        ("anthropic", "claude-sonnet-4-20250514", ("anthropic", "claude-sonnet-4")),
        (
            "aws.bedrock",
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            ("aws", "anthropic.claude-haiku-4-5-20251001"),
        ),
        ("vertex_ai", "claude-sonnet-4-5@20250929", ("google-vertex", "claude-sonnet-4-5")),
        ("gcp.gemini", "models/gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        ("OpenAI", "GPT-5", ("openai", "gpt-5")),
    ],
)
def test_other_names_lead_to_the_same_price(provider: str, model: str, same_as: tuple[str, str]) -> None:
    quote = tariff(provider, model).quote(at(NOON), 100)

    assert quote.row is not None
    assert quote.row == tariff(*same_as).quote(at(NOON), 100).row


def test_snapshot_with_a_price_of_its_own_keeps_it() -> None:
    assert rate(tariff("openai", "gpt-4o-2024-05-13"), input_tokens=1_000_000).cost == 5


def test_model_at_another_host_is_priced_by_the_host() -> None:
    bedrock = tariff("anthropic", "anthropic.claude-sonnet-4-6", host="bedrock")

    assert rate(bedrock, input_tokens=1_000_000).cost == Decimal("3.3")
    assert rate(tariff("anthropic", "claude-sonnet-4-6", host="bedrock"), input_tokens=1).cost is None


def test_book_covers_every_model_that_it_must() -> None:
    with (Path(__file__).parent / "models.csv").open(newline="") as lines:
        wanted = [
            (line["provider"], line["model"], line[end])
            for line in csv.DictReader(lines)
            for end in ("first", "last")
        ]

    def is_priced(provider: str, model: str, day: str) -> bool:
        prices = vendored_book().tariff(normalise(Facts(provider, model)))
        return prices.quote(at(f"{day}T12:00:00Z"), 1).row is not None

    assert [pair for pair in wanted if not is_priced(*pair)] == []
