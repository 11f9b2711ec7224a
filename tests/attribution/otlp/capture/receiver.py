"""A receiver of OTLP over HTTP that keeps every body as it came."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """One POST; ``body`` is decompressed."""

    path: str
    content_type: str
    encoding: str
    body: bytes


class Receiver(ThreadingHTTPServer):
    """Listens on a free port of this machine."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._received: list[Received] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where exporters send to, without a path."""
        return f"http://127.0.0.1:{self.server_port}"

    def keep(self, received: Received) -> None:
        """In order of arrival."""
        with self._lock:
            self._received.append(received)

    def taken(self) -> list[Received]:
        """What came since this was asked last."""
        with self._lock:
            received, self._received = self._received, []
            return received


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Keep the body and answer with an empty message, which means that all was taken."""
        body = self._body()
        encoding = self.headers.get("Content-Encoding", "")
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "deflate":
            body = zlib.decompress(body)
        content_type = self.headers.get("Content-Type", "")
        self.server.keep(Received(self.path, content_type, encoding, body))
        answer = b"{}" if "json" in content_type else b""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        """Nothing is to be had here; some clients ask for settings when they start."""
        self.send_error(404)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Receive beside the caller."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()
