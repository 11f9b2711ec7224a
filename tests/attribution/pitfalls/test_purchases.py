"""Not every record is a purchase: looked-up answers, caches, retries, streams that broke off."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.attribution.ingest.conftest import event
from tests.attribution.pitfalls.conftest import Product, logged, span

FULL = Decimal("0.0035")  # 1,000 x $2.50 + 100 x $10 a million
USAGE = {"input_tokens": 1000, "output_tokens": 100}


@pytest.mark.parametrize(
    "kind", ["aget_responses", "get_responses", "alist_input_items", "adelete_responses"]
)
def test_an_answer_that_is_looked_up_again_costs_nothing(product: Product, kind: str) -> None:
    product.post("/api/v1/ingest/litellm", [logged("made", call_type="aresponses")])
    looked_up = [logged(f"seen-{number}", call_type=kind, response_cost=0.0035) for number in range(2)]
    assert product.post("/api/v1/ingest/litellm", looked_up)["accepted"] == 2

    assert product.total() == FULL
    assert (product.total("calls"), product.total("input_tokens")) == (3, 1000)
    assert product.costs()["coverage"]["unpriced_calls"] == 0


def test_an_answer_of_ones_own_cache_costs_nothing_and_what_it_saved_stands_apart(product: Product) -> None:
    product.events(
        event("paid", usage=USAGE, response_cache="miss"), event("saved", usage=USAGE, response_cache="hit")
    )
    product.post("/api/v1/ingest/litellm", [logged("hit", cache_hit=True)])

    assert product.total() == FULL
    assert product.total("cache_savings") == 2 * FULL
    assert product.total("calls") == 3


def test_a_judge_is_a_call_of_its_own_kind(product: Product) -> None:
    product.events(event("asked", operation="chat"), event("judged", operation="judge"))
    listed = product.client.get(
        "/api/v1/events",
        {"from": "2020-01-01", "to": "2100-01-01"},
        headers={"Authorization": f"Bearer {product.key('reader', 'read')}"},
    ).json()["results"]

    assert {call["event_id"]: call["operation"] for call in listed} == {"asked": "chat", "judged": "judge"}


def test_two_failures_and_a_success_are_three_attempts_of_one_task(product: Product) -> None:
    said = {"task_id": "t-1", "trace_id": "router"}
    failed = {"status": "error", "error_type": "RateLimitError", "usage": {"input_tokens": 0}}
    product.events(
        event("a-1", attempt=1, **failed, **said),
        event("a-2", attempt=2, **failed, **said),
        event("a-3", attempt=3, usage=USAGE, **said),
    )

    total = product.costs(measures="effective_cost,calls,errors,retries,tasks")["total"]
    assert Decimal(total.pop("effective_cost")) == FULL
    assert total == {"calls": 3, "errors": 2, "retries": 2, "tasks": 1}


def test_an_agent_and_its_calls_in_three_requests_are_the_calls(product: Product) -> None:
    def told(operation: str, read: int, written: int) -> dict[str, object]:
        return {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": read,
            "gen_ai.usage.output_tokens": written,
        }

    agent = span(1, told("invoke_agent", 300, 30))
    calls = [span(2, told("chat", 100, 10), inside=1), span(3, told("chat", 200, 20), inside=1)]
    for each in (calls[1], agent, calls[0]):
        product.spans(each)

    total = product.costs(measures="calls,input_tokens,output_tokens")["total"]
    assert total == {"calls": 2, "input_tokens": 300, "output_tokens": 30}


@pytest.mark.parametrize("status", ["cancelled", "timeout", "error"])
def test_a_stream_that_broke_off_is_priced_by_what_is_known(product: Product, status: str) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 26}
    product.events(event(usage=usage, status=status), event("whole", usage=USAGE))

    assert product.total() == Decimal("0.00276") + FULL
    assert product.total("output_tokens") == 126


@pytest.mark.parametrize("flavour", ["openai.chat", "anthropic.messages"])
def test_zeros_that_a_provider_states_stay_zeros(product: Product, flavour: str) -> None:
    names = {"openai.chat": ("prompt_tokens", "completion_tokens"),
             "anthropic.messages": ("input_tokens", "output_tokens")}[flavour]  # fmt: skip
    product.events(
        event("raw", usage=None, raw_usage=dict.fromkeys(names, 0), api_flavor=flavour),
        event("plain", usage={"input_tokens": 0, "output_tokens": 0}),
    )

    assert (product.total(), product.total("calls"), product.total("input_tokens")) == (0, 2, 0)
    assert product.costs()["coverage"]["unpriced_calls"] == 0
