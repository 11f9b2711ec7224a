"""A server that takes events as the real one does, keeps what it was sent, and misbehaves on request."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import zstandard

Content = dict[str, Any] | str  # Any: JSON
Reply = tuple[int, Content, dict[str, str]]


@dataclass(frozen=True)
class Received:
    """One request as it arrived; ``body`` is decompressed."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def records(self) -> list[dict[str, Any]]:
        """The events or outcomes of the body."""
        return next(iter(json.loads(self.body).values()))

    @property
    def ids(self) -> list[str]:
        """Their ids, in order."""
        return [str(record.get("event_id", record.get("task_id"))) for record in self.records]


class Server(ThreadingHTTPServer):
    """Answers what ``plan`` says for the next requests, and afterwards as a healthy server."""

    daemon_threads = True
    # With a short queue a busy machine drops connections that their clients believe to have.
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[Received] = []
        self.stored: dict[str, dict[str, Any]] = {}
        self.plan: deque[Callable[[Received], Reply | None]] = deque()
        # Asked for every request after the plan; None is a connection that is cut.
        self.always: Callable[[Received], Reply | None] = self.store
        self.connections = 0
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def store(self, received: Received) -> Reply:
        """Keep every record once, and say so."""
        with self.lock:
            new = [name for name in received.ids if name not in self.stored]
            self.stored.update(zip(received.ids, received.records, strict=True))
        counts = {"accepted": len(new), "duplicates": len(received.ids) - len(new)}
        return (
            200,
            {**counts, "conflicts": [], "rejected": [], "content_dropped": 0, "unknown_fields": []},
            {},
        )

    def lose_answer(self, received: Received) -> None:
        """Keep the records, but cut the connection instead of saying so."""
        self.store(received)

    def stop(self) -> None:
        """End it and wait for that."""
        self.shutdown()
        self.thread.join()
        self.server_close()


def answer(status: int, content: Content | None = None, **headers: str) -> Callable[[Received], Reply]:
    """Always this status, whatever is sent."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: (status, content or {"title": "as planned", "status": status}, named)


def cut(_: Received) -> None:
    """Close the connection without having kept anything."""


def slowly(seconds: float, then: Callable[[Received], Reply | None]) -> Callable[[Received], Reply | None]:
    """Take that long."""

    def wait(received: Received) -> Reply | None:
        time.sleep(seconds)
        return then(received)

    return wait


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        encoding = self.headers.get("Content-Encoding")
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "zstd":
            body = zstandard.decompress(body)
        received = Received(self.path, dict(self.headers), body, time.monotonic())
        with self.server.lock:
            self.server.received.append(received)
            planned = self.server.plan.popleft() if self.server.plan else self.server.always
        reply = planned(received)
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, content, headers = reply
        said = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(said)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)
        self.close_connection |= "Connection" in headers

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (as the base names it)
        """Quiet."""
