"""Several processes at once, and a PostgreSQL that is killed: every event once, none lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from finops.embedded.layout import Instance
from finops.embedded.postgres import Postgres
from tests.attribution.ingest.conftest import rows

ROOT = Path(__file__).resolve().parents[3]


def sender(name: str, batches: int, size: int, database_url: str) -> subprocess.Popen[str]:
    """A process that sends; always the same events for the same name."""
    command = [sys.executable, "-m", "tests.attribution.ingest.sending", name]
    now = int(time.time()) * 1000 - 60_000
    return subprocess.Popen(
        [*command, str(batches), str(size), str(now)],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "finops.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(process: subprocess.Popen[str]) -> list[list[int]]:
    """[batch, accepted, duplicates] of every batch that was acknowledged."""
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return [[int(word) for word in line.split()] for line in out.splitlines()]


@pytest.mark.usefixtures("transactional_db")
def test_the_same_events_from_four_processes_are_kept_once() -> None:
    settings = connection.settings_dict
    url = f"postgresql://{settings['USER']}@/{settings['NAME']}?host={settings['HOST']}"
    processes = [sender("same", 10, 200, url) for _ in range(4)]
    told = [answers(process) for process in processes]

    assert [sum(told[p][batch][1] for p in range(4)) for batch in range(10)] == [200] * 10
    assert [sum(told[p][batch][2] for p in range(4)) for batch in range(10)] == [600] * 10
    assert rows("count(*), count(DISTINCT event_id)") == [(2000, 2000)]
    assert rows("sum(accepted), sum(duplicates), sum(conflicts)", "ingest_batch") == [(2000, 6000, 0)]


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A server of the test's own, durable, to be killed."""
    instance = Instance(tmp_path / "data")
    instance.prepare()
    server = Postgres.of(instance)
    server.initialise()
    server.start()
    try:
        yield server
    finally:
        with suppress(Exception):
            server.start()
        server.stop()


def test_postgresql_killed_in_the_middle_of_batches_keeps_what_was_acknowledged(postgres: Postgres) -> None:
    url = postgres.instance.database_url()
    migrated = subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "finops.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert migrated.returncode == 0, migrated.stderr
    processes = [sender(name, 30, 1000, url) for name in ("left", "right")]

    for _ in range(2):
        _wait_for_rows(url, more=3000)
        _kill(postgres)
        postgres.start()
    told = [answers(process) for process in processes]

    with psycopg.connect(url) as database:
        stored = database.execute(
            "SELECT count(*), count(DISTINCT event_id), count(*) FILTER (WHERE b.id IS NULL)"
            " FROM call_event c LEFT JOIN ingest_batch b ON b.id = c.batch_id"
        ).fetchone()
        batches = database.execute("SELECT sum(accepted) FROM ingest_batch").fetchone()
    # Every batch was acknowledged once, after as many tries as it took; a try whose answer was lost
    # with the server shows as duplicates.
    assert [accepted + duplicates for run in told for _, accepted, duplicates in run] == [1000] * 60
    assert stored == (60_000, 60_000, 0)
    assert batches == (60_000,)


def _wait_for_rows(url: str, *, more: int) -> None:
    deadline = time.monotonic() + 60
    with psycopg.connect(url, autocommit=True) as database:
        start = _count(database)
        while _count(database) < start + more:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _count(database: psycopg.Connection) -> int:
    row = database.execute("SELECT count(*) FROM call_event").fetchone()
    assert row is not None
    return int(row[0])


def _kill(postgres: Postgres) -> None:
    """The postmaster and every one of its processes, without a chance to write anything."""
    main = int((postgres.data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    for pid in (main, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{main}").exists() and _state(main) != "Z":
        time.sleep(0.01)


def _state(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return "Z"
