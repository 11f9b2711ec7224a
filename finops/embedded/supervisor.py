"""The processes of an instance under supervisord: what runs, in which order, and how it ends.

supervisord restarts whatever ends by itself. Every process is tied to its parent (``launch.py``):
however supervisord or ``up`` dies, the rest follows.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from finops.embedded.identity import Identity
from finops.embedded.layout import EngineError, Instance
from finops.embedded.locks import Lock

START_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One supervised process. ``order``: engines low, started first and stopped last."""

    name: str
    command: Sequence[str]
    order: int
    starts_at_once: bool = False
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Supervisor:
    """supervisord for one instance, a child of this process."""

    instance: Instance
    directory: Path
    programs: Sequence[Program]
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.instance.sockets / "supervisor.sock"

    def wait_for_the_last_run(self, note: Callable[[str], object]) -> None:
        """Until every process of an earlier run has ended: after a kill they do so by themselves.

        Raises EngineError when they do not.
        """
        lock = Lock.open(self.instance, "processes")
        deadline = time.monotonic() + self.longest_stop
        told = False
        try:
            while not lock.try_exclusive():
                if time.monotonic() > deadline:
                    raise EngineError(f"Processes of an earlier run on {self.instance.root} do not end.")
                if not told:
                    note("Waiting for the processes of the last run to end.")
                    told = True
                time.sleep(0.1)
        finally:
            lock.release()

    @property
    def longest_stop(self) -> int:
        """Seconds after which an orderly stop has ended or been forced."""
        return sum(program.stop_seconds for program in self.programs) + 10

    def start(self) -> None:
        """Start supervisord with the programs that start at once; returns when it answers."""
        conf = self.instance.root / "run" / "supervisord.conf"
        conf.write_text(self._configuration())
        program = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(conf)]
        self.process = subprocess.Popen(
            tied(program),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.instance.logs / "supervisor.err").open("wb"),
            # A Ctrl-C at the terminal reaches us alone: we stop the rest in order.
            start_new_session=True,
            env={**os.environ, "FINOPS_HOLD": str(Lock.path(self.instance, "processes"))},
        )
        deadline = time.monotonic() + START_SECONDS
        while self._ask("getState") is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise EngineError(f"The supervisor did not start: see {self.instance.logs}.")
            time.sleep(0.05)

    def start_rest(self) -> None:
        """Start every program that does not start at once, without waiting for it."""
        for program in self.programs:
            if not program.starts_at_once:
                with suppress(Fault):
                    self._call("startProcess", program.name, False)  # noqa: FBT003

    def state(self, name: str) -> str:
        """RUNNING, STARTING, BACKOFF, FATAL, ... or UNKNOWN when supervisord does not answer."""
        answer = self._ask("getProcessInfo", name)
        return str(answer["statename"]) if answer else "UNKNOWN"

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Stop everything in order, web first and engines last; returns when nothing is left."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            self.process.wait(self.longest_stop)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _ask(self, method: str, *arguments: object) -> Any:  # Any: XML-RPC answers
        try:
            return self._call(method, *arguments)
        except (OSError, HTTPException, Fault):
            return None

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            proxy = ServerProxy("http://127.0.0.1", transport=transport, allow_none=True)
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def _configuration(self) -> str:
        logs = self.instance.logs
        sections: dict[str, dict[str, object]] = {
            "unix_http_server": {"file": self.socket, "chmod": "0700"},
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
            "supervisord": {
                "nodaemon": "true",
                "silent": "true",
                "directory": self.directory,
                "logfile": logs / "supervisor.log",
                "logfile_maxbytes": "5MB",
                "logfile_backups": 2,
                "pidfile": self.instance.root / "run" / "supervisord.pid",
                "childlogdir": logs,
                "umask": "022",
                **({"user": "root"} if os.geteuid() == 0 else {}),
            },
        }
        for program in self.programs:
            sections[f"program:{program.name}"] = self._section(program)
        return "\n".join(_lines(sections))

    def _section(self, program: Program) -> dict[str, object]:
        environment = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
        return {
            "command": shlex.join(program.command),
            "priority": program.order,
            "autostart": str(program.starts_at_once).lower(),
            "autorestart": "true",
            "startsecs": 1,
            # Nothing is ever given up: the pause between attempts grows by a second each time.
            "startretries": 1000,
            "stopsignal": program.stop_signal,
            "stopwaitsecs": program.stop_seconds,
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": self.instance.logs / f"{program.name}.log",
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": 3,
            **({"environment": environment} if environment else {}),
        }


def tied(program: Sequence[str], death_signal: signal.Signals = signal.SIGTERM) -> list[str]:
    """The command that runs ``program`` as we are, and ends it when its parent dies."""
    return Identity("same", os.geteuid(), os.getegid()).command(program, death_signal)


def _lines(sections: Mapping[str, Mapping[str, object]]) -> Iterable[str]:
    for name, values in sections.items():
        yield f"[{name}]"
        for key, value in values.items():
            # supervisord expands %(name)s in every value.
            yield f"{key}={str(value).replace('%', '%%')}"
        yield ""
