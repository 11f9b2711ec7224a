"""What is recorded inside a context, a task or a step carries its names; a task ends with an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from decimal import Decimal
from typing import Any

import pytest
from finops_client import Client

from tests.client.conftest import record
from tests.client.recording import Server, answer

OUTCOMES = "/api/v1/outcomes"


def outcomes(server: Server) -> list[dict[str, Any]]:
    """Every outcome that arrived, without its time."""
    found = [one for request in server.received if request.path == OUTCOMES for one in request.records]
    return [{name: value for name, value in one.items() if name != "occurred_at"} for one in found]


def names_of(server: Server, event_id: str) -> dict[str, Any]:
    """Whom and what an event was for."""
    plain = {"event_id", "occurred_at", "provider", "model", "usage"}
    return {name: value for name, value in server.stored[event_id].items() if name not in plain}


def test_everything_inside_inherits_and_the_nearest_name_wins(server: Server, client: Client) -> None:
    (outside,) = record(client)
    with client.task("t-1", feature="answers", team="search", session="s-1", tags={"a": "1"}) as task:
        (inside,) = record(client, tags={"b": "2"})
        with task.step("retrieve", feature="retrieval"):
            (deeper,) = record(client, team="platform")
        (after,) = record(client)
    assert client.flush()

    task_names = {"task_id": "t-1", "session_id": "s-1", "feature": "answers", "team": "search"}
    assert names_of(server, outside) == {}
    assert names_of(server, inside) == {**task_names, "tags": {"a": "1", "b": "2"}}
    assert names_of(server, deeper) == {
        **task_names,
        "tags": {"a": "1"},
        "feature": "retrieval",
        "team": "platform",
        "step": "retrieve",
    }
    assert names_of(server, after) == {**task_names, "tags": {"a": "1"}}


def test_names_of_the_client_hold_for_all(server: Server) -> None:
    with Client(server.url, "fk_test", source="app", names={"environment": "staging"}) as client:
        (name,) = record(client)

    assert names_of(server, name) == {"source": "app", "environment": "staging"}


def test_an_inner_task_has_an_id_and_an_outcome_of_its_own(server: Server, client: Client) -> None:
    with client.task("outer", workflow="agent"), client.task("inner") as inner:
        (name,) = record(client)
        inner.fail()
    assert client.flush()

    assert names_of(server, name) == {"task_id": "inner", "workflow": "agent"}
    assert outcomes(server) == [
        {"task_id": "inner", "outcome": "failure"},
        {"task_id": "outer", "outcome": "success"},
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (lambda task: None, {"outcome": "success"}),
        (lambda task: task.succeed(Decimal("1.10")), {"outcome": "success", "value_usd": "1.10"}),
        (lambda task: task.succeed(2), {"outcome": "success", "value_usd": "2"}),
        (lambda task: task.fail(), {"outcome": "failure"}),
        (lambda task: task.escalate(), {"outcome": "escalated"}),
        (lambda task: (task.succeed(5), task.escalate()), {"outcome": "escalated"}),
    ],
)
def test_what_is_said_of_a_task_is_its_outcome(
    server: Server, client: Client, said: Any, expected: dict[str, str]
) -> None:
    with client.task("t-1") as task:
        said(task)
    assert client.flush()

    assert outcomes(server) == [{"task_id": "t-1", **expected}]


def test_an_exception_is_a_failure_and_passes_on(server: Server, client: Client) -> None:
    with pytest.raises(KeyError), client.task("t-1"):
        raise KeyError
    task = client.task("t-2")
    task.escalate()
    with pytest.raises(KeyError), task:
        raise KeyError
    assert client.flush()

    assert outcomes(server) == [
        {"task_id": "t-1", "outcome": "failure"},
        {"task_id": "t-2", "outcome": "escalated"},
    ]


def test_a_task_without_a_default_sends_only_what_is_said(server: Server, client: Client) -> None:
    with pytest.raises(KeyError), client.task("t-1", outcome=None):
        raise KeyError
    with client.task("t-2", outcome=None):
        pass
    with client.task("t-3", outcome=None) as task:
        task.succeed()
    client.outcome("t-2", "escalated")
    assert client.flush()

    assert outcomes(server) == [
        {"task_id": "t-3", "outcome": "success"},
        {"task_id": "t-2", "outcome": "escalated"},
    ]


def test_an_outcome_is_sent_again_until_it_is_answered(server: Server, client: Client) -> None:
    server.plan.append(server.lose_answer)

    client.outcome("t-1", "success")
    assert client.flush()

    assert [one.body for one in server.received] == [server.received[0].body] * 2


def test_an_older_server_that_knows_no_outcomes_gets_the_events(
    server: Server, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    server.always = lambda one: answer(404)(one) if one.path == OUTCOMES else server.store(one)

    for _ in range(3):
        with client.task():
            record(client)
        assert client.flush()

    assert len(server.stored) == 3
    assert client.stats.dropped == {"unsupported": 3}
    assert len([text for text in caplog.messages if text.startswith("Given up")]) == 1


def test_asyncio_tasks_keep_their_names_apart(server: Server, client: Client) -> None:
    async def work(number: int) -> str:
        with client.task(f"t-{number}", outcome=None):
            await asyncio.sleep(0.01)
            return record(client)[0]

    async def all_of_it() -> list[str]:
        return await asyncio.gather(*(work(number) for number in range(20)))

    # In a thread of its own: a browser's test before this one may have left a loop running in ours.
    with ThreadPoolExecutor(1) as thread:
        ids = thread.submit(asyncio.run, all_of_it()).result()
    assert client.flush()

    assert [server.stored[name]["task_id"] for name in ids] == [f"t-{number}" for number in range(20)]


def test_a_context_left_from_elsewhere_does_no_harm(server: Server, client: Client) -> None:
    def dependency() -> Generator[None]:
        with client.context(feature="answers"):
            yield

    running = dependency()
    copy_context().run(next, running)
    running.close()
    (name,) = record(client)
    assert client.flush()

    assert names_of(server, name) == {}
