"""A local upstream that answers as OpenAI and Anthropic do, with usage known beforehand.

``python -m tests.attribution.otlp.upstream`` serves until it is interrupted. It needs nothing but the
standard library, so it also runs in an environment that has only a client's packages.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.attribution.otlp import answers
from tests.attribution.otlp.usages import FAILURES, NOTHING, SERVED_MODELS, Served, Usage, usage_for, word_of

_TOLD_DONE = "[DONE]"


class Upstream(ThreadingHTTPServer):
    """Listens on a free port of this machine and remembers each call that it answered."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.served: list[Served] = []
        self._lock = threading.Lock()
        self._number = 0

    @property
    def url(self) -> str:
        """Anthropic's base address; OpenAI's is the same with ``/v1``."""
        return f"http://127.0.0.1:{self.server_port}"

    def remember(self, served: Served) -> int:
        """Returns the number of the call, from 1."""
        with self._lock:
            self.served.append(served)
            self._number += 1
            return self._number

    def calls(self) -> list[Served]:
        """The calls answered since this was asked last."""
        with self._lock:
            calls, self.served = self.served, []
            return calls

    def status_for(self, word: str, model: str) -> int:
        """``#down`` makes only the first choice fail, so that a fallback answers."""
        if word == "down":
            return 500 if model == "gpt-4o" else 200
        return FAILURES.get(word, 200)


class _Handler(BaseHTTPRequestHandler):
    server: Upstream
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer one call."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match self.path.partition("?")[0]:
            case "/v1/chat/completions" | "/chat/completions":
                self._answer("openai", "chat", request)
            case "/v1/responses" | "/responses":
                self._answer("openai", "responses", request)
            case "/v1/embeddings" | "/embeddings":
                self._answer("openai", "embeddings", request)
            case "/v1/messages":
                self._answer("anthropic", "messages", request)
            case _:
                self._send(404, {"error": {"message": "No such path."}})

    def _answer(self, provider: str, operation: str, request: dict[str, Any]) -> None:
        asked = request["model"]
        word = "embedding" if operation == "embeddings" and not _fails(request) else word_of(request)
        status = self.server.status_for(word, asked)
        model = SERVED_MODELS.get(asked, asked) if status == 200 else asked
        usage = usage_for(word) if status == 200 else NOTHING
        number = self.server.remember(Served(provider, operation, asked, model, status, usage))
        if status != 200:
            failure = answers.openai_failure if provider == "openai" else answers.anthropic_failure
            self._send(status, failure(status))
        elif request.get("stream"):
            self._stream(operation, _pieces(operation, number, model, usage, request))
        else:
            self._send(200, _whole(operation, number, model, usage, calls_tool=word == "tool"))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-request-id", "req_0")
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, operation: str, pieces: Iterable[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            event = f"event: {piece['type']}\n" if "type" in piece else ""
            self.wfile.write(f"{event}data: {json.dumps(piece)}\n\n".encode())
        if operation == "chat":
            self.wfile.write(f"data: {_TOLD_DONE}\n\n".encode())
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Say nothing: a test's output is its own."""


def _fails(request: dict[str, Any]) -> bool:
    return word_of(request) in FAILURES


def _whole(operation: str, number: int, model: str, usage: Usage, *, calls_tool: bool) -> dict[str, Any]:
    match operation:
        case "chat":
            return answers.chat(number, model, usage, calls_tool=calls_tool)
        case "responses":
            return answers.response(number, model, usage)
        case "embeddings":
            return answers.embeddings(model, usage)
        case _:
            return answers.message(number, model, usage, calls_tool=calls_tool)


def _pieces(
    operation: str, number: int, model: str, usage: Usage, request: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    calls_tool = word_of(request) == "tool"
    match operation:
        case "chat":
            wanted = bool((request.get("stream_options") or {}).get("include_usage"))
            yield from answers.chat_stream(number, model, usage, calls_tool=calls_tool, tells_usage=wanted)
        case "responses":
            yield from answers.response_stream(number, model, usage)
        case _:
            yield from answers.message_stream(number, model, usage, calls_tool=calls_tool)


@contextmanager
def running_upstream() -> Iterator[Upstream]:
    """Serve beside the caller."""
    upstream = Upstream()
    thread = threading.Thread(target=upstream.serve_forever, daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        upstream.shutdown()
        upstream.server_close()
        thread.join()


if __name__ == "__main__":
    with Upstream(8081) as serving:
        serving.serve_forever()
