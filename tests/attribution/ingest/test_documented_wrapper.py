"""The wrapper in docs/sending-events/python.md, as printed, around a provider of our own."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from pytest_django.live_server_helper import LiveServer

from tests.attribution.ingest.conftest import issue_key, rows

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sending-events" / "python.md"
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "flex",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A secret."}}
    ],
    "usage": {
        "prompt_tokens": 1200,
        "completion_tokens": 80,
        "total_tokens": 1280,
        "prompt_tokens_details": {"cached_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 30},
    },
}


class Provider(BaseHTTPRequestHandler):
    """Answers every chat completion alike."""

    def do_POST(self) -> None:
        body = json.dumps(ANSWER).encode()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (as the base names it)
        """Quiet."""


@pytest.fixture
def provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_the_documented_wrapper_sends_every_call(
    transactional_db: None, live_server: LiveServer, provider: str
) -> None:
    wrapper, use = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"KEY": issue_key("docs")}
    exec(wrapper, names)
    names["OpenAI"] = lambda: OpenAI(api_key="none", base_url=provider)
    use = use.replace("http://127.0.0.1:8000", live_server.url)

    for _ in range(2):
        exec(use, names)

    assert rows("input, cache_read, output, reasoning") == [(200, 1000, 50, 30)] * 2
    assert rows("model, service_tier", "price_slot") == [("gpt-4o-2024-08-06", "flex")]
    assert rows("source, feature, tier", "dimension_set") == [("docs", "search-assistant", "pro")]
