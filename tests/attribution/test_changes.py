"""Why a cost changed: the parts always sum to the change, and each says what it should."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.changes import Component, Effects, explain, reason
from finops.core.money import EXACT

TOLERANCE = Decimal("1e-11")


def component(label: str, before: tuple[str, str], now: tuple[str, str], unit: str = "tokens") -> Component:
    """Quantity and unit price, before and now."""
    q0, p0 = Decimal(before[0]), Decimal(before[1])
    q1, p1 = Decimal(now[0]), Decimal(now[1])
    return Component(label, unit, q0, q0 * p0, q1, q1 * p1)


def effects(**parts: str) -> Effects:
    return Effects(**{name: Decimal(amount) for name, amount in parts.items()})


@pytest.mark.parametrize(
    ("components", "expected", "words"),
    [
        ([component("a", ("100", "2"), ("150", "2"))], {"volume": "100"}, "More usage, mostly a"),
        ([component("a", ("100", "2"), ("100", "1.5"))], {"price": "-50"}, "Lower unit prices, mostly a"),
        (
            [component("dear", ("50", "4"), ("80", "4")), component("cheap", ("50", "1"), ("20", "1"))],
            {"mix": "90"},
            "Dearer mix, mostly dear",
        ),
        (
            [component("gpt", ("0", "0"), ("10", "5")), component("qwen", ("10", "1"), ("0", "0"))],
            {"new": "50", "gone": "-10"},
            "gpt replaced qwen",
        ),
        ([component("gpt", ("0", "0"), ("10", "5"))], {"new": "50"}, "gpt is new"),
        ([component("gpt", ("10", "5"), ("0", "0"))], {"gone": "-50"}, "gpt is gone"),
        (
            [
                component("a", ("100", "2"), ("200", "2")),
                component("a", ("3", "10"), ("6", "10"), unit="searches"),
            ],
            {"volume": "230"},
            "More usage, mostly a",
        ),
        ([component("a", ("100", "2"), ("100", "2"))], {}, ""),
        ([], {}, ""),
    ],
)
def test_effects_and_their_words(components: list[Component], expected: dict[str, str], words: str) -> None:
    found = explain(components)

    assert found == effects(**expected)
    assert reason(found, components) == words


quantities = st.decimals(min_value=0, max_value=10**12, places=6)
prices = st.decimals(min_value=0, max_value=100, places=18)


@st.composite
def components_of_any_kind(draw: st.DrawFn) -> Component:
    q0, q1, p0, p1 = draw(quantities), draw(quantities), draw(prices), draw(prices)
    unit = draw(st.sampled_from(["tokens", "searches"]))
    return Component(draw(st.sampled_from("abc")), unit, q0, _times(q0, p0), q1, _times(q1, p1))


def _times(quantity: Decimal, price: Decimal) -> Decimal:
    with localcontext(EXACT):
        return quantity * price


@given(st.lists(components_of_any_kind(), max_size=12))
def test_effects_sum_exactly_to_the_difference(components: list[Component]) -> None:
    found = explain(components)

    with localcontext(EXACT):
        difference = sum((one.cost_now - one.cost_before for one in components), Decimal(0))
    assert found.total == difference


@given(st.lists(st.tuples(quantities, quantities, prices), max_size=8))
def test_without_a_price_change_there_is_no_price_effect(
    rows: list[tuple[Decimal, Decimal, Decimal]],
) -> None:
    components = [Component("a", "tokens", q0, _times(q0, p), q1, _times(q1, p)) for q0, q1, p in rows]

    assert abs(explain(components).price) <= TOLERANCE


@given(quantities, quantities, prices, prices)
def test_a_single_component_has_no_mix(q0: Decimal, q1: Decimal, p0: Decimal, p1: Decimal) -> None:
    only = Component("a", "tokens", q0, _times(q0, p0), q1, _times(q1, p1))

    assert abs(explain([only]).mix) <= TOLERANCE
