"""Where an instance keeps its state: one directory, one place that knows its names."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# A unix socket path holds 107 bytes on Linux, and PostgreSQL appends its own name.
LONGEST_SOCKET_DIR = 85


class EngineError(Exception):
    """An engine or its directory cannot be used; the text is one sentence a person can act on."""


@dataclass(frozen=True, slots=True)
class Instance:
    """The data directory of one installation on one machine."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def sockets(self) -> Path:
        """Where both engines listen; a short hashed path when the directory's own is too long.

        The short path depends on nothing but the directory's name, so that a command started by
        cron finds the server that a shell started.
        """
        own = self.root / "run"
        if len(os.fsencode(own)) <= LONGEST_SOCKET_DIR:
            return own
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(f"/tmp/finops-{name}")  # noqa: S108  (its owner is checked before use)

    @property
    def broker_socket(self) -> Path:
        return self.sockets / "broker.sock"

    @property
    def metrics(self) -> Path:
        """Where the web processes share their counters."""
        return self.root / "run" / "metrics"

    def database_url(self) -> str:
        return f"postgresql://finops@/finops?host={quote(str(self.sockets), safe='')}"

    def broker_url(self) -> str:
        return f"redis+socket://{self.broker_socket}"

    def prepare(self) -> None:
        """Make the directories. Raises EngineError, in one sentence, when they cannot be used."""
        try:
            for directory in (self.root, self.root / "run", self.logs):
                directory.mkdir(mode=0o755 if directory == self.root else 0o700, parents=True, exist_ok=True)
            self._prepare_sockets()
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise EngineError(
                f"The data directory {self.root} cannot be written ({reason}). "
                "Give another with --data-dir or DATA_DIR, or make this one writable for "
                f"user {os.geteuid()}."
            ) from error

    def _prepare_sockets(self) -> None:
        """The socket directory belongs to this user alone: whoever reaches it is the superuser."""
        with suppress(FileExistsError):
            self.sockets.mkdir(mode=0o700)
        found = self.sockets.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise EngineError(f"{self.sockets} is in the way: it must be a directory of our own.")
        allowed = {os.geteuid()}
        if os.geteuid() == 0 and self.postgres.exists():
            allowed.add(self.postgres.stat().st_uid)
        if found.st_uid not in allowed:
            raise EngineError(
                f"The data directory {self.root} belongs to user {found.st_uid}: run as that user, "
                "or give another with --data-dir or DATA_DIR."
            )
        if stat.S_IMODE(found.st_mode) != 0o700:
            self.sockets.chmod(0o700)

    def secret_key(self) -> str:
        """The instance's own secret, made at first use and kept beside its data (mode 0600).

        It appears whole or not at all: written aside, then linked into place, so that two
        processes starting at once agree on one. While the directory cannot be written a key for
        this process alone is used: commands that need no state still run, and ``up`` refuses to
        start with its own message.
        """
        file = self.root / "secret_key"
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            return file.read_text()
        aside = self.root / f".secret_key-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(secrets.token_urlsafe(50))
            with suppress(FileExistsError):
                os.link(aside, file)
            return file.read_text()
        except OSError:
            return secrets.token_urlsafe(50)
        finally:
            with suppress(OSError):
                aside.unlink()
