"""Every example of ``docs/pricing.md`` comes to what the page says, and its arithmetic is right."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from finops.core.meters import USAGE_FIELDS, Usage
from finops.core.money import EXACT, as_text
from pricing.rating import Rating, Status, rate_usage
from pricing.raw_usage import read_usage
from tests.pricing.books import tariff

PAGE = (Path(__file__).parents[2] / "docs" / "pricing.md").read_text()
NOON = "2026-11-10T12:00:00Z"
_CONDITIONS = ("service_tier", "processing", "speed", "region", "host")
_TERM = re.compile(r"([\d.]+) × ([\d.]+)/(M|\d+)(?: × ([\d.]+))?")
_PLACES = Decimal(1).scaleb(-18)


@dataclass(frozen=True)
class Example:
    """One call and, in words and figures, what it costs."""

    call: str
    sum: str

    def rated(self) -> Rating:
        name, *said = self.call.split()
        provider, _, model = name.partition("/")
        given = dict(each.split("=", 1) for each in said)
        at = int(datetime.fromisoformat(given.pop("at", NOON)).timestamp())
        conditions = {name: given.pop(name) for name in _CONDITIONS if name in given}
        counts = {f"{name}_tokens": number for name, number in given.items()}
        tokens = {name: int(number) for name, number in counts.items() if name in USAGE_FIELDS}
        units = {
            name: Decimal(number) for name, number in given.items() if f"{name}_tokens" not in USAGE_FIELDS
        }
        return rate_usage(tariff(provider, model, **conditions), at=at, usage=Usage(**tokens), units=units)


def examples() -> list[Example]:
    blocks = re.findall(r"^```price\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [
        Example(call, said.strip().removeprefix("= "))
        for call, said in zip(lines[::2], lines[1::2], strict=True)
    ]


def terms(arithmetic: str) -> list[Decimal]:
    with localcontext(EXACT):
        parts = [_TERM.fullmatch(part) for part in arithmetic.split(" + ")]
        assert all(parts), arithmetic
        amounts = []
        for part in filter(None, parts):
            quantity, rate, per, factor = part.groups()
            divisor = 1_000_000 if per == "M" else int(per)
            amounts.append(Decimal(quantity) * Decimal(rate) * Decimal(factor or 1) / divisor)
        return amounts


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.call)
def test_documented_call_costs_what_the_page_says(example: Example) -> None:
    rating = example.rated()
    if example.sum == "unpriced":
        assert (rating.status, rating.cost) == (Status.UNPRICED, None)
        return
    arithmetic, _, result = example.sum.partition(" = ")
    cost, _, without = result.partition(" without ")

    with localcontext(EXACT):
        assert sum(terms(arithmetic), Decimal(0)).quantize(_PLACES) == Decimal(cost)
        priced = [line.cost for line in rating.lines if line.cost is not None]
        assert sorted(priced) == sorted(amount.quantize(_PLACES) for amount in terms(arithmetic))
    assert rating.cost is not None
    assert as_text(rating.cost) == cost
    assert [line.meter for line in rating.lines if line.cost is None] == without.split()


def test_page_shows_an_example_of_every_step() -> None:
    steps = re.split(r"^\*\*\d\. ", PAGE.partition("### Regions")[0], flags=re.MULTILINE)[1:]

    assert len(steps) == 8
    assert all("```price" in step for step in steps)


def test_documented_request_costs_what_the_page_says() -> None:
    body = re.search(r"-d '(\{.*?\})'", PAGE, re.DOTALL)
    stated = re.search(r"It costs ([\d.]+) dollars", PAGE)
    assert body
    assert stated
    asked: dict[str, Any] = json.loads(body[1])

    read = read_usage(asked["api_flavor"], asked["raw_usage"], model=asked["model"])
    at = int(datetime.fromisoformat(asked["occurred_at"]).timestamp())
    rating = rate_usage(tariff(asked["provider"], asked["model"]), at=at, usage=read.usage, units=read.units)

    assert rating.cost is not None
    assert as_text(rating.cost) == stated[1]
