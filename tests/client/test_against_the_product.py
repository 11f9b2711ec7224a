"""Against a whole instance: killed, restarted, and reached over a way that loses connections."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from finops_client import Client, Settings, Usage

from tests.client.lossy import LossyWay
from tests.client.recording import Received, Reply, Server, answer
from tests.instances import ROOT, Up, eventually, manage

PAGE = ROOT / "docs" / "sending-events" / "python-client.md"
THREADS, KILLS = 6, 4
USAGE = {"prompt_tokens": 1200, "completion_tokens": 80, "prompt_tokens_details": {"cached_tokens": 1000}}
CHUNK = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": "gpt-4o-2024-08-06", "usage": USAGE}
MESSAGE = {"role": "assistant", "content": "A secret."}
WHOLE = {"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}]}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up.start(tmp_path_factory.mktemp("up"))
    yield running
    running.stop()


def key(up: Up, name: str) -> str:
    """A key that may send; its name is the source of its events."""
    issued = manage("api_key", name, "--scope", "ingest", data_dir=up.data_dir)
    assert issued.returncode == 0, issued.stderr
    return issued.stdout.strip()


def rows(up: Up, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the books say."""
    with psycopg.connect(up.instance.database_url()) as connection:
        return connection.execute(query, values).fetchall()


def kill_web(up: Up) -> int:
    """kill -9 of everything that serves, in the middle of whatever it does; the first process's number."""
    first = up.pid_of("web")
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    for process in (*map(int, children), first):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return first


def _is_another(up: Up, process: int) -> bool:
    return up.pid_of("web") != process


def test_nothing_is_lost_and_nothing_twice_while_the_server_is_killed(up: Up) -> None:
    way = LossyWay(up.port, seed=4)
    settings = Settings(
        flush_interval=0.05, batch_size=100, first_backoff=0.05, longest_backoff=0.5, timeout=5
    )
    client = Client(f"http://127.0.0.1:{way.port}", key(up, "killed"), settings=settings)
    recorded: list[list[str]] = []
    enough = threading.Event()

    def work(number: int) -> None:
        ids: list[str] = []
        while not enough.is_set():
            usage = Usage(input_tokens=len(ids), output_tokens=number)
            ids.append(client.record(provider="openai", model="gpt-4o", feature="answers", usage=usage))
            time.sleep(0.008)
        recorded.append(ids)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(KILLS):
            time.sleep(1)
            assert eventually(partial(_is_another, up, kill_web(up)))
            assert eventually(lambda: up.get("/healthz")[0] == 200)
    finally:
        enough.set()
        for thread in threads:
            thread.join()

    assert client.flush(60)
    way.stop()

    ids = sorted(name for some in recorded for name in some)
    stored = rows(up, "SELECT event_id FROM call_event WHERE event_id = ANY(%s)", ids)
    assert sorted(name for (name,) in stored) == ids
    assert len(ids) >= 5_000
    told = client.stats
    assert (told.delivered, told.lost, told.conflicts, told.rejected) == (len(ids), 0, 0, 0)
    # The test tests something: requests failed, and the server was sent what it had already.
    assert told.failed_requests > 0
    assert told.duplicates > 0
    assert client.close()


def provider(received: Received) -> Reply:
    """Answers as OpenAI does, as a stream where it is asked for one."""
    if b'"stream":true' not in received.body:
        return answer(200, {**CHUNK, **WHOLE}, Content_Type="application/json")(received)
    last = json.dumps({**CHUNK, "object": "chat.completion.chunk", "choices": []})
    return answer(200, f"data: {last}\n\ndata: [DONE]\n\n", Content_Type="text/event-stream")(received)


def test_the_documented_programs_do_what_they_say(up: Up, server: Server, tmp_path: Path) -> None:
    server.always = provider
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    environment = {
        "PYTHONPATH": str(ROOT / "finops/client"),
        "FINOPS_URL": f"http://127.0.0.1:{up.port}",
        "FINOPS_API_KEY": key(up, "documented"),
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": "none",
    }

    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(programs)],
        cwd=tmp_path,
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert "A secret." in ran.stdout
    # A server without outcomes is told apart from one that finds fault with them.
    assert set(re.findall(r"records dropped: (\w+)", ran.stderr)) <= {"unsupported"}, ran.stderr
    names = "d.feature, d.tier, d.environment, d.step, coalesce(c.end_user, '')"
    measured = "c.task_id IS NOT NULL, c.duration_ms >= 0, c.ttft_ms >= 0"
    found = rows(
        up,
        f"SELECT {names}, {measured}, c.input, c.cache_read, c.output FROM call_event c"
        " JOIN dimension_set d ON d.id = c.dimension_set_id"
        " WHERE d.source = 'documented'",
    )
    used = (200, 1000, 80)
    assert sorted(found) == [
        ("", "", "", "", "", False, False, False, 10, 0, 1),
        ("nightly-digest", "", "production", "", "", False, False, False, *used),
        ("search-assistant", "", "production", "", "", False, False, False, *used),
        ("search-assistant", "", "production", "", "", False, True, True, *used),
        ("search-assistant", "pro", "production", "answer", "u-17", True, True, False, *used),
    ]
