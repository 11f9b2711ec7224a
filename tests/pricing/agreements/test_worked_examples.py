"""What agreements make of single calls, worked out by hand from list prices of the vendored book."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from pricing.agreements import FALLS_BACK
from pricing.ambiguity import clashes
from pricing.book import Book
from pricing.entries import BookRow, UnitPrice
from pricing.rating import Rating, Status
from tests.pricing.agreements.terms import NOON, book_with, rated

Json = dict[str, Any]  # Any: JSON
OPENAI: Json = {"provider": "openai", "percent_off": "10"}
# 30,000 x 2.5 + 10,000 x 0.25 + 1,000 x 15 = 92,500 millionths, in dollars a million tokens.
CALL: Json = {"input": 40_000, "cache_read": 10_000, "output": 1_000}
LIST = Decimal("0.0925")


def both(rating: Rating) -> tuple[Decimal | None, Decimal | None]:
    return rating.cost, rating.contracted_cost


def by_meter(rating: Rating) -> Mapping[str, int | None]:
    return {line.meter: line.agreed.id if line.agreed else None for line in rating.lines}


def contracted(*bodies: Json, **told: Any) -> Decimal | None:
    rating = rated(book_with(*bodies), "openai/gpt-5.4", **{**CALL, **told})
    assert rating.cost == LIST
    return rating.contracted_cost


def test_list_costs_are_as_expected_and_contracted_costs_the_same_without_an_agreement() -> None:
    assert both(rated(book_with(), "openai/gpt-5.4", **CALL)) == (LIST, LIST)


@pytest.mark.parametrize(
    ("bodies", "cost"),
    [
        ([OPENAI], "0.08325"),
        ([{**OPENAI, "percent_off": "0"}], "0.0925"),
        ([{**OPENAI, "percent_off": "100"}], "0"),
        ([{**OPENAI, "provider": "anthropic"}], "0.0925"),
        ([{**OPENAI, "model": "gpt-5*"}], "0.08325"),
        ([{**OPENAI, "model": "gpt-4*"}], "0.0925"),
        # Only what was written into the prompt, and what came out: 30,000 x 2.5 x 0.9 + the rest.
        ([{**OPENAI, "meters": ["input"]}], "0.085"),
        # The more specific name, not the larger percentage; never both.
        ([{**OPENAI, "percent_off": "30"}, {**OPENAI, "model": "gpt-5.4"}], "0.08325"),
        # Each meter by itself: 30,000 x 2 + 10,000 x 0.25 x 0.9 + 1,000 x 15 x 0.9.
        (
            [
                {**OPENAI, "model": "gpt-5.4"},
                {"provider": "openai", "rates": [{"meter": "input", "unit_price": "2"}]},
            ],
            "0.07575",
        ),
        # A fixed rate comes first, also where it is the dearer.
        (
            [
                {**OPENAI, "percent_off": "50"},
                {"provider": "openai", "rates": [{"meter": "input", "unit_price": "3"}]},
            ],
            "0.09875",
        ),
        ([{**OPENAI, "percent_off": "33.333333"}], "0.06166666697500"),
    ],
)
def test_call_costs_what_the_agreements_make_of_it(bodies: list[Json], cost: str) -> None:
    assert contracted(*bodies) == Decimal(cost)


def test_account_host_tier_and_processing_have_to_be_those_agreed() -> None:
    agreed = {**OPENAI, "account": "org-Main"}
    assert contracted(agreed, account="org-Main") == Decimal("0.08325")
    assert contracted(agreed, account="org-other") == LIST
    assert contracted(agreed) == LIST
    # An agreement for one account comes before one for all.
    assert contracted(agreed, {**OPENAI, "percent_off": "20"}, account="org-Main") == Decimal("0.08325")
    assert contracted(agreed, {**OPENAI, "percent_off": "20"}) == Decimal("0.074")

    batch = book_with({**OPENAI, "service_tier": "batch", "percent_off": "20"})
    assert both(rated(batch, "openai/gpt-5.4", **CALL)) == (LIST, LIST)
    # 30,000 x 1.25 + 10,000 x 0.13 + 1,000 x 7.5, less a fifth.
    assert both(rated(batch, "openai/gpt-5.4", processing="batch", **CALL)) == (
        Decimal("0.0463"),
        Decimal("0.03704"),
    )


def test_it_holds_from_its_first_instant_to_the_one_before_its_end() -> None:
    book = book_with(
        {**OPENAI, "effective_from": "2026-11-10T12:00:00Z", "effective_to": "2026-11-10T13:00:00Z"}
    )
    costs = [
        rated(book, "openai/gpt-5.4", at=NOON + second, **CALL).contracted_cost
        for second in (-1, 0, 3_599, 3_600)
    ]
    assert costs == [LIST, Decimal("0.08325"), Decimal("0.08325"), LIST]


def test_fees_are_left_alone_unless_included_or_listed() -> None:
    def fee(**fields: Any) -> Decimal | None:
        rating = rated(
            book_with({**OPENAI, **fields}), "openai/gpt-4.1-mini", input=1_000,
            units={"web_search_calls": Decimal(2)},
        )  # fmt: skip
        assert rating.cost == Decimal("0.0204")
        return rating.contracted_cost

    # 1,000 x 0.4 / M and two searches at 10 / 1,000.
    assert fee() == Decimal("0.02036")
    assert fee(includes_fees=True) == Decimal("0.01836")
    assert fee(meters=["web_search_calls"]) == Decimal("0.0184")
    fixed = {"rates": [{"meter": "web_search_calls", "unit_price": "5", "per": 1000}], "percent_off": None}
    assert fee(**fixed) == Decimal("0.0104")


def test_percentage_is_taken_after_the_regional_factor_and_a_fixed_rate_has_it_in() -> None:
    call: Json = {"input": 1_000, "output": 100, "region": "us"}
    # (1,000 x 3 + 100 x 15) / M x 1.1, less a fifth.
    percent = book_with({"provider": "anthropic", "percent_off": "20"})
    assert both(rated(percent, "anthropic/claude-sonnet-4-6", **call)) == (
        Decimal("0.00495"),
        Decimal("0.00396"),
    )
    rates = [{"meter": "input", "unit_price": "2"}]
    fixed = book_with({"provider": "anthropic", "region": "u?", "rates": rates})
    # 1,000 x 2 / M as it is; output at the list's 15 x 1.1.
    assert both(rated(fixed, "anthropic/claude-sonnet-4-6", **call))[1] == Decimal("0.00365")
    assert rated(fixed, "anthropic/claude-sonnet-4-6", input=1_000).contracted_cost == Decimal("0.003")


def test_hit_of_the_response_cache_costs_nothing_and_saves_what_it_would_have_cost_us() -> None:
    rating = rated(book_with(OPENAI), "openai/gpt-5.4", from_response_cache=True, **CALL)
    assert [rating.cost, rating.contracted_cost, rating.saving] == [0, 0, Decimal("0.08325")]
    # Reading from the provider's cache: 10,000 x (2.5 - 0.25) / M, less a tenth.
    assert rated(book_with(OPENAI), "openai/gpt-5.4", **CALL).saving == Decimal("0.02025")


def test_reasoning_follows_output_where_the_list_charges_it_so_and_not_where_it_has_a_price() -> None:
    assert FALLS_BACK == {"reasoning": "output"}
    book = book_with(
        {"provider": "openai", "rates": [{"meter": "output", "unit_price": "12"}]},
        {"provider": "perplexity", "meters": ["output"], "percent_off": "50"},
    )
    told: Json = {"output": 1_000, "reasoning": 400}
    assert by_meter(rated(book, "openai/gpt-5.4", **told)) == {"output": 1, "reasoning": 1}
    assert rated(book, "openai/gpt-5.4", **told).contracted_cost == Decimal("0.012")
    assert by_meter(rated(book, "perplexity/sonar-deep-research", at=NOON - 10_000_000, **told)) == {
        "output": 2,
        "reasoning": None,
    }


def test_each_bracket_of_marginal_prices_is_discounted() -> None:
    rates = [{"input": UnitPrice(Decimal(price), 1_000_000)} for price in ("2", "4")]
    rows = [
        BookRow(id=number, provider="acme", model="m", rates=rate, over=over, marginal=True)
        for number, (rate, over) in enumerate(zip(rates, (0, 1_000), strict=True), start=1)
    ]
    book = book_with({"provider": "acme", "percent_off": "25"}, book=Book.of(rows))
    # 1,000 x 2 + 500 x 4, less a quarter.
    assert both(rated(book, "acme/m", input=1_500)) == (Decimal("0.004"), Decimal("0.003"))


def test_what_only_a_fixed_rate_prices_is_priced_and_an_unknown_model_stays_unpriced() -> None:
    rates = [{"meter": "cache_read", "unit_price": "1.5"}]
    book = book_with({"provider": "openai", "rates": rates})
    plain = rated(book_with(), "openai/gpt-5-pro", input=10_000, cache_read=6_000)
    assert (plain.status, plain.cost) == (Status.PARTIALLY_PRICED, Decimal("0.06"))
    # 4,000 x 15 + 6,000 x 1.5: no list price of it is known, so both are the rate's.
    agreed = rated(book, "openai/gpt-5-pro", input=10_000, cache_read=6_000)
    assert (agreed.status, *both(agreed)) == (Status.PRICED, Decimal("0.069"), Decimal("0.069"))
    assert both(rated(book, "openai/nothing-known", input=6_000, cache_read=6_000)) == (None, None)


def test_it_holds_for_every_name_on_the_way_to_the_price_and_for_the_host_that_bills() -> None:
    def off(name: str, body: Json, **facts: Any) -> bool:
        rating = rated(book_with({"percent_off": "10", **body}), name, input=1_000_000, **facts)
        assert rating.cost
        return rating.contracted_cost == rating.cost * Decimal("0.9")

    # As called, as another spelling of the provider stands for, and a dated snapshot's model.
    assert off("azure_openai/gpt-5", {"provider": "azure_openai"})
    assert off("azure_openai/gpt-5", {"provider": "azure", "model": "gpt-5"})
    assert off("openai/gpt-5-2025-08-07", {"provider": "openai", "model": "gpt-5"})
    assert off("openai/gpt-5-2025-08-07", {"provider": "openai", "model": "gpt-5-2025-08-07"})
    # What Azure bills is no usage of OpenAI, unless the agreement says that host.
    assert off("openai/gpt-5", {"provider": "openai"})
    assert not off("openai/gpt-5", {"provider": "openai"}, host="azure")
    assert off("openai/gpt-5", {"provider": "azure"}, host="azure")
    assert off("openai/gpt-5", {"provider": "openai", "host": "azure"}, host="azure")
    # Alike in all else, the name that was called comes before what it stands for.
    two = [{"provider": "openai", "model": name} for name in ("gpt-5", "gpt-5-2025-08-07")]
    book = book_with(*({**body, "percent_off": "10"} for body in two))
    assert by_meter(rated(book, "openai/gpt-5-2025-08-07", input=1)) == {"input": 2}


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ({}, {}, True),
        ({}, {"percent_off": "12"}, True),
        ({}, {"model": "gpt-5*"}, False),
        ({"model": "gpt-5*"}, {"model": "*pt-5."}, True),
        ({}, {"account": "a"}, False),
        ({"account": "a"}, {"account": "b"}, False),
        ({"processing": "batch"}, {"processing": "sync"}, False),
        ({"processing": "batch"}, {"service_tier": "flex"}, True),
        ({"meters": ["input"]}, {"meters": ["output"]}, False),
        ({"meters": ["input"]}, {"meters": ["input", "output"]}, True),
        ({"region": "eu"}, {"region": "us"}, False),
        ({"effective_to": "2026-07-01T00:00:00Z"}, {"effective_from": "2026-07-01T00:00:00Z"}, False),
        ({"effective_to": "2026-07-01T00:00:01Z"}, {"effective_from": "2026-07-01T00:00:00Z"}, True),
        ({}, {"rates": [{"meter": "input", "unit_price": "1"}], "percent_off": None}, False),
    ],
)
def test_two_between_which_nothing_decides_are_found(one: Json, other: Json, clash: bool) -> None:
    found = list(clashes(book_with({**OPENAI, **one}, {**OPENAI, **other}, book=Book.of([]))))
    assert [("agreement 1" in first, "agreement 2" in second) for first, second in found] == (
        [(True, True)] if clash else []
    )
