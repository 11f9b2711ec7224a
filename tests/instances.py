"""Starts real instances in processes of their own, and sees to it that nothing of them remains."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finops.embedded.layout import Instance

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534
_OURS = ("DATA_DIR", "DATABASE_URL", "BROKER_URL", "SECRET_KEY", "PUBLIC_URL", "FINOPS_HOLD")


def environment() -> dict[str, str]:
    """The environment without anything that the test run itself was given."""
    return {name: value for name, value in os.environ.items() if name not in _OURS}


def manage(*words: str, data_dir: Path, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run one management command against a data directory, to its end."""
    command = [*prefix, sys.executable, "manage.py", *words, "--data-dir", str(data_dir)]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), text=True, capture_output=True, timeout=120, check=False
    )


def processes_of(data_dir: Path) -> list[str]:
    """Command lines of all live processes that were started for the data directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            variables = (entry / "environ").read_bytes().split(b"\0")
            needle = os.fsencode(data_dir)
            if words != [b""] and (b"DATA_DIR=" + needle in variables or any(needle in w for w in words)):
                found.append(f"{entry.name} {b' '.join(words).decode(errors='replace')}")
    return found


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether it comes true in that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@dataclass(slots=True, eq=False)
class Up:
    """One ``manage.py up``."""

    data_dir: Path
    port: int
    process: subprocess.Popen[str]
    said: list[str]

    @classmethod
    def start(cls, data_dir: Path, *words: str, port: int | None = None, uid: int | None = None) -> Up:
        """Start an instance and wait until it says that it is ready."""
        port = port or free_port()
        command = [sys.executable, "-B", "manage.py", "up", "--no-demo", "--port", str(port)]
        process = subprocess.Popen(
            [*command, "--workers", "1", "--data-dir", str(data_dir), *words],
            cwd=ROOT,
            env=environment(),
            text=True,
            stdout=subprocess.PIPE,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
        )
        assert process.stdout is not None
        up = cls(data_dir, port, process, [])
        for line in process.stdout:
            up.said.append(line.rstrip("\n"))
            if line.startswith("Ready:"):
                return up
        raise AssertionError(f"up ended with {process.wait()}: {up.said}")

    @property
    def instance(self) -> Instance:
        return Instance(self.data_dir)

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body; (0, reason) when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()

    def checks(self) -> dict[str, Any]:
        """What /readyz says of each part; empty while nobody answers."""
        status, body = self.get("/readyz")
        return dict(json.loads(body)["checks"]) if status else {}

    def pid_of(self, program: str) -> int:
        """The first process of one program, as supervisord numbers them in its log."""
        log = (self.instance.logs / "supervisor.log").read_text()
        return int(log.rsplit(f"spawned: '{program}' with pid ", 1)[1].split()[0])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and return its exit status."""
        self.process.send_signal(number)
        status = self.process.wait(150)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
