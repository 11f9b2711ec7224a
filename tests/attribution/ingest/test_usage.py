"""What is stored adds up to what was said, to the last token and the last decimal."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribution.ingest import rules
from attribution.ingest.decoding import decode_one
from attribution.ingest.native import Arrivals
from attribution.ingest.post import NOTHING_KNOWN, Known, Post, facts_of, names_of
from attribution.ingest.schema import MOST_TOKENS
from attribution.ingest.times import microseconds
from attribution.ingest.usage import settle_usage
from finops.core.meters import HOT_METERS, INPUT_METERS, Meter
from tests.attribution.ingest.conftest import Send, event, rows

counts = st.integers(0, MOST_TOKENS)
fields = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_cached_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_cached_tokens",
    "image_output_tokens",
)


@st.composite
def valid_usage(draw: st.DrawFn) -> dict[str, int]:
    """Totals and subsets that could be true."""
    parts = draw(st.lists(st.integers(0, 10**8), min_size=len(Meter), max_size=len(Meter)))
    of = dict(zip(Meter, parts, strict=True))
    usage = {
        "input_tokens": sum(of[meter] for meter in INPUT_METERS),
        "cache_read_tokens": of[Meter.CACHE_READ] + of[Meter.AUDIO_CACHED] + of[Meter.IMAGE_CACHED],
        "cache_write_tokens": of[Meter.CACHE_WRITE] + of[Meter.CACHE_WRITE_1H],
        "cache_write_1h_tokens": of[Meter.CACHE_WRITE_1H],
        "output_tokens": sum(of[meter] for meter in Meter if meter not in INPUT_METERS),
        "reasoning_tokens": of[Meter.REASONING],
        "audio_input_tokens": of[Meter.AUDIO_INPUT] + of[Meter.AUDIO_CACHED],
        "audio_cached_tokens": of[Meter.AUDIO_CACHED],
        "audio_output_tokens": of[Meter.AUDIO_OUTPUT],
        "image_input_tokens": of[Meter.IMAGE_INPUT] + of[Meter.IMAGE_CACHED],
        "image_cached_tokens": of[Meter.IMAGE_CACHED],
        "image_output_tokens": of[Meter.IMAGE_OUTPUT],
    }
    return {name: count for name, count in usage.items() if count or draw(st.booleans())}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(valid_usage().filter(bool), min_size=1, max_size=5))
def test_stored_meters_add_up_to_the_totals_that_were_said(send: Send, usages: list[dict[str, int]]) -> None:
    ids = tuple(uuid.uuid4().hex for _ in usages)
    answer = send(*[event(name, usage=usage) for name, usage in zip(ids, usages, strict=True)])
    assert answer.codes == []

    stored: dict[Meter, int] = dict.fromkeys(Meter, 0)
    for row in rows("event_id, " + ", ".join(meter.label for meter in HOT_METERS)):
        if row[0] in ids:
            for meter, count in zip(HOT_METERS, row[1:], strict=True):
                stored[meter] += count
    of_these = f"call_unit JOIN call_event USING (identity) WHERE event_id IN {(*ids, '')!r}"
    for meter_id, quantity in rows("meter_id, quantity", of_these):
        stored[Meter(meter_id)] += int(quantity)

    assert sum(stored[meter] for meter in INPUT_METERS) == sum(u.get("input_tokens", 0) for u in usages)
    outputs = [meter for meter in Meter if meter not in INPUT_METERS]
    assert sum(stored[meter] for meter in outputs) == sum(u.get("output_tokens", 0) for u in usages)
    assert stored[Meter.REASONING] == sum(u.get("reasoning_tokens", 0) for u in usages)
    assert stored[Meter.CACHE_WRITE_1H] == sum(u.get("cache_write_1h_tokens", 0) for u in usages)


texts = st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["search", "pro", "v1.2"]))
events = st.fixed_dictionaries(
    {
        "event_id": st.text(min_size=1, max_size=8),
        "occurred_at": st.integers(1_577_000_000_000, 1_800_000_000_000),
        "usage": st.dictionaries(st.sampled_from(fields), counts, min_size=1),
        "team": texts,
        "customer": texts,
        "session_id": texts,
        "model": st.text(min_size=1, max_size=8),
        "tags": st.one_of(st.none(), st.dictionaries(st.just("k"), st.text(max_size=4))),
    }
)


@settings(max_examples=200, deadline=None)
@given(st.lists(events, min_size=1, max_size=6), st.booleans())
def test_the_quick_proof_never_says_more_than_the_rules(
    said: list[dict[str, Any]], everything_is_known: bool
) -> None:
    decoded = [decode_one({**event(), **fields}).event for fields in said]
    batch = [each for each in decoded if each is not None]
    for each in batch:
        each.source = "app"
        assert settle_usage(each) is None
    now_us = microseconds(1_790_000_000_000)
    truth = [rules.broken_rule(each, now_us=now_us) for each in batch]
    # A combination is known only because an event with it was sound.
    sound = [each for each, problem in zip(batch, truth, strict=True) if problem is None]
    known = Known({names_of(each): (1, 0) for each in sound}, {facts_of(each): ((), 0) for each in sound})
    arrivals = Arrivals(batch, list(range(len(batch))))
    post = Post.of(arrivals, "", "", known if everything_is_known else NOTHING_KNOWN)

    assert rules.broken_rules(post, now_us=now_us) == truth


def test_units_are_stored_exactly(send: Send) -> None:
    units = {"audio_seconds": 12.345678, "characters": "1e3", "web_search_calls": 2, "pages": 0}

    assert send(event(usage={"units": units})).counts == (1, 0, 0, 0)

    stored = rows("name, quantity", "call_unit JOIN unit_meter ON unit_meter.id = meter_id")
    assert stored == [
        ("audio_seconds", Decimal("12.345678")),
        ("characters", Decimal(1000)),
        ("web_search_calls", Decimal(2)),
    ]


def test_anthropic_semantics_add_reads_and_writes_to_the_input(send: Send) -> None:
    usage = {"input_tokens": 3, "cache_write_tokens": 12304, "cache_read_tokens": 5, "output_tokens": 550}

    send(event(usage=usage, usage_semantics="anthropic"))

    assert rows("input, cache_read, cache_write, output") == [(3, 5, 12304, 550)]


def test_a_provider_s_own_usage_object_is_read(send: Send) -> None:
    raw = {
        "prompt_tokens": 17_903,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 17_817},
        "completion_tokens_details": {"reasoning_tokens": 4},
        "service_tier": "flex",
    }

    send(event(usage=None, raw_usage=raw, api_flavor="openai.chat"))

    assert rows("input, cache_read, output, reasoning") == [(86, 17_817, 6, 4)]
    assert rows("service_tier", "price_slot") == [("flex",)]


def test_the_rest_of_an_event_is_stored_as_said(send: Send) -> None:
    send(
        event(
            duration_ms=1234.5,
            ttft_ms=99,
            tool_calls=3,
            retrieval_tokens=0,
            attempt=2,
            status="timeout",
            response_cache="hit",
            task_id="t",
            session_id="s",
            end_user="ü",
            trace_id="tr",
            customer="acme",
            tags={"project": "x"},
            error_type="Timeout",
            reported_cost={"amount": "0.0123", "currency": "USD"},
        )
    )

    assert rows("duration_ms, ttft_ms, tool_calls, retrieval_tokens, attempt, status, response_cache") == [
        (1234, 99, 3, 0, 2, 2, 1)
    ]
    assert rows("task_id, session_id, end_user, trace_id, detail->>'error_type'") == [
        ("t", "s", "ü", "tr", "Timeout")
    ]
    assert rows("detail->'tags'->>'project', detail->'reported_cost'->>'amount'") == [("x", "0.0123")]
    assert rows("name", "customer JOIN call_event ON customer_id = customer.id") == [("acme",)]
    assert rows("from_response_cache", "price_slot") == [(True,)]


def test_what_an_answer_says_of_its_serving_wins_over_what_was_asked(send: Send) -> None:
    served = {"service_tier": "standard", "inference_geo": "us", "speed": "fast"}
    raw = {"input_tokens": 3, "output_tokens": 9, **served}
    sent = event(
        provider="anthropic",
        model="claude-opus-5",
        usage=None,
        raw_usage=raw,
        api_flavor="anthropic.messages",
        service_tier="priority",
        region="eu",
    )

    assert send(sent).counts == (1, 0, 0, 0)
    assert rows("service_tier, region, speed", "price_slot") == [("standard", "us", "fast")]
