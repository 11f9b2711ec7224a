"""Events a second over HTTP to durable commit, and to fully folded rollups."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import psycopg

from bench import client, traffic
from bench.instance import Server, resident_megabytes, wait_until_folded
from bench.results import Row
from bench.scales import Scale

BATCH = 1_000
CONNECTIONS = 4


@dataclass(slots=True)
class _Rates:
    copied: list[float] = field(default_factory=list)
    durable: list[float] = field(default_factory=list)
    folded: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    # Processor time in microseconds an event; steadier than wall time on a shared machine.
    copied_cpu: list[float] = field(default_factory=list)
    durable_cpu: list[float] = field(default_factory=list)
    folded_cpu: list[float] = field(default_factory=list)


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """Interleaved rounds of the reference, the ingest alone, the ingest with its fold, and plain Django."""
    rates = _Rates()
    with server.connect() as connection:
        _send(server, scale.ingest_events // 10, "warm")
        wait_until_folded(connection)
        for number in range(scale.rounds):
            clock = server.clock()
            rates.copied.append(_copy(connection, scale.ingest_events, number))
            rates.copied_cpu.append(_cpu(server, clock, scale))
            with server.without_beat():
                clock = server.clock()
                sent = _send(server, scale.ingest_events, f"d{number}")
                rates.durable_cpu.append(_cpu(server, clock, scale))
            rates.durable.append(scale.ingest_events / sent.seconds)
            wait_until_folded(connection)
            clock = server.clock()
            rates.folded.append(_folded_rate(server, connection, scale.ingest_events, f"f{number}"))
            rates.folded_cpu.append(_cpu(server, clock, scale))
            rates.plain.append(_plain(server, scale.drf_events, number))
            rates.megabytes.append(max(resident_megabytes(server.processes("gunicorn"))))
        _check_sums(connection)
    yield from _rows(rates)


def _rows(rates: _Rates) -> Iterator[Row]:
    copied, durable, folded = median(rates.copied), median(rates.durable), median(rates.folded)
    plain = median(rates.plain)
    raw = "text COPY of the same rows into one unindexed table, one connection"
    yield Row(
        name="ingest_durable", value=durable, unit="events/s", reference=copied,
        ratio=durable / copied, against=raw, target=">= 0.30",
    )  # fmt: skip
    yield Row(
        name="ingest_folded", value=folded, unit="events/s", reference=copied,
        ratio=folded / copied, against=raw, target=">= 0.22",
    )  # fmt: skip
    yield Row(
        name="ingest_folded_against_django", value=folded, unit="events/s", reference=plain,
        ratio=folded / plain, against="DRF serializer and bulk_create, same server", target=">= 10",
    )  # fmt: skip
    for name, used in (("durable", rates.durable_cpu), ("folded", rates.folded_cpu)):
        yield Row(
            name=f"ingest_{name}_cpu", value=median(used), unit="CPU us/event, all processes",
            reference=median(rates.copied_cpu), ratio=median(used) / median(rates.copied_cpu),
            against=raw, target="<= 8" if name == "durable" else "<= 12",
        )  # fmt: skip
    first, last = rates.megabytes[0], rates.megabytes[-1]
    yield Row(
        name="web_memory", value=max(rates.megabytes), unit="MB resident", reference=first,
        ratio=last / first, against="the same after the first round", target="<= 1.1 and <= 250 MB",
    )  # fmt: skip


def _cpu(server: Server, clock: dict[int, float], scale: Scale) -> float:
    return server.used_since(clock) / scale.ingest_events * 1e6


def _send(server: Server, count: int, prefix: str) -> client.Outcome:
    some = traffic.calls(count, seed=sum(prefix.encode()))
    requests = [
        client.post("/api/v1/events", traffic.gzipped(body), server.ingest_key, gzipped=True)
        for body in traffic.json_bodies(some, prefix=f"bench-{prefix}", size=BATCH)
    ]
    outcome = client.drive(server.port, requests, connections=CONNECTIONS)
    outcome.require(200)
    return outcome


def _folded_rate(server: Server, connection: psycopg.Connection, count: int, prefix: str) -> float:
    outcome = _send(server, count, prefix)
    return count / (wait_until_folded(connection) - outcome.started)


def _copy(connection: psycopg.Connection, count: int, number: int) -> float:
    rows = traffic.raw_rows(traffic.calls(count, seed=number), prefix="raw")
    connection.execute(traffic.raw_table("bench_raw"))
    connection.execute("TRUNCATE bench_raw")
    started = time.perf_counter()
    with connection.cursor().copy("COPY bench_raw FROM STDIN") as copy:
        for start in range(0, len(rows), 1 << 20):
            copy.write(rows[start : start + (1 << 20)])
    return count / (time.perf_counter() - started)


def _plain(server: Server, count: int, number: int) -> float:
    some = traffic.calls(count, seed=number)
    requests = [
        client.post("/bench/drf/events", body, server.ingest_key)
        for body in traffic.json_bodies(some, prefix=f"plain-{number}", size=min(BATCH, max(1, count // 4)))
    ]
    outcome = client.drive(server.port, requests, connections=CONNECTIONS)
    outcome.require(200)
    return count / outcome.seconds


def _check_sums(connection: psycopg.Connection) -> None:
    """What was sent, what is stored and what is rolled up are the same."""
    meters = "sum(input + cache_read + cache_write + cache_write_1h + output + reasoning)"
    stored = connection.execute(f"SELECT count(*), {meters} FROM call_event").fetchone()
    for table in ("usage_hour", "usage_day"):
        rolled = connection.execute(f"SELECT sum(calls), {meters} FROM {table}").fetchone()
        if stored != rolled:
            raise RuntimeError(f"{table} holds {rolled}, the calls are {stored}")
    accepted = connection.execute("SELECT sum(accepted) FROM ingest_batch").fetchone()
    if accepted is None or stored is None or accepted[0] != stored[0]:
        raise RuntimeError(f"accepted {accepted}, stored {stored}")
