"""Brings a whole instance up on this machine, watches over it, and takes it down in order."""

from __future__ import annotations

import http.client
import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.core.management import call_command, get_commands
from django.db import connections
from django.utils import timezone

from attribution.partitions import keep_partitions
from finops import assets, demo
from finops.embedded.broker import Broker
from finops.embedded.identity import engine_identity
from finops.embedded.layout import EngineError, Instance
from finops.embedded.locks import Lock, changing
from finops.embedded.postgres import Postgres
from finops.embedded.programs import engines, services
from finops.embedded.supervisor import Supervisor

READY_SECONDS = 180
_ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  (recognised, not bound to)

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One run of an instance. ``say`` is for the user, ``note`` for what goes on meanwhile."""

    instance: Instance
    host: str
    port: int
    web_processes: int
    say: Say
    note: Say

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self.host in _ANY_ADDRESS else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def run(self, *, with_demo: bool) -> None:
        """Until interrupted by an exception; leaves nothing running. Raises EngineError."""
        self.instance.prepare()
        with self._alone():
            self._wait_for_commands()
            postgres, broker = self._engines()
            supervisor = self._supervisor(postgres, broker)
            try:
                self._start(supervisor, postgres, broker)
                self._prepare(postgres, broker, with_demo=with_demo)
                supervisor.start_rest()
                self._wait_until_ready(supervisor)
                self._announce()
                self._watch(supervisor, postgres, broker)
            finally:
                connections.close_all()
                supervisor.stop()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the instance: no second ``up`` on it."""
        lock = Lock.open(self.instance, "up")
        try:
            if not lock.try_exclusive():
                raise EngineError(
                    f"Another `up` is running on {self.instance.root}: stop it first, "
                    "or give another --data-dir."
                )
            yield
        finally:
            lock.release()

    def _engines(self) -> tuple[Postgres | None, Broker | None]:
        """The engines that the environment does not name."""
        postgres = None if _is_set("DATABASE_URL") else Postgres.of(self.instance)
        if _is_set("BROKER_URL"):
            return postgres, None
        identity = postgres.identity if postgres else engine_identity(self.instance.broker)
        return postgres, Broker.of(self.instance, identity)

    def _start(self, supervisor: Supervisor, postgres: Postgres | None, broker: Broker | None) -> None:
        """Start supervisord and the engines, when all that an earlier run left has ended."""
        supervisor.wait_for_the_last_run(self.note)
        check_address(self.host, self.port)
        if postgres is not None:
            postgres.settle()
            postgres.initialise()
        if broker is not None:
            broker.initialise()
        shutil.rmtree(self.instance.metrics, ignore_errors=True)
        self.instance.metrics.mkdir(mode=0o700, parents=True)
        supervisor.start()

    def _wait_for_commands(self) -> None:
        """Commands on a stopped instance run a server of their own: let them finish first."""
        in_use = Lock.open(self.instance, "in-use")
        told = False
        try:
            while True:
                with changing(self.instance):
                    if in_use.try_exclusive():
                        return
                if not told:
                    self.note("Waiting for a command that is using this data directory to finish.")
                    told = True
                time.sleep(0.2)
        finally:
            in_use.release()

    def _supervisor(self, postgres: Postgres | None, broker: Broker | None) -> Supervisor:
        os.environ.setdefault("PUBLIC_URL", self.url)
        bind = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        programs = engines(postgres, broker)
        programs += services(self.instance, bind=bind, web_processes=self.web_processes)
        return Supervisor(self.instance, settings.BASE_DIR, programs)

    def _prepare(self, postgres: Postgres | None, broker: Broker | None, *, with_demo: bool) -> None:
        """Everything a fresh or older data directory lacks; quick when nothing is missing."""
        if postgres is not None:
            postgres.wait()
        _quietly("migrate", interactive=False)
        _quietly("createcachetable")
        _quietly("check", databases=["default"])
        # The worker keeps them ahead from here on.
        keep_partitions(timezone.now())
        if assets.collect():
            self.note("Collected static files.")
        if "load_prices" in get_commands():
            _quietly("load_prices")
        if with_demo and not demo.is_loaded():
            self.note("Loading the demo company (once; --no-demo leaves it out).")
            done = subprocess.run(
                [sys.executable, "manage.py", "demo"], cwd=settings.BASE_DIR, stdout=sys.stderr, check=False
            )
            if done.returncode != 0:
                raise EngineError("The demo company could not be loaded: see above.")
        if broker is not None:
            broker.wait()

    def _wait_until_ready(self, supervisor: Supervisor) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if not supervisor.is_alive() or time.monotonic() > deadline:
                raise EngineError(f"The web process did not become ready: see {self.instance.logs}/web.log.")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        host = "127.0.0.1" if self.host in _ANY_ADDRESS else self.host
        connection = http.client.HTTPConnection(host, self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _announce(self) -> None:
        self.say(f"Ready: {self.url}")
        for line in _login_lines():
            self.say(line)
        self.note(f"Logs: {self.instance.logs}. Stop with Ctrl-C or SIGTERM.")

    def _watch(self, supervisor: Supervisor, postgres: Postgres | None, broker: Broker | None) -> None:
        """supervisord looks after its programs; we look after supervisord."""
        while True:
            if not supervisor.is_alive():
                self.note("The supervisor ended unexpectedly: starting it again.")
                self._start(supervisor, postgres, broker)
                supervisor.start_rest()
            time.sleep(0.5)


def check_address(host: str, port: int) -> None:
    """Raises EngineError when nobody could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise EngineError(
                f"Cannot listen on {host}:{port} ({reason}): give another with --port or --host."
            ) from error


def _quietly(command: str, **options: object) -> None:
    """Standard output is for what the user waits for, the address and the logins; errors are raised."""
    call_command(command, verbosity=0, stdout=io.StringIO(), **options)


def _login_lines() -> list[str]:
    """How to sign in to the demo company; nothing unless it is loaded."""
    logins = demo.logins()
    if not logins:
        return []
    width = max(len(login.email) for login in logins)
    lines = [f"  {login.email:<{width}}  {login.password}  ({login.role})" for login in logins]
    return ["Demo logins:", *lines]


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))
