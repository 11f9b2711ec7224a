"""How figures read: tables of cases."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.ui import formats
from finops.ui.formats import Change, Currency

USD = Currency("USD")


@pytest.mark.parametrize(
    ("amount", "table", "tile", "detail"),
    [
        ("48213.004", "$48,213.00", "$48,213", "$48,213.00"),
        ("21480.125", "$21,480.13", "$21,480", "$21,480.13"),
        ("999.994", "$999.99", "$999.99", "$999.99"),
        ("999.995", "$1,000.00", "$1,000", "$1,000.00"),
        ("1000", "$1,000.00", "$1,000", "$1,000.00"),
        ("0", "$0.00", "$0.00", "$0.00"),
        ("0.0042", "<$0.01", "<$0.01", "$0.0042"),
        ("0.00000123456", "<$0.01", "<$0.01", "$0.0000012"),
        ("0.005", "$0.01", "$0.01", "$0.0050"),
        ("-744.6", "\u2212$744.60", "\u2212$744.60", "\u2212$744.60"),
        ("-0.001", ">\u2212$0.01", ">\u2212$0.01", "\u2212$0.0010"),
    ],
)
def test_money_reads_by_place(amount: str, table: str, tile: str, detail: str) -> None:
    value = Decimal(amount)

    read = (formats.money(value, USD), formats.tile_money(value, USD), formats.detail_money(value, USD))

    assert read == (table, tile, detail)


@pytest.mark.parametrize(
    ("code", "text"),
    [("EUR", "€1,234.50"), ("JPY", "¥1,235"), ("KWD", "KWD\u00a01,234.500"), ("SEK", "SEK\u00a01,234.50")],
)
def test_money_has_its_currencys_symbol_and_minor_unit(code: str, text: str) -> None:
    assert formats.money(Decimal("1234.5"), Currency(code)) == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("2.31", "$2.31"),
        ("2.3149", "$2.3149"),
        ("15", "$15.00"),
        ("0.075", "$0.075"),
        ("0.5", "$0.50"),
        ("0.00006", "$0.000060"),
        ("812.3456", "$812.35"),
        ("0", "$0.00"),
    ],
)
def test_unit_prices_have_two_to_four_decimals(price: str, text: str) -> None:
    assert formats.unit_price(Decimal(price), USD) == text


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1k"),
        (1_234, "1.23k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (7_900_000_000, "7.9B"),
        (20_949_000_000, "20.9B"),
        (1_500_000_000_000, "1.5T"),
        (-1_234, "\u22121.23k"),
    ],
)
def test_tokens_have_three_significant_digits(quantity: int, text: str) -> None:
    assert formats.tokens(quantity) == text


@pytest.mark.parametrize(
    ("before", "now", "tile", "table", "notable"),
    [
        ("42109", "48213", "▲ $6,104 (+14.5%)", "+$6,104.00", True),
        ("100", "40", "▼ $60.00 (\u221260.0%)", "\u2212$60.00", True),
        ("0", "5", "new", "+$5.00", False),
        ("0", "500", "new", "+$500.00", True),
        ("10000", "10100", "▲ $100.00 (+1.0%)", "+$100.00", False),
        ("10", "59", "▲ $49.00 (+490.0%)", "+$49.00", False),
        ("7", "7", "no change", "$0.00", False),
        ("0", "0", "no change", "$0.00", False),
        ("500", "0", "▼ $500.00 (\u2212100.0%)", "\u2212$500.00", True),
    ],
)
def test_changes_tell_their_sign_and_are_coloured_when_notable(
    before: str, now: str, tile: str, table: str, notable: bool
) -> None:
    change = Change(Decimal(before), Decimal(now))

    read = (formats.change_in_tile(change, USD), formats.change_in_table(change, USD), change.is_notable())

    assert read == (tile, table, notable)


def test_shares_of_thirds_add_up_to_a_hundred() -> None:
    thirds = formats.shares({name: Decimal(1) for name in "abc"})

    assert thirds == {"a": Decimal("33.4"), "b": Decimal("33.3"), "c": Decimal("33.3")}


def test_shares_are_not_told_where_they_mean_nothing() -> None:
    assert formats.shares({"a": Decimal(0)}) == {}
    assert formats.shares({"a": Decimal(3), "b": Decimal(-1)}) == {}


@given(st.lists(st.decimals(min_value=0, max_value=10**9, places=8), min_size=1, max_size=40))
def test_shares_sum_to_a_hundred_and_stay_close(amounts: list[Decimal]) -> None:
    named = dict(enumerate(amounts))
    total = sum(amounts)

    found = formats.shares(named)

    if total:
        assert sum(found.values()) == 100
        assert all(abs(found[key] - named[key] * 100 / total) < Decimal("0.1000001") for key in named)


@pytest.mark.parametrize(
    ("first", "end", "text"),
    [
        (date(2026, 10, 1), date(2026, 11, 1), "October 2026"),
        (date(2026, 10, 1), date(2026, 10, 22), "1\u201321 Oct 2026"),
        (date(2026, 9, 30), date(2026, 10, 3), "30 Sep \u2013 2 Oct 2026"),
        (date(2025, 12, 30), date(2026, 1, 2), "30 Dec 2025 \u2013 1 Jan 2026"),
        (date(2026, 10, 5), date(2026, 10, 6), "5 Oct 2026"),
        (date(2026, 7, 1), date(2026, 10, 1), "1 Jul \u2013 30 Sep 2026"),
    ],
)
def test_days_read_as_people_write_them(first: date, end: date, text: str) -> None:
    assert formats.days(first, end) == text


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [("gpt-4o", 10, "gpt-4o"), ("claude-sonnet-4-5-20250929", 15, "claude-…0250929")],
)
def test_long_names_are_shortened_in_the_middle(text: str, length: int, shown: str) -> None:
    assert formats.middle(text, length) == shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (500_000, "6 days")]
)
def test_spans_read_in_their_largest_unit(seconds: int, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(340, "340 ms"), (1240, "1.24 s"), (75_000, "75 s"), (150_000, "150 s")]
)
def test_latencies_read_in_milliseconds_or_seconds(value: int, text: str) -> None:
    assert formats.milliseconds(value) == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("2.4019", "$2.40"),
        ("0.42071", "$0.4207"),
        ("0.5", "$0.5000"),
        ("0", "$0.0000"),
        ("0.00004", "$0.000040"),
    ],
)
def test_computed_unit_prices_line_up_in_a_column(price: str, text: str) -> None:
    assert formats.average_price(Decimal(price), USD) == text
