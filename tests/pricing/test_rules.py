"""Every rule by worked examples of our own (``rules.jsonl``), written from the providers' rules alone.

Each line cites the section of the catalogue of billing rules that it is an example of. Its ``components`` are
the arithmetic by hand: quantity times rate, over ``per``, times the multipliers where they are on tokens.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal, localcontext
from math import prod
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from finops.accounts.authentication import forget_keys
from finops.accounts.models import ApiKey
from finops.core.meters import USAGE_FIELDS
from finops.core.money import EXACT, as_text
from pricing.rating import Rating, rate_usage
from pricing.raw_usage import read_usage
from tests import price_list
from tests.pricing.books import tariff
from tests.pricing.test_vectors import usage_of

FOLDER = Path(__file__).parent
RULES = [json.loads(line) for line in (FOLDER / "rules.jsonl").read_text().splitlines()]
STATUSES = {"ok": "priced", "partially_priced": "partially_priced", "unpriced": "unpriced"}
_TOKEN_KINDS = {
    "input_uncached", "cached_read", "cache_write_5m", "cache_write_1h", "cache_write_other", "output",
    "reasoning", "audio_in", "audio_cached", "audio_out", "image_in", "image_cached", "image_out",
}  # fmt: skip
_CONDITIONS = ("service_tier", "processing", "speed", "region")
Example = dict[str, Any]  # Any: JSON


def amount_of(component: Example, example: Example) -> Decimal | None:
    """What one component costs, by its own figures; None where no rate is known."""
    if component["rate"] is None:
        return None
    on_tokens = component["kind"] in _TOKEN_KINDS
    factor = prod([Decimal(each["factor"]) for each in example["multipliers"]]) if on_tokens else 1
    return Decimal(component["qty"]) * Decimal(component["rate"]) * factor / Decimal(component["per"])


@pytest.mark.parametrize("example", RULES, ids=lambda example: example["id"])
def test_arithmetic_of_the_example_is_right(example: Example) -> None:
    within = Decimal(example["tolerance_usd"])
    with localcontext(EXACT):
        amounts = [amount_of(component, example) for component in example["components"]]
        for amount, component in zip(amounts, example["components"], strict=True):
            assert (amount is None) is (component["cost"] is None)
            assert amount is None or abs(amount - Decimal(component["cost"])) <= within
        if example["expected_cost_usd"] is None:
            assert example["status"] == "unpriced"
        else:
            known = sum((amount for amount in amounts if amount is not None), Decimal(0))
            assert abs(known - Decimal(example["expected_cost_usd"])) <= within
    assert (None in amounts) is (example["status"] == "partially_priced")


def rated(example: Example) -> Rating:
    conditions = {name: example[name] for name in _CONDITIONS} | {"host": example.get("host", "")}
    usage, units = usage_of(example["usage"])
    if "raw_usage" in example:
        read = read_usage(example["api_flavor"], example["raw_usage"], model=example["model"])
        usage, units = read.usage, read.units
        served = (("service_tier", read.service_tier), ("region", read.region), ("speed", read.speed))
        conditions |= {name: value for name, value in served if value}
    at = int(datetime.fromisoformat(example["timestamp"]).timestamp())
    prices = tariff(example["provider"], example["model"], **conditions)
    return rate_usage(prices, at=at, usage=usage, units=units)


@pytest.mark.parametrize("example", RULES, ids=lambda example: example["id"])
def test_product_comes_to_what_the_rules_say(example: Example) -> None:
    rating = rated(example)

    assert rating.status == STATUSES[example["status"]], rating.quote.reason
    if example["expected_cost_usd"] is None:
        assert rating.cost is None
    else:
        assert rating.cost is not None
        assert abs(rating.cost - Decimal(example["expected_cost_usd"])) <= Decimal(example["tolerance_usd"])
    if "evidence" in example:
        assert rating.quote.row is not None
        assert rating.quote.row.evidence == example["evidence"]


@pytest.mark.parametrize(
    "example", [example for example in RULES if "raw_usage" in example], ids=lambda example: example["id"]
)
def test_raw_usage_is_what_the_example_counts(example: Example) -> None:
    read = read_usage(example["api_flavor"], example["raw_usage"], model=example["model"])

    assert read[:2] == usage_of(example["usage"])


def asked_for(example: Example) -> Example:
    """The example as a request to rate it."""
    usage, units = usage_of(example["usage"])
    tokens = {name: getattr(usage, name) for name in USAGE_FIELDS}
    amounts = {name: as_text(amount) for name, amount in units.items()}
    used: Example = {"usage": {**tokens, "units": amounts}}
    if "raw_usage" in example:
        used = {"raw_usage": example["raw_usage"], "api_flavor": example["api_flavor"]}
    names = ("provider", "model", *_CONDITIONS)
    about = {name: example[name] for name in names}
    return {**about, **used, "occurred_at": example["timestamp"], "host": example.get("host", "")}


@pytest.mark.django_db
def test_the_api_answers_every_example() -> None:
    price_list.load()
    forget_keys()
    _, secret = ApiKey.issue("ci", ["read"])
    caller = Client(headers={"Authorization": f"Bearer {secret}"})
    wrong = []

    for example in RULES:
        asked = asked_for(example)
        answer = caller.post("/api/v1/prices/rate", asked, content_type="application/json").json()
        cost = rated(example).cost
        expected = (STATUSES[example["status"]], None if cost is None else as_text(cost))
        if (answer.get("status"), answer.get("cost")) != expected:
            wrong.append((example["id"], answer))

    assert wrong == []


def test_every_provider_and_section_has_examples() -> None:
    sections = Counter(example["section"] for example in RULES)

    assert len({example["id"] for example in RULES}) == len(RULES)
    assert set(sections) >= {"0", "1.1", "1.2", "1.3", "1.4", "1.5", "2", "3", "4", "5", "6", "7", "8", "9"}
    assert all(sections.values())
