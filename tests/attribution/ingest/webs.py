"""A PostgreSQL of a test's own that it may stop, kill or freeze, and web processes in front of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from attribution.ingest.spool_files import segments
from finops.embedded.layout import Instance
from finops.embedded.postgres import Postgres
from tests.instances import ROOT, environment, eventually, free_port


@dataclass(slots=True)
class Web:
    """gunicorn as ``up`` runs it, with a database and a data directory of the test's."""

    database: Postgres
    port: int
    process: subprocess.Popen[bytes]
    key: str

    @classmethod
    def start(cls, database: Postgres, key: str, *, workers: int = 1, **variables: str) -> Web:
        """Start it; the database may be away."""
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "-c", "finops/embedded/gunicorn_conf.py"]
        log = (database.instance.logs / "web.log").open("ab")
        process = subprocess.Popen(
            [*command, "-b", f"127.0.0.1:{port}", "-w", str(workers), "finops.wsgi:application"],
            cwd=ROOT,
            env=environment_of(database) | variables,
            stdout=log,
            stderr=log,
        )
        web = cls(database, port, process, key)
        assert eventually(lambda: web.ask("GET", "/healthz")[0] == 200)
        return web

    @property
    def spool(self) -> Path:
        return self.database.instance.root / "spool"

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any, Any]:
        """Status, decoded body (JSON or text) and headers; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, json.loads(text) if is_json else text, answer.headers
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error), {}
        finally:
            connection.close()

    def send(self, ids: Iterable[str], **fields: Any) -> tuple[int, Any]:
        """Post events with these ids: status and answer."""
        return self.ask("POST", "/api/v1/events", {"events": [event(each, **fields) for each in ids]})[:2]

    def kill(self) -> None:
        """Every process of it, without a chance to write anything."""
        workers = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, workers)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def is_drained(self) -> bool:
        """Whether nothing waits in the spool."""
        return not segments(self.spool)


def event(event_id: str, **fields: Any) -> dict[str, Any]:
    """A plain event, a minute old when the tests began."""
    return {
        "event_id": event_id,
        "occurred_at": _BEGAN,
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"input_tokens": 100, "output_tokens": 10},
        **fields,
    }


_BEGAN = int(time.time()) * 1000 - 60_000


def environment_of(database: Postgres) -> dict[str, str]:
    """What a process needs to use it."""
    return environment() | {
        "DATABASE_URL": database.instance.database_url(),
        "DATA_DIR": str(database.instance.root),
        "BROKER_URL": "memory://",
        "DJANGO_SETTINGS_MODULE": "finops.settings",
    }


def manage(database: Postgres, *words: str) -> str:
    """Run a management command to its end; what it says."""
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment_of(database),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_database(root: Path) -> tuple[Postgres, str]:
    """A server that keeps what it commits, migrated and running, and a key that may send."""
    instance = Instance(root)
    instance.prepare()
    (root / "static").mkdir(exist_ok=True)
    database = Postgres.of(instance)
    database.initialise()
    database.start()
    manage(database, "migrate", "--verbosity", "0")
    manage(database, "createcachetable")
    return database, manage(database, "api_key", "app", "--scope", "ingest").strip()


def ask(database: Postgres, question: str) -> list[tuple[Any, ...]]:
    """Rows of the database."""
    with psycopg.connect(database.instance.database_url()) as connection:
        return list(connection.execute(question).fetchall())


def change(database: Postgres, statement: str) -> None:
    """Execute one statement."""
    with psycopg.connect(database.instance.database_url()) as connection:
        connection.execute(statement)


def booked(database: Postgres) -> list[str]:
    """The ids of the calls in the books, in order."""
    return [event_id for (event_id,) in ask(database, "SELECT event_id FROM call_event ORDER BY event_id")]


def signal_all(database: Postgres, number: signal.Signals) -> None:
    """Send the server and all its processes a signal."""
    main = int((database.data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    for pid in (main, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def kill(database: Postgres) -> None:
    """End the server without a chance to write anything."""
    main = int((database.data / "postmaster.pid").read_text().split()[0])
    signal_all(database, signal.SIGKILL)
    assert eventually(lambda: _is_gone(main))


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
