"""Where an instance keeps its state: one directory, one place that knows its names."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# A unix socket path holds 107 bytes on Linux, and PostgreSQL appends its own name.
LONGEST_SOCKET_DIR = 85


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
        """Where both engines listen; a short hashed path when the directory's own is too long."""
        own = self.root / "run"
        if len(os.fsencode(own)) <= LONGEST_SOCKET_DIR:
            return own
        runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/finops-{os.getuid()}"
        return Path(runtime) / hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]

    def database_url(self) -> str:
        return f"postgresql://finops@/finops?host={quote(str(self.sockets), safe='')}"

    def broker_url(self) -> str:
        return f"redis+socket://{self.sockets / 'broker.sock'}"

    def secret_key(self) -> str:
        """The instance's own secret, made at first use and kept beside its data (mode 0600).

        While the directory cannot be written a key for this process alone is used: commands that
        need no state still run, and ``up`` refuses to start with its own message.
        """
        file = self.root / "secret_key"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(secrets.token_urlsafe(50))
        except FileExistsError:
            pass
        except OSError:
            if not file.exists():
                return secrets.token_urlsafe(50)
        return file.read_text()
