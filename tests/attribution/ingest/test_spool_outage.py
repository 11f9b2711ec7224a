"""PostgreSQL stopped, killed and frozen under real web processes: acknowledged, kept, booked once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from attribution.ingest.intake import Sender
from attribution.ingest.spool_files import SET_ASIDE, Record, encode, segments
from finops.embedded.postgres import Postgres
from tests.attribution.ingest.webs import (
    Web,
    ask,
    booked,
    change,
    environment_of,
    event,
    kill,
    manage,
    new_database,
    signal_all,
)
from tests.instances import ROOT, eventually


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, str]]:
    """A server and a key; making one takes a while."""
    database, key = new_database(tmp_path_factory.mktemp("outage"))
    yield database, key
    with suppress(Exception):
        database.start()
    database.stop()


@pytest.fixture
def web(given: tuple[Postgres, str]) -> Iterator[Web]:
    """A web process in front of an empty, running database."""
    database, key = given
    if not database.is_up():
        database.start()
    change(database, "TRUNCATE call_event, call_unit, ingest_batch, quarantine")
    web = Web.start(database, key)
    yield web
    with suppress(OSError):
        signal_all(database, signal.SIGCONT)
    web.stop()
    for segment in segments(web.spool):
        segment.path.unlink()


def restarted(web: Web) -> Web:
    """Another process in the place of one that is killed."""
    web.kill()
    again = Web.start(web.database, web.key)
    web.process, web.port = again.process, again.port
    return web


def test_events_of_an_outage_are_acknowledged_and_booked_once(web: Web) -> None:
    assert web.send(["before"])[0] == 200
    web.database.stop()
    status, answer = web.send(["one", "two", "before"])
    assert (status, answer["spooled"], answer["rejected"]) == (202, 3, [])
    started = time.monotonic()
    assert [web.send([f"more-{number}"])[0] for number in range(10)] == [202] * 10
    assert time.monotonic() - started < 2

    web.database.start()
    assert eventually(web.is_drained)
    assert booked(web.database) == sorted(
        ["before", "one", "two", *(f"more-{number}" for number in range(10))]
    )
    assert ask(web.database, "SELECT sum(accepted), sum(duplicates) FROM ingest_batch") == [(13, 1)]
    assert web.send(["after"])[0] == 200


def test_rules_are_answered_during_an_outage_and_what_breaks_them_is_not_kept(web: Web) -> None:
    web.send(["before"])
    web.database.stop()
    events = [event("good"), event("bad", model=""), event("told", messages=["secret words"])]
    status, answer, _ = web.ask("POST", "/api/v1/events", {"events": events})
    assert (status, answer["spooled"], answer["content_dropped"]) == (202, 2, 1)
    assert [(each["index"], each["field"]) for each in answer["rejected"]] == [(1, "model")]
    assert not any(b"secret words" in segment.path.read_bytes() for segment in segments(web.spool))
    nothing = web.send(["worse"], model="")
    assert (nothing[0], nothing[1]["accepted"], len(nothing[1]["rejected"])) == (200, 0, 1)
    assert web.ask("POST", "/api/v1/events", {"events": [event("x")]}, key="fk_unknown")[0] == 503


def test_of_two_events_with_one_identity_the_first_acknowledged_is_kept(web: Web) -> None:
    web.send(["before"])
    web.database.stop()
    assert web.send(["same"], usage={"input_tokens": 1})[0] == 202
    restarted(web)
    assert web.send(["same"], usage={"input_tokens": 2})[0] == 202
    restarted(web)
    assert web.send(["same"], usage={"input_tokens": 3})[0] == 202
    web.database.start()
    assert eventually(web.is_drained)
    assert ask(web.database, "SELECT input FROM call_event WHERE event_id = 'same'") == [(1,)]
    assert ask(web.database, "SELECT count(*) FROM quarantine WHERE event_id = 'same'") == [(2,)]


def test_a_killed_web_process_leaves_its_backlog_to_the_next(web: Web) -> None:
    web.send(["before"])
    kill(web.database)
    assert web.send(["old-1", "old-2"])[0] == 202
    web.kill()
    web.database.start()
    again = Web.start(web.database, web.key)
    try:
        assert eventually(web.is_drained)
        assert booked(web.database) == ["before", "old-1", "old-2"]
    finally:
        again.stop()


def test_a_server_that_hangs_costs_one_wait_and_loses_nothing(web: Web) -> None:
    web.send(["before"])
    signal_all(web.database, signal.SIGSTOP)
    with ThreadPoolExecutor(8) as threads:
        started = time.monotonic()
        answers = list(threads.map(lambda number: web.send([f"hung-{number}"])[0], range(8)))
        assert time.monotonic() - started < 30
        assert answers == [202] * 8
        started = time.monotonic()
        assert list(threads.map(lambda number: web.send([f"fast-{number}"])[0], range(8))) == [202] * 8
        assert time.monotonic() - started < 2
    signal_all(web.database, signal.SIGCONT)
    assert eventually(web.is_drained)
    names = [f"{word}-{number}" for word in ("fast", "hung") for number in range(8)]
    assert booked(web.database) == sorted(["before", *names])


def test_a_replay_killed_again_and_again_books_everything_once(web: Web) -> None:
    web.send(["before"])
    web.database.stop()
    for number in range(60):
        assert web.send([f"{number}-{place}" for place in range(500)])[0] == 202
    web.kill()
    web.database.start()
    for _ in range(3):
        so_far = len(booked(web.database))
        replay = subprocess.Popen(
            [sys.executable, "manage.py", "replay_spool"], cwd=ROOT, env=environment_of(web.database)
        )
        eventually(lambda so_far=so_far: len(booked(web.database)) > so_far)  # type: ignore[misc]
        os.kill(replay.pid, signal.SIGKILL)
        replay.wait(30)
    manage(web.database, "replay_spool")
    assert web.is_drained()
    ids = [f"{number}-{place}" for number in range(60) for place in range(500)]
    assert booked(web.database) == sorted(["before", *ids])
    assert ask(web.database, "SELECT sum(accepted) FROM ingest_batch") == [(30_001,)]


def test_a_full_spool_is_a_503_that_says_when_to_come_again(given: tuple[Postgres, str]) -> None:
    database, key = given
    if not database.is_up():
        database.start()
    web = Web.start(database, key, SPOOL_MAX_BYTES=str(1 << 20))
    try:
        web.send(["before"])
        database.stop()
        (web.spool / f"{1:020d}-filler.spool").write_bytes(bytes(1 << 20))
        status, problem, headers = web.ask("POST", "/api/v1/events", {"events": [event("late")]})
        assert (status, headers["Content-Type"]) == (503, "application/problem+json")
        assert "the spool is full" in problem["detail"]
        assert int(headers["Retry-After"]) > 0
        assert problem["errors"] == []
    finally:
        web.stop()
        (web.spool / f"{1:020d}-filler.spool").unlink()


def test_a_record_nobody_can_replay_holds_nothing_up_and_is_not_lost(web: Web) -> None:
    web.send(["before"])
    web.database.stop()
    assert web.send(["good"])[0] == 202
    web.kill()
    spoil(web.spool)
    web.database.start()
    manage(web.database, "replay_spool")
    assert booked(web.database) == ["before", "good"]
    (kept,) = (web.spool / SET_ASIDE).iterdir()
    assert b"SP1" in kept.read_bytes()
    kept.unlink()


def spoil(spool: Path) -> None:
    """Put a record of a kind that this version does not know in front."""
    (spool / f"{1:020d}-stranger.spool").write_bytes(encode(Record("1", 1, "unknown", 1, Sender("app"), b"")))


def outcome(task: str, **said: object) -> dict[str, object]:
    return {"task_id": task, "outcome": "success", "occurred_at": "2026-10-05T12:00:00Z", **said}


def test_outcomes_of_an_outage_are_kept_once(web: Web) -> None:
    change(web.database, "TRUNCATE task_outcome")
    assert web.ask("POST", "/api/v1/outcomes", {"outcomes": [outcome("before")]})[0] == 200
    web.database.stop()
    worth = outcome("one", value_usd="12.500001", outcome="escalated")
    sent = {"outcomes": [worth, outcome("before"), {"task_id": "bad"}]}
    for _ in range(2):
        status, answer, _ = web.ask("POST", "/api/v1/outcomes", sent)
        assert (status, answer["spooled"], len(answer["rejected"])) == (202, 2, 1)
    web.kill()
    kept = {segment.path: segment.path.read_bytes() for segment in segments(web.spool)}

    web.database.start()
    manage(web.database, "replay_spool")
    for path, content in kept.items():  # as after a crash between the commit and the removal of the file
        path.write_bytes(content)
    manage(web.database, "replay_spool")

    assert web.is_drained()
    assert ask(
        web.database,
        "SELECT task_id, outcome, value_usd::text, source, sent_by FROM task_outcome ORDER BY task_id",
    ) == [("before", 0, None, "app", "key: app"), ("one", 1, "12.500001", "app", "key: app")]


def test_revenue_of_an_outage_is_a_503_that_says_when_to_come_again(web: Web) -> None:
    key = manage(web.database, "api_key", "finance", "--scope", "write").strip()
    assert web.ask("GET", "/api/v1/revenue", key=key)[0] == 200
    web.database.stop()
    said = {"period": "2026-10", "revenue": "1", "currency": "USD"}

    status, problem, headers = web.ask("POST", "/api/v1/revenue", said, key=key)

    assert (status, headers["Content-Type"]) == (503, "application/problem+json")
    assert int(headers["Retry-After"]) > 0
    assert problem["errors"] == []
