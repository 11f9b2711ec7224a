"""A cheap HTTP client: requests encoded beforehand, many connections, one thread, bounded in time.

It shares the machine with what it measures, so it does as little as it can for each request.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

HOST = "127.0.0.1"
_LONGEST = 600.0


@dataclass(slots=True)
class Outcome:
    """What came of the requests. Times are seconds; ``answered`` are moments of ``perf_counter``."""

    started: float = 0.0
    ended: float = 0.0
    latencies: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    last_body: bytes = b""

    @property
    def seconds(self) -> float:
        return self.ended - self.started

    def require(self, *allowed: int) -> None:
        """Raises RuntimeError when any answer had another status: figures of errors mean nothing."""
        if set(self.statuses) - set(allowed):
            raise RuntimeError(f"unexpected answers {dict(self.statuses)}: {self.last_body[:500]!r}")


def post(
    path: str, body: bytes, key: str, *, gzipped: bool = False, media: str = "application/json"
) -> bytes:
    """A whole request, ready to be sent."""
    encoding = "Content-Encoding: gzip\r\n" if gzipped else ""
    return _request("POST", path, key, body, f"Content-Type: {media}\r\n{encoding}")


def get(path: str, key: str) -> bytes:
    """A whole request without a body."""
    return _request("GET", path, key, b"", "")


def _request(method: str, path: str, key: str, body: bytes, extra: str) -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {key}\r\n"
        f"{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def drive(port: int, requests: Sequence[bytes], *, connections: int, interval: float = 0.0) -> Outcome:
    """Send every request once, each connection one at a time; with ``interval``, not faster than that."""
    return _Drive(port, requests, interval).run(min(connections, len(requests)))


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    received: bytearray = field(default_factory=bytearray)
    sent_at: float = 0.0


class _Drive:
    def __init__(self, port: int, requests: Sequence[bytes], interval: float) -> None:
        self.port, self.requests, self.interval = port, requests, interval
        self.next = 0
        self.selector = selectors.DefaultSelector()
        self.idle: list[_Connection] = []
        self.outcome = Outcome()

    def run(self, connections: int) -> Outcome:
        outcome = self.outcome
        self.idle = [self._connect() for _ in range(connections)]
        outcome.started = time.perf_counter()
        deadline = outcome.started + _LONGEST
        while len(outcome.latencies) < len(self.requests):
            self._hand_out()
            for key, events in self.selector.select(self._patience()):
                if events & selectors.EVENT_WRITE:
                    self._send(key.data)
                if events & selectors.EVENT_READ:
                    self._receive(key.data)
            if time.perf_counter() > deadline:
                raise TimeoutError(
                    f"{len(outcome.latencies)} of {len(self.requests)} answers in {_LONGEST} s"
                )
        outcome.ended = time.perf_counter()
        for connection in self.idle:
            connection.socket.close()
        self.selector.close()
        return outcome

    def _connect(self) -> _Connection:
        made = socket.create_connection((HOST, self.port), timeout=30)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.settimeout(0)
        return _Connection(made)

    def _due(self) -> float:
        return self.outcome.started + self.next * self.interval

    def _patience(self) -> float:
        if self.idle and self.next < len(self.requests):
            return max(0.0, self._due() - time.perf_counter())
        return 1.0

    def _hand_out(self) -> None:
        while self.idle and self.next < len(self.requests) and time.perf_counter() >= self._due():
            connection = self.idle.pop()
            connection.unsent = memoryview(self.requests[self.next])
            connection.received.clear()
            connection.sent_at = time.perf_counter()
            self.next += 1
            self.selector.register(connection.socket, selectors.EVENT_WRITE, connection)
            self._send(connection)

    def _send(self, connection: _Connection) -> None:
        try:
            count = connection.socket.send(connection.unsent)
        except BlockingIOError:
            return
        connection.unsent = connection.unsent[count:]
        if not connection.unsent:
            self.selector.modify(connection.socket, selectors.EVENT_READ, connection)

    def _receive(self, connection: _Connection) -> None:
        piece = connection.socket.recv(262_144)
        connection.received += piece
        head_end = connection.received.find(b"\r\n\r\n")
        if head_end < 0:
            if not piece:
                raise ConnectionError("the server closed a connection without an answer")
            return
        head = bytes(connection.received[:head_end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else None
        whole = not piece if length is None else len(connection.received) >= head_end + 4 + length
        if whole:
            self._answered(connection, head, head_end)

    def _answered(self, connection: _Connection, head: bytes, head_end: int) -> None:
        now = time.perf_counter()
        outcome = self.outcome
        status = int(head[9:12])
        outcome.statuses[status] += 1
        outcome.latencies.append(now - connection.sent_at)
        outcome.answered.append(now)
        if status >= 300 or len(outcome.latencies) == len(self.requests):
            outcome.last_body = bytes(connection.received[head_end + 4 :])
        self.selector.unregister(connection.socket)
        if b"connection: close" in head:
            connection.socket.close()
            if self.next >= len(self.requests):
                return
            connection = self._connect()
        self.idle.append(connection)
