"""Events a second into the spool while PostgreSQL hangs, and out of it when it is back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bench import client, traffic
from bench.instance import Server, wait_until_folded
from bench.results import Row
from bench.scales import Scale

BATCH = 1_000
CONNECTIONS = 4
_LONGEST_REPLAY = 300.0


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """One round: an outage is costly. Before and after it the same number of events goes straight in."""
    events = scale.ingest_events
    _send(server, events // 10, "spool-warm", 200)
    before = events / _send(server, events, "spool-before", 200).seconds
    with _hanging(server):
        _find_out(server)
        spooled = events / _send(server, events, "spool-kept", 202).seconds
    replayed = events / _replay_seconds(server)
    _check(server, events)
    after = events / _send(server, events, "spool-after", 200).seconds
    direct = (before + after) / 2
    for name, rate in (("spool_write", spooled), ("spool_replay", replayed)):
        yield Row(
            name=name, value=rate, unit="events/s", reference=direct, ratio=rate / direct,
            against="the same batches straight to durable commit, fold running", target=">= 0.5",
        )  # fmt: skip


@contextmanager
def _hanging(server: Server) -> Iterator[None]:
    """While no process of PostgreSQL runs; nobody is told that it is gone."""
    stopped = server.processes("postgres")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _find_out(server: Server) -> None:
    """Every web process notices; the wait for it is not what is measured."""
    for number in range(3):
        bodies = traffic.single_bodies(traffic.calls(16, seed=number), prefix=f"spool-noticed-{number}")
        requests = [client.post("/api/v1/events", body, server.ingest_key) for body in bodies]
        client.drive(server.port, requests, connections=16).require(202)


def _send(server: Server, count: int, prefix: str, status: int) -> client.Outcome:
    some = traffic.calls(count, seed=sum(prefix.encode()))
    requests = [
        client.post("/api/v1/events", traffic.gzipped(body), server.ingest_key, gzipped=True)
        for body in traffic.json_bodies(some, prefix=prefix, size=BATCH)
    ]
    outcome = client.drive(server.port, requests, connections=CONNECTIONS)
    outcome.require(status)
    return outcome


def _replay_seconds(server: Server) -> float:
    """From the moment that PostgreSQL runs again: noticing it and sealing the files are part of it."""
    started = time.perf_counter()
    while any((server.instance.root / "spool").glob("*.spool")):
        if time.perf_counter() - started > _LONGEST_REPLAY:
            raise TimeoutError(f"the spool was not replayed within {_LONGEST_REPLAY:.0f} s")
        time.sleep(0.02)
    return time.perf_counter() - started


def _check(server: Server, events: int) -> None:
    """Raises RuntimeError unless every spooled event is in the books, once."""
    with server.connect() as connection:
        row = connection.execute(
            "SELECT count(*), count(DISTINCT event_id) FROM call_event WHERE event_id LIKE 'spool-kept%'"
        ).fetchone()
        if row != (events, events):
            raise RuntimeError(f"{events} events were spooled, and {row} are in the books")
        wait_until_folded(connection)
