"""Two prices between which nothing decides are refused before anything is priced by them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.core.errors import InvalidInput
from pricing.ambiguity import clashes
from pricing.book import Book
from pricing.entries import Alias, BookRow, Factor, UnitPrice
from pricing.models import BookVersion, Price
from pricing.patterns import matches, overlap
from pricing.schedules import Schedule
from tests import price_list
from tests.pricing.books import vendored_book
from tests.pricing.test_publishing import price, put


def row(number: int, model: str = "m", *, rates: dict[str, str] | None = None, **conditions: Any) -> BookRow:
    stated = rates or {"input": str(number)}
    return BookRow(
        id=number,
        provider="acme",
        model=model,
        rates={name: UnitPrice(Decimal(amount), 1) for name, amount in stated.items()},
        **conditions,
    )


def hours(start: str, end: str, *days: int) -> Schedule:
    chosen = {"days": list(days)} if days else {}
    return Schedule.parse({"name": f"{start} to {end}", "windows": [[start, end]], **chosen})


CLASHING = {
    "the same model twice": (row(1), row(2)),
    "in another spelling": (row(1, "Model"), row(2, "model")),
    "patterns that meet in a name": (row(1, "gpt-5*"), row(2, "*gpt-5")),
    "regions that meet in a name": (row(1, region="eu-*"), row(2, region="*-eu")),
    "intervals that overlap": (row(1, effective=(None, 20)), row(2, effective=(19, None))),
    "the same threshold": (row(1, over=200), row(2, over=200)),
    "hours that overlap": (
        row(1, schedule=hours("01:00", "03:00")),
        row(2, schedule=hours("02:00", "04:00")),
    ),
    "one fee at two prices": (row(1, fees=True), row(2, fees=True)),
}


@pytest.mark.parametrize("rows", CLASHING.values(), ids=CLASHING)
def test_equally_specific_rows_clash_and_both_are_named(rows: tuple[BookRow, BookRow]) -> None:
    ((one, other),) = clashes(Book.of(rows))

    assert one.startswith("price 1, acme/")
    assert other.startswith("price 2, acme/")


DECIDED = {
    "a name beats a pattern": (row(1, "gpt-5"), row(2, "gpt-5*")),
    "a longer pattern beats a shorter": (row(1, "gpt-5*"), row(2, "gpt*")),
    "a region beats none": (row(1, region="eu"), row(2)),
    "a host beats none": (row(1, host="azure"), row(2)),
    "patterns without a common name": (row(1, "gpt-5*"), row(2, "gpt-6*")),
    "other conditions": (row(1, service_tier="flex"), row(2)),
    "another threshold": (row(1, over=200), row(2)),
    "one after the other": (row(1, effective=(None, 20)), row(2, effective=(20, None))),
    "hours beat none": (row(1, schedule=hours("01:00", "03:00")), row(2)),
    "hours side by side": (
        row(1, schedule=hours("01:00", "03:00")),
        row(2, schedule=hours("03:00", "04:00")),
    ),
    "other weekdays": (
        row(1, schedule=hours("01:00", "03:00", 0)),
        row(2, schedule=hours("01:00", "03:00", 1)),
    ),
    "fees of different units": (row(1, fees=True, rates={"a": "1"}), row(2, fees=True, rates={"b": "1"})),
}


@pytest.mark.parametrize("rows", DECIDED.values(), ids=DECIDED)
def test_where_something_decides_there_is_no_clash(rows: tuple[BookRow, BookRow]) -> None:
    assert list(clashes(Book.of(rows))) == []


def test_factors_and_aliases_clash_only_where_they_differ() -> None:
    us = [Factor("acme", "m", "us", Decimal(factor)) for factor in ("1.1", "1.2")]
    to = [Alias("acme", "", "latest", "acme", target) for target in ("m1", "m2")]

    assert len(list(clashes(Book.of([], us, to)))) == 2
    assert list(clashes(Book.of([], [us[0], us[0]], [to[0], to[0]]))) == []


def test_list_prices_are_unambiguous() -> None:
    assert list(clashes(vendored_book())) == []


names = st.text("ab", max_size=5)
patterns = st.text("ab?*", max_size=5)


@given(patterns, patterns, names)
def test_patterns_that_one_name_fits_overlap(one: str, other: str, name: str) -> None:
    if matches(one, name) and matches(other, name):
        assert overlap(one, other)


@given(patterns, names)
def test_a_pattern_overlaps_a_name_that_it_fits_and_no_other(pattern: str, name: str) -> None:
    assert overlap(pattern, name) is overlap(name, pattern) is matches(pattern, name)


@pytest.mark.django_db
def test_publishing_refuses_what_is_ambiguous_within_a_list() -> None:
    june, july = (datetime(2026, month, 1, tzinfo=UTC) for month in (6, 7))

    with pytest.raises(InvalidInput) as refused:
        put(
            price("m", "1", effective_from=june),
            price("m", "2", effective_from=july),
            price("fine", "3"),
            digest="a",
        )

    (problem,) = refused.value.problems
    assert problem.code == "ambiguous"
    assert "from 2026-06-01T00:00:00Z to further notice" in problem.message
    assert "from 2026-07-01T00:00:00Z to further notice" in problem.message
    assert not Price.objects.exists()
    assert not BookVersion.objects.exists()


@pytest.mark.django_db
def test_publishing_refuses_what_is_ambiguous_beside_another_list() -> None:
    price_list.load()
    rival, rates = price("gpt-4o", "1")
    rival.provider = "openai"

    with pytest.raises(InvalidInput, match=r"Nothing decides between .*openai/gpt-4o.*openai/gpt-4o"):
        put((rival, rates), digest="a")
