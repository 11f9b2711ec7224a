"""A whole instance through an outage: PostgreSQL frozen, the web processes killed, then all of it back."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from attribution.ingest.spool_files import segments
from tests.attribution.ingest.webs import event
from tests.instances import Up, eventually, manage

NOW_NS = (int(time.time()) - 60) * 10**9


def post(up: Up, path: str, body: Any, key: str) -> int:
    """The status of the answer; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(body), headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def span(number: int) -> dict[str, Any]:
    """A trace of one model call."""
    words = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"}
    said = [{"key": key, "value": {"stringValue": value}} for key, value in words.items()]
    counts = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
    said += [{"key": key, "value": {"intValue": str(value)}} for key, value in counts.items()]
    call = {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat gpt-4o",
        "startTimeUnixNano": str(NOW_NS),
        "endTimeUnixNano": str(NOW_NS + 10**9),
        "attributes": said,
    }
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "test"}, "spans": [call]}]}]}


def tree(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up.start(tmp_path / "data", "--workers", "2")
    yield up
    with suppress(OSError):
        for pid in tree(up.pid_of("postgres")):
            os.kill(pid, signal.SIGCONT)
    up.stop()


def test_an_instance_acknowledges_through_an_outage_and_a_kill_and_books_each_once(up: Up) -> None:
    key = manage("api_key", "app", "--scope", "ingest", data_dir=up.data_dir).stdout.strip()
    for _ in range(8):
        assert post(up, "/api/v1/events", {"events": [event("before")]}, key) == 200
        assert post(up, "/v1/traces", span(1), key) == 200
    frozen = tree(up.pid_of("postgres"))
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)

    for number in range(5):
        assert post(up, "/api/v1/events", {"events": [event(f"away-{number}")]}, key) == 202
    assert post(up, "/v1/traces", span(2), key) == 200
    for pid in tree(up.pid_of("web")):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: up.get("/healthz")[0] == 200)
    for number in range(5, 10):
        assert post(up, "/api/v1/events", {"events": [event(f"away-{number}")]}, key) == 202
    assert post(up, "/v1/traces", span(3), key) == 200
    status, metrics = up.get("/metrics")
    assert status == 200
    assert float(metrics.split("\nfinops_spool_bytes ")[1].split()[0]) > 0

    for pid in frozen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    assert eventually(lambda: not segments(up.data_dir / "spool"))
    expected = ["before", *(f"away-{number}" for number in range(10))]
    expected += [f"{number:032x}:{number:016x}" for number in (1, 2, 3)]
    assert eventually(lambda: booked(up) == sorted(expected)), booked(up)


def booked(up: Up) -> list[str]:
    with psycopg.connect(up.instance.database_url()) as connection:
        return sorted(row[0] for row in connection.execute("SELECT event_id FROM call_event").fetchall())
