"""Who uses an instance now: file locks, which the kernel drops when their holder dies.

``up``         held alone by the one ``up`` of the instance.
``processes``  shared by every supervised process and its children, from start to end.
``in-use``     shared by commands on a server that they started themselves.
``change``     held alone while a server is made, started or stopped by a command.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from finops.embedded.layout import Instance


@dataclass(slots=True)
class Lock:
    """An advisory lock on one file, held by an open descriptor that children do not inherit."""

    descriptor: int

    @staticmethod
    def path(instance: Instance, name: str) -> Path:
        return instance.root / "run" / f"{name}.lock"

    @classmethod
    def open(cls, instance: Instance, name: str) -> Lock:
        return cls(os.open(cls.path(instance, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def exclusive(self) -> None:
        """Wait until nobody else holds it."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def shared(self) -> None:
        """Wait until nobody holds it alone."""
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take it alone if nobody else holds it; what was held shared may be lost if refused."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        os.close(self.descriptor)


@contextmanager
def changing(instance: Instance) -> Iterator[None]:
    """Only one process at a time makes, starts or stops the engines."""
    lock = Lock.open(instance, "change")
    lock.exclusive()
    try:
        yield
    finally:
        lock.release()


def is_supervised(instance: Instance) -> bool:
    """Whether ``up`` is running for this instance."""
    lock = Lock.open(instance, "up")
    try:
        return not lock.try_exclusive()
    finally:
        lock.release()
