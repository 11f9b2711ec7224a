"""The pages about OpenTelemetry, as printed: their environment, their code, and what is booked then.

A library that does not go with our SDKs runs in an environment of its own: ``make install-snippets``.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from django.conf import settings
from django.db import connection
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from attribution.ingest.otlp.wire import MOST_SPANS
from tests.attribution.ingest.conftest import issue_key
from tests.attribution.otlp.conftest import chat, request, settle
from tests.attribution.otlp.upstream import Upstream, running_upstream
from tests.attribution.otlp.usages import USAGES, Usage

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "docs" / "sending-events"
OURS, APART = sys.executable, str(ROOT / ".venv-snippets" / "bin" / "python")
FIXTURES = Path(__file__).parent / "fixtures"
LITELLM = Path(__file__).parents[1] / "litellm" / "fixtures"
USED = Usage(2048, 64, cache_read_tokens=1536)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_EXPORT = re.compile(r'^export (\w+)="?(.*?)"?$', re.MULTILINE)
_KEY = re.compile(r"(?<![A-Z_])KEY\b")
_BOOKED = """
    SELECT slot.provider, slot.model, e.input + e.cache_read, e.cache_read, e.output + e.reasoning,
           ds.source, ds.team, ds.feature, ds.tier, coalesce(e.end_user, '')
    FROM call_event e
    JOIN price_slot slot ON slot.id = e.slot_id
    JOIN dimension_set ds ON ds.id = e.dimension_set_id
    ORDER BY slot.provider
"""


@dataclass(frozen=True, slots=True)
class Snippet:
    """The ``place``-th Python block of a page, what runs it, and what the page says of the calls."""

    page: str
    place: int = 0
    python: str = OURS
    cached: bool = True  # whether the library tells what came from caches
    tier: str = ""
    end_user: str = ""
    session: str | None = ""  # None: a conversation, which the library numbers

    def __str__(self) -> str:
        return f"{self.page}-{self.place}"


SNIPPETS = [
    Snippet("opentelemetry", tier="pro"),
    Snippet("opentelemetry-openai"),
    Snippet("opentelemetry-openai", place=1, python=APART, cached=False),
    Snippet("openllmetry", python=APART, end_user="user-3"),
    Snippet("openinference", end_user="user-3", session="s-1"),
    Snippet("openlit", python=APART),
    Snippet("langfuse", end_user="user-3", session="s-1"),
    Snippet("logfire"),
    Snippet("pydantic-ai", session=None),
]

# vLLM has 3 GB: the span that it makes, sent by the exporter that it makes, with its arguments.
AS_VLLM_DOES = """
import os, sys
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

assert os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] == "http/protobuf"
provider = TracerProvider(resource=Resource.create({"vllm.process_id": str(os.getpid())}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=os.environ["ENDPOINT"])))
counts = {"gen_ai.usage.prompt_tokens": 120, "gen_ai.usage.completion_tokens": 30}
provider.get_tracer("vllm.tracing.otel").start_span("llm_request", attributes=counts).end()
provider.shutdown()
"""


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """Answers every prompt as one of which most came from a cache."""
    monkeypatch.setitem(USAGES, "plain", USED)
    with running_upstream() as running:
        yield running


def blocks(page: str, language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall((PAGES / f"{page}.md").read_text()) if kind == language]


def environment(page: str) -> str:
    return next(block for block in blocks(page, "sh") if block.startswith("export "))


def run(python: str, exports: str, code: str, server: LiveServer, folder: Path, **more: str) -> str:
    """In a shell that has set what the page sets; what it has said."""
    exports = _KEY.sub(issue_key("docs"), exports).replace("http://127.0.0.1:8000", server.url)
    plain = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "OPENAI_API_KEY": "none",
        "ANTHROPIC_API_KEY": "none",
    }
    done = subprocess.run(
        ["sh", "-ec", f'{exports}\nexec "$PYTHON" -c "$SNIPPET"'],
        env={**plain, "PYTHON": python, "SNIPPET": code, **more},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def rows(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


@pytest.mark.parametrize("snippet", SNIPPETS, ids=str)
def test_a_page_books_what_was_really_used(
    snippet: Snippet, live_server: LiveServer, upstream: Upstream, tmp_path: Path
) -> None:
    code = blocks(snippet.page, "python")[snippet.place]

    said = run(
        snippet.python,
        environment(snippet.page),
        code,
        live_server,
        tmp_path,
        OPENAI_BASE_URL=f"{upstream.url}/v1",
        ANTHROPIC_BASE_URL=upstream.url,
    )
    settle()

    served = sorted(upstream.calls(), key=lambda call: call.provider)
    assert len(served) == code.count("create(") + code.count("run_sync(")
    cached = USED.cache_read_tokens if snippet.cached else 0
    names = ("shop", "search", "assistant", snippet.tier, snippet.end_user)
    assert rows(_BOOKED) == [
        (call.provider, call.model, USED.input_tokens, cached, USED.output_tokens, *names) for call in served
    ], said
    ((session,),) = rows("SELECT DISTINCT coalesce(session_id, '') FROM call_event")
    assert session == snippet.session or (session and snippet.session is None)
    assert "Failed to export" not in said  # nothing else is sent here


def test_the_collector_sends_here_what_is_taken(live_server: LiveServer, client: Client) -> None:
    (text,) = blocks("collector", "yaml")
    told = yaml.safe_load(text)
    exporter = told["exporters"]["otlp_http/finops"]
    pipeline = told["service"]["pipelines"]["traces/finops"]

    answer = client.post(
        urlsplit(exporter["traces_endpoint"]).path,
        gzip.compress(request(chat()).SerializeToString()),
        content_type="application/x-protobuf",
        headers={
            "Authorization": _KEY.sub(issue_key("docs"), exporter["headers"]["authorization"]),
            "Content-Encoding": exporter["compression"],
        },
    )
    settle()

    assert (answer.status_code, len(rows(_BOOKED))) == (200, 1)
    assert set(pipeline["processors"]) == told["processors"].keys()
    assert pipeline["exporters"] == [*told["exporters"]]
    assert told["processors"]["batch/finops"]["send_batch_max_size"] <= MOST_SPANS
    assert int(told["processors"]["batch/finops"]["timeout"].rstrip("s")) < settings.OTLP_SETTLE_SECONDS


def test_a_litellm_proxy_sends_here_what_is_taken(live_server: LiveServer, client: Client) -> None:
    told = yaml.safe_load(blocks("litellm", "yaml")[0])
    (name,) = told["litellm_settings"]["callbacks"]
    callback = told["callback_settings"][name]
    exported = dict(_EXPORT.findall(environment("litellm")))
    of_spans = issue_key("spans")
    header, _, value = exported["OTEL_HEADERS"].partition("=")  # as LiteLLM parts it: nothing is decoded

    by_callback = client.post(
        urlsplit(callback["endpoint"]).path,
        (LITELLM / "proxy" / "cached.1.json").read_bytes(),
        content_type="application/json",
        headers={"Authorization": _KEY.sub(issue_key("docs"), callback["headers"]["Authorization"])},
    )
    by_spans = [
        client.post(
            urlsplit(exported["OTEL_ENDPOINT"]).path,
            body.read_bytes(),
            content_type="application/x-protobuf",
            headers={header: _KEY.sub(of_spans, value)},
        )
        for body in sorted((FIXTURES / "litellm_proxy").glob("cached.*.pb"))
    ]
    settle()

    assert {answer.status_code for answer in (by_callback, *by_spans)} == {200}
    told_by = {row[5]: (row[6:8], row[2:5], row[9]) for row in rows(_BOOKED)}
    assert set(told_by.values()) == {(("Payments", "search"), (2048, 1536, 64), "user-3")}
    assert len(told_by) == 2


def test_vllm_is_named_by_its_resource(live_server: LiveServer, tmp_path: Path) -> None:
    (serve,) = (block for block in blocks("vllm", "sh") if block.startswith("vllm serve"))
    endpoint = (
        serve.split("--otlp-traces-endpoint ")[1].strip().replace("http://127.0.0.1:8000", live_server.url)
    )

    run(OURS, environment("vllm"), AS_VLLM_DOES, live_server, tmp_path, ENDPOINT=endpoint)
    settle()

    assert rows(_BOOKED) == [("vllm", "llama-3.1-8b-instruct", 120, 0, 30, "vllm-1", "search", "", "", "")]
