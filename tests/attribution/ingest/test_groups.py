"""Group commit: small posts share a transaction, and nobody pays for another's failure."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connections

from attribution.ingest import groups, writer
from attribution.ingest.intake import Sender, take_in
from attribution.ingest.native import from_records
from attribution.ingest.outcome import Outcome
from attribution.ingest.post import Post
from finops.core.errors import Unavailable
from tests.attribution.ingest.conftest import event, rows

pytestmark = pytest.mark.usefixtures("transactional_db")
SENDER = Sender("app")


def post(event_id: str, **fields: Any) -> Outcome:
    """One event, as one request, from a thread of its own."""
    try:
        return take_in(from_records([event(event_id, **fields)]), SENDER)
    finally:
        connections.close_all()


def test_posts_that_wait_together_are_written_together_and_answered_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    first_is_writing, go_on = threading.Event(), threading.Event()
    write = writer.write

    def slow_first(posts: list[Post]) -> list[Outcome]:
        sizes.append(len(posts))
        if len(sizes) == 1:
            first_is_writing.set()
            go_on.wait(10)
        return write(posts)

    monkeypatch.setattr(writer, "write", slow_first)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(post, "first")
        first_is_writing.wait(10)
        others = [pool.submit(post, name) for name in ("a", "b", "b", "c", "first")]
        while len(groups._waiting) < len(others):
            threading.Event().wait(0.01)
        go_on.set()
        outcomes = [future.result(20) for future in (first, *others)]

    assert sizes == [1, 5]
    assert sorted(outcome.accepted for outcome in outcomes) == [0, 0, 1, 1, 1, 1]
    assert sum(outcome.duplicates for outcome in outcomes) == 2
    assert rows() == [("a",), ("b",), ("c",), ("first",)]
    assert rows("accepted, duplicates", "ingest_batch") == [(1, 0), (3, 2)]


def test_one_post_that_cannot_be_written_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    write = writer.write

    def fragile(posts: list[Post]) -> list[Outcome]:
        if any(sent.arrivals.events[0].event_id == "bad" for sent in posts):
            raise ArithmeticError("bad")
        return write(posts)

    monkeypatch.setattr(writer, "write", fragile)
    waiting = [
        groups._Waiting(Post.of(from_records([event(name, source="app")]), "", "").identify())
        for name in ("a", "bad", "b")
    ]

    groups._write_group(waiting)

    assert [type(each.error) for each in waiting] == [type(None), ArithmeticError, type(None)]
    assert rows() == [("a",), ("b",)]


def test_when_the_database_is_away_everybody_in_the_group_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[int] = []

    def away(posts: list[Post]) -> list[Outcome]:
        tries.append(len(posts))
        raise Unavailable("away")

    monkeypatch.setattr(writer, "write", away)
    waiting = [groups._Waiting(Post.of(from_records([event(name)]), "", "")) for name in "abc"]

    groups._write_group(waiting)

    assert tries == [3]
    assert all(isinstance(each.error, Unavailable) for each in waiting)


def test_a_database_that_is_away_is_unavailable_and_nothing_is_half_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(writer, "_note_batch", fail)

    with pytest.raises(Unavailable) as refused:
        post("e")

    assert refused.value.status == 503
    assert rows() == []


def test_many_threads_with_the_same_events_keep_each_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        names = [f"e-{n % 10}" for n in range(80)]
        moment = event()["occurred_at"]
        outcomes = list(pool.map(lambda name: post(name, occurred_at=moment), names))

    assert sum(outcome.accepted for outcome in outcomes) == 10
    assert sum(outcome.duplicates for outcome in outcomes) == 70
    assert len(rows()) == 10
