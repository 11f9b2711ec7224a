"""Against a whole instance: killed, restarted, and reached over a way that loses connections."""

from __future__ import annotations

import os
import signal
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
from tests.instances import ROOT, Up, eventually, manage

pytestmark = pytest.mark.xdist_group("instances")
PAGE = ROOT / "docs" / "sending-events" / "python-client.md"
THREADS, KILLS = 6, 4


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
    way = LossyWay(up.port, share=0.3, seed=4)
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
    # The test tests something: connections were cut, and the server was sent what it had already.
    assert way.cut >= 3
    assert told.failed_requests > 0
    assert told.duplicates > 0
    assert client.close()
