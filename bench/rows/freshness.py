"""How soon after its acknowledgement an event is in the reports, at a steady rate."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from bench import client, traffic
from bench.instance import Server
from bench.results import Row
from bench.scales import Scale

BATCH = 1_000
LIMIT_SECONDS = 3.0
_POLL_SECONDS = 0.1
_LONGEST = 60.0


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """p95, over batches, from the acknowledgement until ``GET /api/v1/costs`` counts the batch."""
    batch = min(BATCH, scale.freshness_rate // 4)
    count = scale.freshness_rate * scale.freshness_seconds // batch
    some = traffic.calls(count * batch, seed=777)
    requests = [
        client.post("/api/v1/events", traffic.gzipped(body), server.ingest_key, gzipped=True)
        for body in traffic.json_bodies(some, prefix="fresh", size=batch)
    ]
    poller = _Poller(server)
    poller.start()
    outcome = client.drive(server.port, requests, connections=8, interval=batch / scale.freshness_rate)
    outcome.require(200)
    poller.stop_when(count * batch)
    delays = poller.delays(outcome.answered, batch)
    p95 = float(np.percentile(delays, 95))
    rate = count * batch / outcome.seconds
    yield Row(
        name="freshness", value=p95, unit="s, p95", reference=LIMIT_SECONDS, ratio=p95 / LIMIT_SECONDS,
        against=f"the limit, at {rate:.0f} events/s", target="<= 1",
    )  # fmt: skip


class _Poller(threading.Thread):
    """Asks for the number of calls again and again; notes when it was asked and what it was."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(client.HOST, server.port, timeout=60)
        self.headers = {"Authorization": f"Bearer {server.read_key}"}
        until = traffic.today()
        self.path = f"/api/v1/costs?from={until - timedelta(days=2)}&to={until}&measures=calls"
        self.seen: list[tuple[float, int]] = []
        self.before = self._ask()
        self.wanted: int | None = None

    def run(self) -> None:
        deadline = None
        while self.wanted is None or not self.seen or self.seen[-1][1] < self.wanted:
            self.seen.append((time.perf_counter(), self._ask() - self.before))
            if self.wanted is not None:
                deadline = deadline or time.perf_counter() + _LONGEST
                if time.perf_counter() > deadline:
                    return
            time.sleep(_POLL_SECONDS)

    def stop_when(self, calls: int) -> None:
        """Go on until all these calls are seen, and wait for that."""
        self.wanted = calls
        self.join(_LONGEST * 2)

    def delays(self, answered: list[float], batch: int) -> list[float]:
        """For each batch the time from its acknowledgement to the first answer that held it."""
        moments = np.array([moment for moment, _ in self.seen])
        counts = np.array([calls for _, calls in self.seen])
        if counts[-1] < len(answered) * batch:
            raise TimeoutError(f"{counts[-1]} of {len(answered) * batch} calls became visible")
        needed = (np.arange(len(answered)) + 1) * batch
        visible = moments[np.searchsorted(counts, needed)] - np.array(sorted(answered))
        return [max(0.001, float(delay)) for delay in visible]

    def _ask(self) -> int:
        self.connection.request("GET", self.path, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{answer.status}: {body[:500]!r}")
        return int(json.loads(body)["total"]["calls"] or 0)
