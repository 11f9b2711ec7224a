"""Calls priced in bulk and one by one: ``python -m bench.probes.rating CALLS CALLS_SINGLY ROUNDS``."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal

import django

django.setup()

import genai_prices  # noqa: E402
import numpy as np  # noqa: E402
from django.db import connection  # noqa: E402

from bench import traffic  # noqa: E402
from finops.core.meters import HOT_METERS  # noqa: E402
from finops.demo import company  # noqa: E402
from finops.demo.calls import Calls, Ints  # noqa: E402
from pricing.slots import SlotBook  # noqa: E402

_DAYS = 90


def in_bulk(book: SlotBook, calls: Calls) -> tuple[float, Decimal]:
    """Calls a second, slot and cost, and the total: a slot a call, sums by slot, quantity x price."""
    facts = [
        (model.provider, model.name, "", "", "", "", "", cached == 1)
        for model, cached in zip(
            (company.MODELS[number] for number in calls["model"].tolist()),
            calls["from_cache"].tolist(),
            strict=True,
        )
    ]
    meters = _disjoint(calls)
    started = time.perf_counter()
    slots = book.resolve(facts, calls["occurred_ms"] * 1000, calls["input"].astype(np.int64))
    order = np.argsort(slots, kind="stable")
    present, starts = np.unique(slots[order], return_index=True)
    sums = np.add.reduceat(meters[order], starts, axis=0)
    prices = _prices(present.tolist())
    total = Decimal(0)
    for slot, quantities in zip(present.tolist(), sums.tolist(), strict=True):
        for meter, quantity in zip(HOT_METERS, quantities, strict=True):
            total += quantity * prices.get((slot, meter.value), Decimal(0))
    return len(calls) / (time.perf_counter() - started), total


def singly(calls: Calls) -> float:
    """Calls a second of genai-prices, which prices one call at a time."""
    requests = [
        (
            company.MODELS[call["model"]],
            genai_prices.Usage(
                input_tokens=int(call["input"]),
                cache_read_tokens=int(call["cache_read"]),
                cache_write_tokens=int(call["cache_write"]),
                output_tokens=int(call["output"]),
            ),
            datetime.fromtimestamp(int(call["occurred_ms"]) / 1000, UTC),
        )
        for call in calls
        if call["model"] != company.PREVIEW and call["from_cache"] != 1
    ]
    total = Decimal(0)
    started = time.perf_counter()
    for model, usage, at in requests:
        priced = genai_prices.calc_price(
            usage, model.name, provider_id=model.provider, genai_request_timestamp=at
        )
        total += priced.total_price
    return len(requests) / (time.perf_counter() - started)


def _disjoint(calls: Calls) -> Ints:
    """The six meters as columns of one array, in the order of HOT_METERS."""
    used = {name: calls[name].astype(np.int64) for name in calls.dtype.names or ()}
    return np.column_stack(
        [
            used["input"] - used["cache_read"] - used["cache_write"],
            used["cache_read"],
            used["cache_write"] - used["cache_write_1h"],
            used["cache_write_1h"],
            used["output"] - used["reasoning"],
            used["reasoning"],
        ]
    )


def _prices(slots: list[int]) -> dict[tuple[int, int], Decimal]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT slot_id, meter_id, effective_price FROM slot_rate"
            " WHERE slot_id = ANY(%s) AND known_to IS NULL",
            [slots],
        )
        return {(slot, meter): price for slot, meter, price in cursor.fetchall()}


def main(count: int, one_by_one: int, rounds: int) -> dict[str, object]:
    """Rounds of both, taking turns."""
    book = SlotBook()
    in_bulk(book, traffic.calls(1_000, seed=0, days=_DAYS))
    bulk, single = [], []
    for number in range(rounds):
        single.append(singly(traffic.calls(one_by_one, seed=number, days=_DAYS)))
        rate, total = in_bulk(book, traffic.calls(count, seed=number, days=_DAYS))
        if not total > 0:
            raise RuntimeError("nothing was priced")
        bulk.append(rate)
    return {"bulk": bulk, "singly": single}


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:4]))))
