"""Each call once: parents that repeat their children, in every order, across requests, kills and repeats."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from attribution import rollups
from attribution.ingest.health import ingest_health
from attribution.ingest.otlp import settling
from attribution.models import Fate, OtlpSpan
from tests.attribution.otlp.conftest import Send, booked, chat, settle, span


def rows(columns: str, table: str = "call_event") -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {table} ORDER BY 1")
        return list(cursor.fetchall())


AGENT = span(
    1,
    {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 300,
        "gen_ai.usage.output_tokens": 30,
    },
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("apart", [False, True], ids=["one request", "three requests"])
def test_an_agent_never_carries_the_cost_of_its_calls(send: Send, order: list[int], apart: bool) -> None:
    family = [AGENT, chat(2, (100, 10), inside=1), chat(3, (200, 20), inside=1)]
    arriving = [family[place] for place in order]

    if apart:
        for each in arriving:
            send(each)
            settle()
    else:
        send(*arriving)
        settle()

    assert booked() == [(100, 10), (200, 20)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("pause", [False, True], ids=["at once", "each settled before the next"])
def test_a_call_around_calls_is_counted_once(send: Send, order: tuple[int, ...], pause: bool) -> None:
    family = [chat(1, (300, 30)), chat(2, (100, 10), inside=1), chat(3, (200, 20), inside=1)]

    for place in order:
        send(family[place])
        if pause:
            settle()
    settle()

    assert sum(tokens for tokens, _ in booked()) == 300
    assert sum(tokens for _, tokens in booked()) == 30


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_span_between_two_of_the_same_call_hides_nothing(send: Send, order: tuple[int, ...]) -> None:
    family = [chat(1), span(2, inside=1), chat(3, inside=2)]

    for place in order:
        send(family[place])
    settle()

    assert booked() == [(100, 10)]


def test_a_failed_attempt_inside_a_call_is_an_attempt_of_its_own(send: Send) -> None:
    said = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"}
    failed = span(2, {**said, "error.type": "RateLimitError"}, inside=1, failed=True)
    send(chat(1, (300, 30)), failed)
    settle()

    assert booked() == [(0, 0), (300, 30)]
    assert rows("status, detail->>'error_type'") == [(0, None), (1, "RateLimitError")]


SMALLER = [chat(1, (100, 10)), chat(2, (200, 20), inside=1)]
WITH_EMBEDDING = [
    chat(1, (500, 50)),
    chat(2, (40, 0), {"gen_ai.operation.name": "embeddings"}, inside=1),
    chat(3, (60, 0), {"gen_ai.operation.name": "embeddings"}, inside=1),
]
REPEATING_WITH_EMBEDDING = [*WITH_EMBEDDING[:2], chat(3, (500, 50), inside=1)]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("pause", [False, True], ids=["at once", "each settled before the next"])
@pytest.mark.parametrize(
    ("family", "tokens"),
    [(SMALLER, 330), (WITH_EMBEDDING, 650), (REPEATING_WITH_EMBEDDING, 590)],
    ids=["less than inside", "embeddings inside", "embedding and repetition inside"],
)
def test_usage_of_its_own_counts_beside_that_inside(
    send: Send, family: list[Span], tokens: int, backwards: bool, pause: bool
) -> None:
    for each in reversed(family) if backwards else family:
        send(each)
        if pause:
            settle()
    settle()

    assert sum(map(sum, booked())) == tokens


def test_the_same_spans_again_change_nothing(send: Send) -> None:
    family = (chat(1, (300, 30)), chat(2, (300, 30), inside=1))

    for _ in range(3):
        send(*family)
        settle()

    assert booked() == [(300, 30)]


def test_ten_exports_of_five_calls_are_five_calls(send: Send) -> None:
    calls = [chat(number, (number, 1)) for number in range(1, 6)]

    for _ in range(10):
        send(*calls)
    settle()

    assert booked() == [(number, 1) for number in range(1, 6)]


def test_nothing_is_booked_before_it_has_waited(send: Send) -> None:
    send(chat(1))

    assert settling.settle(wait=timedelta(minutes=1)).decided == 0
    assert booked() == []


@pytest.mark.parametrize("has_come", [True, False])
def test_a_call_waits_longer_for_the_span_right_around_it(send: Send, has_come: bool) -> None:
    send(chat(2, inside=1), *([span(1)] if has_come else []))
    OtlpSpan.objects.update(received_at=timezone.now() - timedelta(seconds=3))

    assert settling.settle().booked == has_come

    OtlpSpan.objects.update(received_at=timezone.now() - timedelta(seconds=7))
    settling.settle()
    assert booked() == [(100, 10)]


def test_a_crash_between_deciding_and_writing_books_the_same(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(chat(1, (300, 30)))
    with monkeypatch.context() as broken:
        broken.setattr(settling, "_mark", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            settle()
    assert booked() == [(300, 30)]

    # What would have made it a container came too late: it is in the books.
    send(chat(2, (100, 10), inside=1), chat(3, (200, 20), inside=1))
    settle()

    assert booked() == [(300, 30)]
    assert rows("fate, count(*)", "otlp_span GROUP BY 1")[0][0] == Fate.BOOKED


def test_spans_go_before_resources_and_the_nearest_first(send: Send) -> None:
    around = {"finops.tier": "of-parent", "finops.feature": "of-parent", "finops.environment": "of-parent"}
    send(
        span(1, around),
        resource={"service.name": "web", "finops.step": "of-parents-resource", "finops.team": "web"},
    )
    send(
        chat(2, inside=1, attributes={"finops.tier": "of-call"}),
        resource={"service.name": "gateway", "finops.feature": "of-resource", "finops.team": "gateway"},
    )
    settle()

    assert rows("source, tier, feature, environment, team, step", "dimension_set") == [
        ("gateway", "of-call", "of-parent", "of-parent", "gateway", "of-parents-resource")
    ]


def test_a_call_says_what_the_span_around_it_says(send: Send) -> None:
    send(span(1, {"finops.feature": "checkout", "finops.team": "shop"}))
    send(span(2, {"finops.feature": "basket"}, inside=1), chat(3, inside=2))
    settle()

    assert rows("team, feature", "dimension_set") == [("shop", "basket")]


def test_spans_are_forgotten_after_a_day_and_traces_without_calls_sooner(send: Send) -> None:
    send(chat(1), span(2, trace="a" * 32), span(3, inside=1))
    settle()
    later = "UPDATE otlp_span SET received_at = received_at - interval %s"
    with connection.cursor() as cursor:
        cursor.execute(later, ["10 minutes"])
    settling.forget()
    assert OtlpSpan.objects.count() == 2

    with connection.cursor() as cursor:
        cursor.execute(later, ["1 day"])
    settling.forget()
    assert OtlpSpan.objects.count() == 0
    assert booked() == [(100, 10)]


@st.composite
def trees(draw: st.DrawFn) -> list[Span]:
    """Leaves with usage under spans that repeat the sum of what is inside, at any depth, or say nothing."""
    numbers = itertools.count(1)
    trace = f"{draw(st.integers(1, 2**64)):032x}"
    spans: list[Span] = []

    def grow(inside: int | None, depth: int) -> int:
        number = next(numbers)
        children = 0 if depth == 3 else draw(st.integers(0, 2))
        if not children:
            tokens = draw(st.integers(1, 50))
            spans.append(chat(number, (tokens, 0), inside=inside, trace=trace))
            return tokens
        tokens = sum(grow(number, depth + 1) for _ in range(children))
        if draw(st.booleans()):
            spans.append(chat(number, (tokens, 0), inside=inside, trace=trace))
        else:
            spans.append(span(number, inside=inside, trace=trace))
        return tokens

    grow(None, 0)
    return draw(st.permutations(spans))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees(), st.data())
def test_any_tree_in_any_order_over_any_requests_is_counted_once(
    send: Send, spans: list[Span], data: st.DataObject
) -> None:
    """Every leaf counts once, whoever repeats it."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE call_event, otlp_span")
    parents = {each.parent_span_id for each in spans}
    leaves = sum(
        pair.value.int_value
        for each in spans
        if each.span_id not in parents
        for pair in each.attributes
        if pair.key == "gen_ai.usage.input_tokens"
    )
    while spans:
        size = data.draw(st.integers(1, len(spans)))
        send(*spans[:size])
        spans = spans[size:]
    settle()

    assert sum(tokens for tokens, _ in booked()) == leaves


def test_what_waits_holds_the_watermark_back(send: Send) -> None:
    send(chat(1))
    before = ingest_health()
    assert before.waiting_spans == 1
    assert before.watermark < timezone.now()

    settle()
    rollups.fold()

    after = ingest_health()
    assert (after.waiting_spans, after.lag_seconds) == (0, 0)
