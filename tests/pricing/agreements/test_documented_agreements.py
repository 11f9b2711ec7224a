"""Agreements of ``docs/pricing.md`` make of their calls what the page says; its arithmetic is right."""

from __future__ import annotations

import json
import re
from decimal import Decimal, localcontext
from typing import Any

import pytest

from finops.core.meters import USAGE_FIELDS
from finops.core.money import EXACT
from tests.pricing.agreements.terms import book_with, rated
from tests.pricing.test_documented_examples import PAGE, terms

BLOCKS = re.findall(r"^```agreed\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_page_shows_agreements() -> None:
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS)
def test_documented_agreement_makes_of_calls_what_the_page_says(block: str) -> None:
    lines = block.splitlines()
    book = book_with(*(json.loads(line) for line in lines if line.startswith("{")))
    calls = [line for line in lines if not line.startswith("{")]
    assert calls
    for call, said in zip(calls[::2], calls[1::2], strict=True):
        name, *told = call.split()
        facts: dict[str, Any] = {}
        units: dict[str, Decimal] = {}
        for key, value in (each.split("=") for each in told):
            if f"{key}_tokens" in USAGE_FIELDS:
                facts[key] = int(value)
            elif value.isdecimal():
                units[key] = Decimal(value)
            else:
                facts[key] = value
        rating = rated(book, name, units=units, **facts)
        listed, _, agreed = said.strip().removeprefix("= ").partition(" at list, ")
        arithmetic, _, contracted = agreed.partition(" = ")
        assert (rating.cost, rating.contracted_cost) == (Decimal(listed), Decimal(contracted))
        with localcontext(EXACT):
            assert sorted(terms(arithmetic)) == sorted(line.contracted_cost or 0 for line in rating.lines)
