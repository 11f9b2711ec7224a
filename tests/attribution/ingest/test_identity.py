"""The same event again: duplicates, conflicts, retries with another time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from attribution.ingest.identity import identities
from attribution.ingest.schema import Event as Decoded
from tests.attribution.ingest.conftest import Send, event, issue_key, minutes_ago, rows


def at(day: int, hour: int, minute: int = 0) -> str:
    """A time that many whole UTC days ago."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - timedelta(days=day) + timedelta(hours=hour, minutes=minute)).isoformat()


def test_the_same_event_again_is_a_duplicate(send: Send) -> None:
    first = event()

    assert send(first).counts == (1, 0, 0, 0)
    assert send(first).counts == (0, 1, 0, 0)
    assert rows() == [("e-1",)]


def test_a_duplicate_inside_one_batch_is_met(send: Send) -> None:
    again = event("twice")

    assert send(again, event("once"), again, again).counts == (2, 2, 0, 0)
    assert rows() == [("once",), ("twice",)]


def test_a_batch_of_new_and_known_events_keeps_the_new_ones(send: Send) -> None:
    send(event("b"), event("d"))

    answer = send(*[event(name) for name in "abcde"])

    assert answer.counts == (3, 2, 0, 0)
    assert [name for (name,) in rows()] == list("abcde")


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (at(5, 10), at(5, 11)),
        (at(5, 23, 59), at(4, 0, 1)),
        (at(4, 0, 1), at(5, 23, 59)),
        (at(5, 0), at(4, 23, 59)),
    ],
    ids=["the same day", "after midnight", "back over midnight", "nearly two days"],
)
def test_a_retry_with_another_time_is_a_duplicate(send: Send, first: str, again: str) -> None:
    send(event(occurred_at=first))

    assert send(event("other", occurred_at=again), event(occurred_at=again)).counts == (1, 1, 0, 0)
    assert rows() == [("e-1",), ("other",)]


def test_a_batch_over_several_days_meets_duplicates_in_each(send: Send) -> None:
    batch = [event(f"e-{day}", occurred_at=at(day, 12)) for day in range(1, 8)]
    send(*batch[::2])

    assert send(*batch, event("e-1", occurred_at=at(2, 12))).counts == (3, 5, 0, 0)
    assert len(rows()) == 7


def test_other_content_under_the_same_id_is_a_conflict_and_the_first_is_kept(send: Send) -> None:
    send(event(usage={"input_tokens": 1}))

    answer = send(event("new"), event(usage={"input_tokens": 2}))

    assert answer.counts == (1, 0, 1, 0)
    assert answer.body["conflicts"] == [{"index": 1, "event_id": "e-1"}]
    assert rows("event_id, input") == [("e-1", 1), ("new", 100)]
    [(reason, source, event_id, payload)] = rows("reason, source, event_id, payload", "quarantine")
    assert (reason, source, event_id) == ("conflict", "service", "e-1")
    payload = msgspec.json.decode(payload)
    assert payload["usage"] == {"input_tokens": 2}
    assert payload["occurred_at"].startswith("20")


def test_a_conflict_that_is_sent_again_and_again_is_listed_once(send: Send) -> None:
    send(event(team="search"))

    for minutes in range(3):
        answer = send(event(team="ads", occurred_at=minutes_ago(minutes)))
        assert answer.counts == (0, 0, 1, 0)

    assert len(rows("id", "quarantine")) == 1


def test_a_conflict_inside_one_batch_keeps_what_came_first(send: Send) -> None:
    answer = send(event(model="b"), event(model="a"), event(model="b"))

    assert answer.counts == (1, 1, 1, 0)
    assert answer.body["conflicts"] == [{"index": 1, "event_id": "e-1"}]
    assert rows("model", "price_slot")[-1] == ("b",)


def test_followers_of_a_conflict_are_judged_by_what_is_in_the_books(send: Send) -> None:
    send(event(model="a"))

    answer = send(event(model="b"), event(model="b"), event(model="a"))

    assert answer.counts == (0, 1, 2, 0)
    assert [conflict["index"] for conflict in answer.body["conflicts"]] == [0, 1]


@pytest.mark.parametrize(
    "change",
    [{"team": "x"}, {"duration_ms": 5}, {"tags": {"a": "b"}}, {"status": "error"}, {"attempt": 2}],
    ids=lambda change: next(iter(change)),
)
def test_every_field_is_content(send: Send, change: dict[str, Any]) -> None:
    send(event())

    assert send(event(**change)).counts == (0, 0, 1, 0)


def test_the_same_id_from_another_source_is_another_event(send: Send) -> None:
    assert send(event(source="a"), event(source="b")).counts == (2, 0, 0, 0)


def test_another_key_of_the_same_source_repeats_what_the_first_said(send: Send) -> None:
    first, second = issue_key("old", source="chat"), issue_key("new", source="chat")

    send(event(), key=first)

    assert send(event(), key=second).counts == (0, 1, 0, 0)


def test_the_same_usage_read_from_the_provider_is_the_same_content(send: Send) -> None:
    send(event(usage={"input_tokens": 10, "output_tokens": 2, "cache_read_tokens": 4}))
    anthropic = {"input_tokens": 6, "output_tokens": 2, "cache_read_tokens": 4}

    assert send(event(usage=anthropic, usage_semantics="anthropic")).counts == (0, 1, 0, 0)


def test_the_order_of_pairs_says_nothing(send: Send) -> None:
    send(event(tags={"a": "1", "b": "2"}, usage={"units": {"pages": 1, "calls": 2}}))

    again = event(tags={"b": "2", "a": "1"}, usage={"units": {"calls": 2, "pages": 1}})
    assert send(again).counts == (0, 1, 0, 0)


def test_source_and_id_never_run_into_another_pair() -> None:
    pairs = [("a", "1:b"), ("a:1", "b"), ("a:", "1b"), ("1:a", "b"), ("a", "b")]
    events = [
        Decoded(event_id=name, source=source, occurred_at=0, provider="p", model="m")
        for source, name in pairs
    ]

    assert len({tuple(identity) for identity in identities(events).tolist()}) == len(pairs)


def test_a_request_sent_again_under_its_idempotency_key_gets_its_first_answer(send: Send) -> None:
    once = {"Idempotency-Key": "batch-1"}
    both = event("a"), event("b")
    first = send(*both, **once)

    assert send(*both, **once) == first
    assert send(event("a"), event("b")).counts == (0, 2, 0, 0)
    assert send(event("c"), **once).status == 422
    assert send(event("c"), **{"Idempotency-Key": ""}).status == 400
    assert send(event("a"), event("b"), key=issue_key("other"), **once).counts == (2, 0, 0, 0)
