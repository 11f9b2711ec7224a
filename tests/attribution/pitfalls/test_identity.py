"""One call is one row, whoever repeats it and whatever else shares its names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from attribution.rollups import fold
from tests.attribution.ingest.conftest import URL, event, issue_key, minutes_ago, rows
from tests.attribution.pitfalls.conftest import Product, logged, span

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
    "gen_ai.response.id": "chatcmpl-1",
}


def test_a_storm_of_retries_counts_once_in_everything_derived(product: Product) -> None:
    forty_days_ago = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    same = event(occurred_at=forty_days_ago, end_user="u-1", task_id="t-1", customer="acme")

    answers = [product.events(same) for _ in range(20)]
    before = product.costs()
    answers += [product.events(same) for _ in range(2)]

    assert [answer["accepted"] for answer in answers] == [1] + [0] * 21
    assert [answer["duplicates"] for answer in answers] == [0] + [1] * 21
    measures = "effective_cost,calls,input_tokens,output_tokens,tasks,active_users"
    total = product.costs(measures=measures)["total"]
    assert Decimal(total.pop("effective_cost")) == Decimal("0.00035")
    assert total == {"calls": 1, "input_tokens": 100, "output_tokens": 10, "tasks": 1, "active_users": 1}
    assert before["total"]["calls"] == product.costs()["total"]["calls"] == 1


@pytest.mark.usefixtures("transactional_db")
def test_twenty_at_once_are_one() -> None:
    key = issue_key("storm")
    same = event()

    def send(_: int) -> dict[str, Any]:
        try:
            response = Client().post(
                URL, [same], content_type="application/json", headers={"Authorization": f"Bearer {key}"}
            )
            answer: dict[str, Any] = response.json()
            return answer
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(send, range(20)))
    fold()

    assert sorted((answer["accepted"], answer["duplicates"]) for answer in answers) == [(0, 1)] * 19 + [
        (1, 0)
    ]
    assert rows("sum(calls), sum(input)", "usage_day") == [(1, 100)]


def test_the_id_that_a_provider_gave_is_no_identity(product: Product) -> None:
    product.spans(*(span(number, CHAT, trace=number) for number in range(1, 101)), service="traced")
    for given in ("chatcmpl-1", None):
        payloads = [logged(f"{given}-{number}", id=given) for number in range(100)]
        product.post("/api/v1/ingest/litellm", payloads, key="proxy")
    product.events(*[event(f"e-{number}", tags={"response_id": "chatcmpl-1"}) for number in range(100)])

    assert product.by("source") == {"traced": 100, "proxy": 200, "sender": 100}


def test_one_bad_event_of_five_hundred_costs_no_other(product: Product) -> None:
    batch = [event(f"e-{number}") for number in range(500)]
    batch[123]["usage"] = {"input_tokens": 1, "cache_read_tokens": 2}

    answer = product.events(*batch)

    assert answer["accepted"] == 499
    assert [(bad["index"], bad["event_id"], bad["field"]) for bad in answer["rejected"]] == [
        (123, "e-123", "usage.input_tokens")
    ]
    assert product.total("calls") == 499


def test_the_same_spans_in_forty_eight_rows_are_five_calls(product: Product) -> None:
    calls = [span(number, CHAT, trace=number) for number in range(1, 6)]

    for _ in range(9):
        product.spans(*calls)
    product.spans(*calls[:3])

    assert (product.total("calls"), product.total("input_tokens")) == (5, 500)


def test_a_retry_that_is_stamped_anew_around_midnight_is_met(product: Product) -> None:
    yesterday, today = minutes_ago(24 * 60), minutes_ago(1)

    product.events(event(occurred_at=yesterday))

    assert product.events(event(occurred_at=today))["duplicates"] == 1
    assert product.total("calls") == 1
