"""A throw-away instance of the product under a temporary directory: engines, web, worker, beat."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from finops.embedded.layout import Instance

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180
LONGEST_FOLD = 1_800.0
_PUT_ASIDE = (
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "BROKER_URL",
    "BROKER_URL_FILE",
    "PUBLIC_URL",
    "SECRET_KEY",
)


@dataclass(slots=True, eq=False)
class Server:
    """A running instance, and keys for it."""

    instance: Instance
    port: int
    process: subprocess.Popen[str]
    ingest_key: str = ""
    read_key: str = ""

    def connect(self) -> psycopg.Connection:
        """A connection of one's own to its PostgreSQL, in autocommit."""
        return psycopg.connect(self.instance.database_url(), autocommit=True)

    def command(self, *words: str) -> str:
        """Run a management command against it and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT, env=environment(self.instance), text=True, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def probe(self, module: str, *words: str) -> Any:
        """Run ``python -m bench.probes.MODULE`` against it; its answer is one JSON value."""
        done = subprocess.run(
            [sys.executable, "-m", f"bench.probes.{module}", *words],
            cwd=ROOT, env=environment(self.instance), text=True, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    def load_in_bulk(self, events: int) -> None:
        """Load that many events with one process a core, and wait for the fold."""
        parts = os.cpu_count() or 1
        words = [
            [sys.executable, "-m", "bench.probes.bulk", str(events), str(n), str(parts)] for n in range(parts)
        ]
        loaders = [
            subprocess.Popen(
                each, cwd=ROOT, env=environment(self.instance), text=True, stdout=subprocess.PIPE
            )
            for each in words
        ]
        accepted = sum(int(loader.communicate()[0] or 0) for loader in loaders)
        if accepted != events:
            raise RuntimeError(f"{accepted} of {events} events were accepted")
        with self.connect() as connection:
            wait_until_folded(connection)

    def processes(self, words: str) -> list[int]:
        """The ids of its processes whose command line holds ``words``."""
        return sorted(pid for pid in _descendants(self.process.pid) if words in _command_line(pid))

    def clock(self) -> dict[int, float]:
        """Processor time used so far by each of its processes, in seconds."""
        return {pid: cpu_seconds(pid) for pid in self.processes("")}

    def used_since(self, clock: dict[int, float]) -> float:
        """Seconds used since then by the processes that live now; a tick at least."""
        used = sum(seconds - clock.get(pid, 0.0) for pid, seconds in self.clock().items())
        return max(used, 1 / os.sysconf("SC_CLK_TCK"))

    @contextmanager
    def without_beat(self) -> Iterator[None]:
        """While nothing triggers the fold."""
        beats = self.processes("finops beat")
        for pid in beats:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in beats:
                os.kill(pid, signal.SIGCONT)


@contextmanager
def running(port: int, *, web_processes: int = 2) -> Iterator[Server]:
    """Start an empty instance; it and its data are gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="finops-bench-"))
    instance = Instance(root)
    log = (root / "up.log").open("w")
    up = ["manage.py", "up", "--no-demo", "--port", str(port), "--workers", str(web_processes)]
    process = subprocess.Popen(
        [sys.executable, *up],
        cwd=ROOT, env=environment(instance), text=True, stdout=subprocess.PIPE, stderr=log,
        start_new_session=True,
    )  # fmt: skip
    try:
        _wait_until_ready(process, root / "up.log")
        server = Server(instance, port, process)
        keys = server.probe("setup")
        server.ingest_key, server.read_key = keys["ingest"], keys["read"]
        yield server
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        if process.poll() is None:
            process.kill()
        log.close()
        shutil.rmtree(root, ignore_errors=True)


def wait_until_folded(connection: psycopg.Connection) -> float:
    """The moment (``perf_counter``) at which no batch waits for the fold any more."""
    deadline = time.perf_counter() + LONGEST_FOLD
    while time.perf_counter() < deadline:
        row = connection.execute("SELECT 1 FROM ingest_batch WHERE folded_at IS NULL LIMIT 1").fetchone()
        if row is None:
            return time.perf_counter()
        time.sleep(0.02)
    raise TimeoutError(f"events were not folded within {LONGEST_FOLD:.0f} s")


def environment(instance: Instance) -> dict[str, str]:
    """The environment of every process of a benchmark: nothing of the user's own instance."""
    ours = {name: value for name, value in os.environ.items() if name not in _PUT_ASIDE}
    return {
        **ours,
        "DATA_DIR": str(instance.root),
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "REPORTING_TIME_ZONE": "UTC",
        "LOG_LEVEL": "WARNING",
    }


def resident_megabytes(pids: list[int]) -> list[float]:
    """Resident memory of each process."""
    page = os.sysconf("SC_PAGE_SIZE")
    return [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page / 2**20 for pid in pids]


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far; 0 when it has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _wait_until_ready(process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Ready:"):
            return
        if time.monotonic() > deadline:
            break
    raise RuntimeError(f"the instance did not start: {log.read_text()[-2000:]}")


def _descendants(pid: int) -> list[int]:
    found = []
    for child in _children(pid):
        found += [child, *_descendants(child)]
    return found


def _children(pid: int) -> list[int]:
    pids: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            pids += map(int, thread.read_text().split())
    return pids


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
