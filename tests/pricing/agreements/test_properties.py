"""What holds for every agreement, whichever calls it prices."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from finops.core.meters import Meter
from finops.core.money import EXACT
from pricing.agreements import Agreed
from pricing.facts import Facts, normalise
from pricing.grid import Grid
from pricing.history import History, Known
from pricing.rating import Status, rate_usage
from pricing.slot_rates import meter_prices
from tests.pricing.agreements.terms import agreed
from tests.pricing.books import vendored_book
from tests.pricing.test_properties import FINITE, instants, meters, units, usage_from

METERS = [meter.label for meter in Meter] + ["web_search_calls", "characters"]
rates = st.lists(
    st.fixed_dictionaries(
        {
            "meter": st.sampled_from(METERS),
            "unit_price": st.decimals("0", "40", places=4).map(str),
            "per": st.sampled_from([1_000, 1_000_000]),
        }
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda rate: rate["meter"],
).map(lambda listed: {"rates": listed})
percents = st.decimals("0", "100", places=4).map(lambda percent: {"percent_off": str(percent)})


def about(facts: Facts, terms: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[Agreed]]:
    """Up to three agreements with the provider that the facts are priced by."""
    provider = vendored_book().tariff(facts).names[0][0]
    fields = st.fixed_dictionaries(
        {
            "provider": st.just(provider),
            "model": st.sampled_from(["*", "*-*", facts.model]),
            "account": st.sampled_from(["", "a"]),
            "meters": st.just([]),
            "includes_fees": st.booleans(),
        }
    )
    bodies = st.lists(st.tuples(fields, terms), max_size=3)
    return bodies.map(lambda listed: [agreed({**a, **b}, n) for n, (a, b) in enumerate(listed, start=1)])


@settings(max_examples=120)
@given(st.data(), st.sampled_from(FINITE), instants, meters, units)
def test_rating_in_bulk_is_rating_one_by_one_and_a_percentage_never_makes_dearer(
    data: st.DataObject, kind: Facts, at: int, parts: dict[Meter, int], used: dict[str, Decimal]
) -> None:
    facts = normalise(kind._replace(account="a"))
    is_fixed = data.draw(st.booleans())
    agreements = data.draw(about(facts, st.one_of(percents, rates) if is_fixed else percents))
    by_provider = {agreed.provider: agreements for agreed in agreements}
    tariff = replace(vendored_book(), agreements=by_provider).tariff(facts)
    listed = rate_usage(vendored_book().tariff(facts), at=at, usage=usage_from(parts), units=used)

    one = rate_usage(tariff, at=at, usage=usage_from(parts), units=used)

    if not is_fixed:
        assert one.cost == listed.cost
        assert one.cost is None or (one.contracted_cost is not None and one.contracted_cost <= one.cost)
    if one.status is not Status.PRICED or one.quote.brackets:
        return
    prices = {price.meter: price for price in meter_prices(one.quote, from_response_cache=False)}
    with localcontext(EXACT):
        for name, total in (
            ("list_price", one.cost),
            ("contracted_price", one.contracted_cost),
            ("effective_price", one.contracted_cost),
            ("saving_price", one.saving),
        ):
            bulk = sum((line.quantity * getattr(prices[line.meter], name) for line in one.lines), Decimal(0))
            assert bulk == total
    assert all(prices[line.meter].agreement_id == (line.agreed and line.agreed.id) for line in one.lines)


@settings(max_examples=50)
@given(st.data(), st.sampled_from(FINITE), st.lists(st.integers(0, 9), min_size=2, max_size=2, unique=True))
def test_slots_are_cut_where_an_agreement_holds_and_keep_what_was_known_before(
    data: st.DataObject, kind: Facts, days: list[int]
) -> None:
    facts = normalise(kind._replace(account="a"))
    first, last = (1_790_000_000 + 86_400 * day for day in sorted(days))
    found = data.draw(about(facts, percents))[:1]
    held = [replace(one, effective=(first, last)) for one in found]
    book = vendored_book()
    history = History.of(
        [Known(row, 0.0) for rows in book.rows.values() for row in rows],
        [Known(factor, 0.0) for factors in book.factors.values() for factor in factors],
        [Known(alias, 0.0) for aliases in book.aliases.values() for alias in aliases],
        agreements=[Known(one, 1_795_000_000.0) for one in held],
    )

    grid = Grid(facts, history.tariffs(facts))

    in_force = replace(book, agreements={one.provider: [one] for one in held}).tariff(facts).agreements
    assert not in_force or {first, last} <= set(grid.edges)
    for cell in list(grid.cells())[:40]:
        start, _ = grid.interval(cell[0])
        *before, now = grid.quotes(cell)
        holding = in_force if start is not None and first <= start < last else []
        for meter, priced in now.meters.items():
            assert priced.agreed is (holding[0] if holding and holding[0].speaks_of(meter) else None)
        assert all(priced.agreed is None for quote in before for priced in quote.meters.values())
