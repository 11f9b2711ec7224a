"""Events a second to durable commit in formats that are not ours, against ours in the same run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

import psycopg

from bench import client, spans, traffic
from bench.instance import Server, wait_until_folded
from bench.results import Row
from bench.scales import Scale

BATCH = 500
CONNECTIONS = 4
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_LONGEST_SETTLING = 600.0


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """Rounds of all three take turns; bodies of as many calls each, gzipped."""
    count = scale.ingest_events // 4
    rates: dict[str, list[float]] = {"native": [], "otlp": [], "litellm": [], "settled": []}
    with server.connect() as connection:
        for number in range(scale.rounds):
            some = traffic.calls(count, seed=700 + number)
            bodies: dict[str, tuple[str, str, Iterator[bytes]]] = {
                "native": (
                    "/api/v1/events",
                    _JSON,
                    traffic.json_bodies(some, prefix=f"n{number}", size=BATCH),
                ),
                "otlp": ("/v1/traces", _PROTOBUF, spans.otlp_bodies(some, prefix=f"o{number}", size=BATCH)),
                "litellm": (
                    "/api/v1/ingest/litellm",
                    _JSON,
                    spans.litellm_bodies(some, prefix=f"l{number}", size=BATCH),
                ),
            }
            for name, (path, media, each) in bodies.items():
                with server.without_beat():
                    seconds = _send(server, path, media, each)
                rates[name].append(count / seconds)
                if name == "otlp":
                    rates["settled"].append(count / (seconds + _settling(connection)))
                wait_until_folded(connection)
    native = median(rates["native"])
    for name, target in (("otlp", ">= 0.5"), ("litellm", ">= 0.5"), ("settled", ">= 0.25")):
        label = "otlp_settled" if name == "settled" else f"{name}_durable"
        yield Row(
            name=label, value=median(rates[name]), unit="events/s", reference=native,
            ratio=median(rates[name]) / native, against=f"native JSON, also {BATCH} events a request",
            target=target,
        )  # fmt: skip


def _send(server: Server, path: str, media: str, bodies: Iterator[bytes]) -> float:
    requests = [
        client.post(path, traffic.gzipped(body), server.ingest_key, gzipped=True, media=media)
        for body in bodies
    ]
    outcome = client.drive(server.port, requests, connections=CONNECTIONS)
    outcome.require(200)
    return outcome.seconds


def _settling(connection: psycopg.Connection) -> float:
    """Seconds until no span waits any more."""
    started = time.perf_counter()
    while connection.execute("SELECT 1 FROM otlp_span WHERE fate IN (0, 2) LIMIT 1").fetchone():
        if time.perf_counter() - started > _LONGEST_SETTLING:
            raise TimeoutError(f"spans were not settled within {_LONGEST_SETTLING:.0f} s")
        time.sleep(0.05)
    return time.perf_counter() - started
