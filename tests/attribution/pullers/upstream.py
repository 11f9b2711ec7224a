"""A provider's reporting API on this machine: it pages, and makes trouble when told to."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

FIXTURES = Path(__file__).parent / "fixtures"
OPENAI = {
    "/v1/organization/usage/completions": "openai_completions",
    "/v1/organization/usage/embeddings": "openai_embeddings",
    "/v1/organization/costs": "openai_costs",
}
ANTHROPIC = {
    "/v1/organizations/usage_report/messages": "anthropic_messages",
    "/v1/organizations/cost_report": "anthropic_cost_report",
}
Json = Any


class Upstream:
    """``first`` is the day on which the fixtures' first bucket lies; ``troubles`` come before answers."""

    def __init__(self, first: date, page_size: int = 2) -> None:
        self.first, self.page_size = first, page_size
        self.pages = {path: _read(name) for path, name in {**OPENAI, **ANTHROPIC}.items()}
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        self.troubles: list[tuple[str, str]] = []  # (end of the path, what happens)
        self.stalled = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                upstream.answer(self)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def rows(self, path: str, bucket: int = 0) -> list[Json]:
        """The results of a bucket, to be changed."""
        rows: list[Json] = self.pages[f"/v1{path}"][bucket]["results"]
        return rows

    def asked_of(self, path: str) -> list[dict[str, list[str]]]:
        return [query for asked, query, _ in self.asked if asked == f"/v1{path}"]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        query = parse_qs(url.query)
        self.asked.append((url.path, query, {name.lower(): value for name, value in handler.headers.items()}))
        for place, (path, trouble) in enumerate(self.troubles):
            if url.path.endswith(path) and (not trouble.startswith("page:") or "page" in query):
                if not trouble.endswith("always"):
                    del self.troubles[place]
                _make_trouble(handler, trouble.removeprefix("page:").removesuffix("always"), self)
                return
        if url.path not in self.pages:
            _send(handler, 404, b"{}")
            return
        wanted = self._between(url.path, query)
        start = int(query.get("page", ["0"])[0].removeprefix("page_"))
        size = min(self.page_size, int(query["limit"][0]))
        more = start + size < len(wanted)
        body = {
            "object": "page",
            "data": wanted[start : start + size],
            "has_more": more,
            "next_page": f"page_{start + size}" if more else None,
        }
        _send(handler, 200, json.dumps(body).encode())

    def _between(self, path: str, query: dict[str, list[str]]) -> list[Json]:
        """The buckets of the days that are asked for; days without any are there, and empty."""
        is_openai = path in OPENAI
        first, end = (
            _day(query[name][0])
            for name in (("start_time", "end_time") if is_openai else ("starting_at", "ending_at"))
        )
        told = {self.first + timedelta(days=n): one["results"] for n, one in enumerate(self.pages[path])}
        days = [first + timedelta(days=number) for number in range((end - first).days)]
        return [{**_bounds(day, is_openai=is_openai), "results": told.get(day, [])} for day in days]


def _read(name: str) -> list[Json]:
    page: list[Json] = json.loads((FIXTURES / f"{name}.json").read_text())["data"]
    return page


def _day(text: str) -> date:
    at = datetime.fromtimestamp(int(text), UTC) if text.isdigit() else datetime.fromisoformat(text)
    return at.date()


def _bounds(day: date, *, is_openai: bool) -> Json:
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    if is_openai:
        return {"object": "bucket", "start_time": int(start.timestamp()), "end_time": int(end.timestamp())}
    return {"starting_at": f"{start:%Y-%m-%dT%H:%M:%SZ}", "ending_at": f"{end:%Y-%m-%dT%H:%M:%SZ}"}


def _make_trouble(handler: BaseHTTPRequestHandler, trouble: str, upstream: Upstream) -> None:
    kind, _, more = trouble.partition("=")
    if kind == "stall":
        upstream.stalled.set()
        threading.Event().wait(60)
    elif kind == "cut":
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"data": [')
        handler.close_connection = True
    elif kind == "say":
        _send(handler, 200, more.encode())
    elif kind == "redirect":
        _send(handler, 302, b"", Location=more)
    else:
        _send(handler, int(kind), b'{"error": {}}', **({"Retry-After": more} if more else {}))


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
