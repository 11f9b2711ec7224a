"""Under which user the engines run, when PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finops.embedded.layout import EngineError

_LAUNCH = Path(__file__).with_name("launch.py")
# Users every distribution has, none of whom owns anything.
_UNPRIVILEGED = ("nobody", "postgres", "daemon")


@dataclass(frozen=True, slots=True)
class Identity:
    """How a program is started: as we are, in a user namespace, or as an unprivileged user."""

    kind: str
    uid: int
    gid: int

    def __str__(self) -> str:
        return "same" if self.kind == "same" else f"{self.kind}:{self.uid}:{self.gid}"

    def command(self, program: Sequence[str | Path], death_signal: signal.Signals | None = None) -> list[str]:
        """The argument list that starts ``program`` so, and ends it with its parent if asked."""
        number = str(int(death_signal or 0))
        return [sys.executable, "-ISs", str(_LAUNCH), number, str(self), *map(str, program)]

    def own(self, directory: Path) -> None:
        """Hand a directory of ours and its content (never its parents) to that user."""
        if self.kind != "user" or directory.stat().st_uid == self.uid:
            return
        for parent, _, files in os.walk(directory):
            os.chown(parent, self.uid, self.gid)
            for name in files:
                os.chown(Path(parent, name), self.uid, self.gid, follow_symlinks=False)


def engine_identity(data: Path) -> Identity:
    """Who may run the engine whose files are (or will be) in ``data``.

    An ordinary user runs it as himself. Root runs it in a user namespace; where those are blocked,
    or where the files were made so before, as the unprivileged user who owns or will own them.
    """
    if os.geteuid() != 0:
        return Identity("same", os.geteuid(), os.getegid())
    owner = data.stat() if data.exists() else None
    if owner is not None and owner.st_uid != 0:
        return Identity("user", owner.st_uid, owner.st_gid)
    entry = _unprivileged_user()
    namespace = Identity("namespace", entry.pw_uid, entry.pw_gid)
    if _works(namespace):
        return namespace
    return Identity("user", entry.pw_uid, entry.pw_gid)


def _unprivileged_user() -> pwd.struct_passwd:
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EngineError(
        "PostgreSQL refuses to run as root and there is no unprivileged user (nobody) to run it as: "
        "start as an ordinary user, or set DATABASE_URL."
    )


def _works(identity: Identity) -> bool:
    tried = subprocess.run(identity.command([sys.executable, "-ISsc", ""]), capture_output=True, check=False)
    return tried.returncode == 0
