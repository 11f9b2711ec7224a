"""What holds for every call of the worked examples' kinds, whatever it used."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from django.db import connection
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from finops.core.meters import Meter, Usage, partition
from finops.core.money import EXACT
from pricing.book import Tariff
from pricing.catalogue import published_book
from pricing.facts import Facts, normalise
from pricing.rating import Rating, Status, rate_usage
from pricing.slots import SlotBook
from tests import price_list
from tests.pricing.books import vendored_book

_FACTS = ("provider", "model", "host", "region", "service_tier", "processing", "speed")
_LINES = (Path(__file__).parent / "rules.jsonl").read_text().splitlines()
KINDS = sorted({Facts(*(json.loads(line).get(name, "") for name in _FACTS)) for line in _LINES})
# Its unit price has no end: a sum of rounded ones is not the rounded sum.
FINITE = [facts for facts in KINDS if facts.provider != "groq" or "whisper" not in facts.model]
FIRST, LAST = (int(datetime(year, 3, 1, tzinfo=UTC).timestamp()) for year in (2025, 2027))
UNITS = ("web_search_calls", "characters", "citation_tokens", "container_sessions_1gb_20min")

counts = st.one_of(st.just(0), st.integers(1, 150_000))
instants = st.integers(FIRST, LAST)


def usage_from(parts: dict[Meter, int]) -> Usage:
    """The call that used these meters."""
    of = {meter: parts.get(meter, 0) for meter in Meter}
    read = of[Meter.CACHE_READ] + of[Meter.AUDIO_CACHED] + of[Meter.IMAGE_CACHED]
    written = of[Meter.CACHE_WRITE] + of[Meter.CACHE_WRITE_1H]
    plain = of[Meter.INPUT] + of[Meter.AUDIO_INPUT] + of[Meter.IMAGE_INPUT]
    made = (Meter.OUTPUT, Meter.REASONING, Meter.AUDIO_OUTPUT, Meter.IMAGE_OUTPUT)
    return Usage(
        input_tokens=plain + read + written,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=of[Meter.CACHE_WRITE_1H],
        output_tokens=sum(of[meter] for meter in made),
        reasoning_tokens=of[Meter.REASONING],
        audio_input_tokens=of[Meter.AUDIO_INPUT] + of[Meter.AUDIO_CACHED],
        audio_cached_tokens=of[Meter.AUDIO_CACHED],
        audio_output_tokens=of[Meter.AUDIO_OUTPUT],
        image_input_tokens=of[Meter.IMAGE_INPUT] + of[Meter.IMAGE_CACHED],
        image_cached_tokens=of[Meter.IMAGE_CACHED],
        image_output_tokens=of[Meter.IMAGE_OUTPUT],
    )


meters = st.dictionaries(st.sampled_from(list(Meter)), counts, max_size=6)
units = st.dictionaries(st.sampled_from(UNITS), st.integers(0, 9).map(lambda n: Decimal(n) / 4), max_size=2)


def tariff(facts: Facts) -> Tariff:
    return vendored_book().tariff(normalise(facts))


def paid(rating: Rating) -> Decimal:
    return rating.cost or Decimal(0)


@given(meters)
def test_meters_partition_the_usage(parts: dict[Meter, int]) -> None:
    usage = usage_from(parts)

    assert partition(usage) == {meter: parts.get(meter, 0) for meter in Meter}
    assert sum(partition(usage).values()) == usage.input_tokens + usage.output_tokens


@settings(max_examples=300)
@given(st.sampled_from(KINDS), instants, meters, st.sampled_from(list(Meter)), st.integers(1, 10_000))
def test_more_of_any_meter_never_costs_less(
    facts: Facts, at: int, parts: dict[Meter, int], meter: Meter, more: int
) -> None:
    prices = tariff(facts)
    less, greater = usage_from(parts), usage_from({**parts, meter: parts.get(meter, 0) + more})
    one, other = (rate_usage(prices, at=at, usage=usage) for usage in (less, greater))
    assume(one.quote.signature == other.quote.signature)

    assert paid(other) >= paid(one)
    priced = other.quote.meters.get(meter.label)
    if priced is not None and priced.unit_price.amount:
        assert paid(other) > paid(one)


@settings(max_examples=200)
@given(st.sampled_from(KINDS), instants, st.sampled_from(UNITS), st.integers(1, 40), st.integers(1, 40))
def test_more_of_any_unit_never_costs_less(facts: Facts, at: int, name: str, few: int, more: int) -> None:
    prices, nothing = tariff(facts), Usage()
    one, other = (
        paid(rate_usage(prices, at=at, usage=nothing, units={name: Decimal(count) / 8}))
        for count in (few, few + more)
    )

    assert other >= one


@settings(max_examples=300)
@given(st.sampled_from(FINITE), instants, meters, units)
def test_a_call_costs_what_its_meters_cost_one_by_one(
    facts: Facts, at: int, parts: dict[Meter, int], used: dict[str, Decimal]
) -> None:
    prices, usage = tariff(facts), usage_from(parts)
    whole = rate_usage(prices, at=at, usage=usage, units=used)
    prompt = usage.input_tokens
    alone = [
        rate_usage(prices, at=at, usage=usage_from({meter: count}), prompt_tokens=prompt)
        for meter, count in parts.items()
    ]
    alone += [
        rate_usage(prices, at=at, usage=Usage(), units={name: count}, prompt_tokens=prompt)
        for name, count in used.items()
    ]

    with localcontext(EXACT):
        assert paid(whole) == sum(map(paid, alone), Decimal(0))
        assert paid(whole) == sum((line.cost or Decimal(0) for line in whole.lines), Decimal(0))
        assert whole.saving == sum((rating.saving for rating in alone), Decimal(0))
    assert {line.meter for line in whole.lines} == {line.meter for rating in alone for line in rating.lines}


@settings(max_examples=300)
@given(st.sampled_from(FINITE), instants, meters, st.data())
def test_a_call_told_in_two_parts_costs_the_same(
    facts: Facts, at: int, parts: dict[Meter, int], data: st.DataObject
) -> None:
    prices, usage = tariff(facts), usage_from(parts)
    first = {meter: data.draw(st.integers(0, count)) for meter, count in parts.items()}
    rest = {meter: count - first[meter] for meter, count in parts.items()}

    whole, one, other = (
        paid(rate_usage(prices, at=at, usage=each, prompt_tokens=usage.input_tokens))
        for each in (usage, usage_from(first), usage_from(rest))
    )

    with localcontext(EXACT):
        assert whole == one + other


@settings(max_examples=200)
@given(st.sampled_from(KINDS), instants, meters)
def test_an_answer_out_of_the_own_cache_is_free_and_saves_all(
    facts: Facts, at: int, parts: dict[Meter, int]
) -> None:
    usage = usage_from(parts)
    served = rate_usage(tariff(facts), at=at, usage=usage)
    cached = rate_usage(tariff(facts._replace(from_response_cache=True)), at=at, usage=usage)

    assert cached.status is served.status
    assert paid(cached) == 0
    assert cached.saving == paid(served)


BULK_SQL = """
    SELECT u.call, sum(u.quantity * r.list_price), count(r.list_price) = count(*)
    FROM unnest(%s::int[], %s::int[], %s::smallint[], %s::numeric[]) u (call, slot_id, meter_id, quantity)
    LEFT JOIN slot_rate r USING (slot_id, meter_id) WHERE r.known_to IS NULL GROUP BY u.call
"""


@pytest.fixture
def book(db: None) -> SlotBook:
    price_list.load()
    return SlotBook()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(FINITE), instants, meters.filter(lambda parts: any(parts.values())), units),
        min_size=1,
        max_size=20,
    )
)
def test_in_bulk_one_by_one_and_in_sql_are_the_same_to_the_last_digit(
    book: SlotBook, calls: list[tuple[Facts, int, dict[Meter, int], dict[str, Decimal]]]
) -> None:
    usages = [usage_from(parts) for _, _, parts, _ in calls]
    times = np.array([at * 1_000_000 for _, at, _, _ in calls], dtype=np.int64)
    prompts = np.array([usage.input_tokens for usage in usages], dtype=np.int64)
    slots = book.resolve([facts for facts, *_ in calls], times, prompts)
    singly = [
        int(book.resolve([facts], times[place : place + 1], prompts[place : place + 1])[0])
        for place, (facts, *_) in enumerate(calls)
    ]
    numbers = book.unit_meter_ids(UNITS)
    rows = [
        (place, int(slots[place]), int(meter), Decimal(count))
        for place, (_, _, parts, _) in enumerate(calls)
        for meter, count in parts.items()
        if count
    ]
    rows += [
        (place, int(slots[place]), numbers[name], book.charged(int(slots[place]), name, count))
        for place, (*_, used) in enumerate(calls)
        for name, count in used.items()
        if count
    ]
    with connection.cursor() as cursor:
        cursor.execute(BULK_SQL, [list(column) for column in zip(*rows, strict=True)])
        in_sql = {place: (cost, whole) for place, cost, whole in cursor.fetchall()}
    published = published_book()

    assert slots.tolist() == singly
    for place, (facts, at, _, used) in enumerate(calls):
        rating = rate_usage(published.tariff(normalise(facts)), at=at, usage=usages[place], units=used)
        cost, whole = in_sql[place]
        assert cost == rating.cost
        assert whole is (rating.status is Status.PRICED)
