"""Calls with one answer under several spans: all in the books, and told of."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.utils import timezone
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from attribution.ingest.otlp.repeats import repeats
from attribution.models import RepeatedAnswer
from finops.accounts.models import Role, Scope
from finops.accounts.people import add_person
from tests.attribution.ingest.conftest import issue_key
from tests.attribution.otlp.conftest import TRACE, Send, booked, chat, settle

OTHER_TRACE = "6c9f00108149204213ae7a8744a27f1d"
ANSWER = {"gen_ai.response.id": "chatcmpl-1"}


def answered(
    span_id: int, tokens: tuple[int, int] = (100, 10), *, later: float = 0, said: Any = ANSWER, **more: Any
) -> Span:
    """A call that ended so many seconds later than others."""
    made = chat(span_id, tokens, said, **more)
    made.end_time_unix_nano += int(later * 1e9)
    return made


def event_id(span_id: int, trace: str = TRACE) -> str:
    return f"{trace}:{span_id:016x}"


def told() -> list[tuple[str, int, list[tuple[str, str]]]]:
    return [
        (one.source, one.calls, [(pair.event_id, pair.other) for pair in one.examples]) for one in repeats()
    ]


def test_an_answer_under_two_spans_is_booked_twice_and_told_of(send: Send) -> None:
    send(answered(1), answered(2, later=0.3), chat(3, (7, 7)))
    send(answered(4, (50, 5)), answered(5, (50, 5), later=0.9, trace=OTHER_TRACE))
    settle()

    assert booked() == [(7, 7), (50, 5), (50, 5), (100, 10), (100, 10)]
    [(source, calls, pairs)] = told()
    assert (source, calls) == ("shop", 2)
    assert set(pairs) == {
        (event_id(2), event_id(1)),
        (event_id(5, OTHER_TRACE), event_id(4)),
    }
    assert RepeatedAnswer.objects.get().day == timezone.now().date()


def test_what_differs_in_anything_is_another_call(send: Send) -> None:
    send(
        answered(1),
        answered(2, (100, 11)),
        answered(3, later=2.5),
        answered(4, said={"gen_ai.response.id": "chatcmpl-2"}),
        answered(5, said={**ANSWER, "gen_ai.provider.name": "azure"}),
        chat(6),
        chat(7),
    )
    send(answered(8), resource={"service.name": "shop", "service.instance.id": "another"})
    settle()

    assert len(booked()) == 8
    assert told() == []


def test_it_is_told_once_whichever_comes_first_and_however_late(send: Send) -> None:
    send(answered(2, later=0.4))
    settle()
    send(answered(1), answered(2, later=0.4))
    settle()
    settle()
    assert told() == [("shop", 1, [(event_id(1), event_id(2))])]

    send(answered(3, later=0.8))
    settle()

    assert len(booked()) == 3
    assert told() == [("shop", 2, [(event_id(1), event_id(2)), (event_id(3), event_id(2))])]


def test_a_span_around_a_call_that_repeats_it_is_no_second_call(send: Send) -> None:
    send(answered(1), answered(2, inside=1), answered(3, inside=2))
    settle()

    assert (booked(), told()) == ([(100, 10)], [])


def test_data_health_names_them_by_source_to_those_who_see_all(send: Send, client: Client) -> None:
    send(*[answered(number) for number in range(1, 15)])
    settle()
    headers = {"Authorization": f"Bearer {issue_key('reader', Scope.READ)}"}

    [one] = client.get("/api/v1/ingest/health", headers=headers).json()["repeated"]

    assert (one["source"], one["calls"], len(one["examples"])) == ("shop", 13, 10)
    assert one["examples"][0].keys() == {"event_id", "other"}
    client.force_login(add_person("finance@example.com", role=Role.FINANCE, teams=(), actor="test"))
    page = client.get("/health/").content.decode()
    assert "13 calls of shop in the last 7 days" in page
    assert one["examples"][0]["event_id"] in page
