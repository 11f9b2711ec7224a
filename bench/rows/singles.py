"""Single-event POSTs a second from many connections at once."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench import client, traffic
from bench.instance import Server
from bench.results import Row
from bench.scales import Scale

CONNECTIONS = 32


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """Against a view on the same server that reads the body and does nothing."""
    ours, empty = [], []
    for number in range(scale.rounds):
        some = traffic.calls(scale.singles, seed=900 + number)
        bodies = traffic.single_bodies(some, prefix=f"single-{number}")
        empty.append(_rate(server, "/bench/empty", bodies))
        ours.append(_rate(server, "/api/v1/events", bodies))
    yield Row(
        name="single_posts", value=median(ours), unit="requests/s", reference=median(empty),
        ratio=median(ours) / median(empty), against=f"an empty view, {CONNECTIONS} connections",
        target=">= 0.35",
    )  # fmt: skip


def _rate(server: Server, path: str, bodies: list[bytes]) -> float:
    requests = [client.post(path, body, server.ingest_key) for body in bodies]
    outcome = client.drive(server.port, requests, connections=CONNECTIONS)
    outcome.require(200)
    return len(requests) / outcome.seconds
