"""Batches on disk: one file each, there as a whole or not at all, gone when the server has them.

A crash between the server's answer and the removal of the file sends the batch again, with the same ids:
the server recognises it. Processes may share a directory; a lock keeps two from sending one file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import time

from finops_client.records import Batch, Lane, Record, new_id

try:
    import fcntl
except ImportError:  # Windows: files may be sent twice, which the server recognises.
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".batch"
ABANDONED_SECONDS = 3600


class Spool:
    """The batches of one directory, oldest first."""

    def __init__(self, directory: str | Path, most_bytes: int) -> None:
        """Make the directory if need be. Raises OSError when it cannot be written."""
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(self.directory, os.W_OK | os.X_OK):
            raise PermissionError(f"{self.directory} cannot be written")
        self._most_bytes = most_bytes
        # What this process knows of files that failed: attempts, and deliveries before the first.
        self._tried: dict[str, tuple[int, int]] = {}
        self._forget_halves()

    def files(self) -> list[Path]:
        """Files of whole batches, in the order they were written."""
        return sorted(self.directory.glob(f"*{SUFFIX}"))

    def keep(self, batch: Batch) -> None:
        """Write it and wait until it is on disk. Raises OSError, also when the spool is full."""
        lines = [json.dumps([batch.lane.name]).encode()]
        lines += [json.dumps([record.id]).encode() + b"\t" + record.body for record in batch.records]
        content = b"\n".join(lines) + b"\n"
        if self._used() + len(content) > self._most_bytes:
            raise OSError(f"{self.directory} holds as much as it may")
        final = self.directory / f"{new_id()}{SUFFIX}"
        partial = final.with_suffix(".partial")
        try:
            with open(partial, "xb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(final)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            raise
        self._settle_names()

    def take(self, after: str = "") -> Batch | None:
        """A batch that nobody else is sending, the next one after a name, then from the beginning again.

        It must be given back by ``done`` or ``release``.
        """
        files = self.files()
        later = [path for path in files if path.name > after]
        for path in [*later, *(path for path in files if path.name <= after)]:
            lock = _locked(path)
            if lock is None:
                continue
            batch = _read(path)
            if batch is not None:
                batch.file, batch.lock = path, lock
                batch.attempts, batch.delivered_before = self._tried.get(path.name, (0, -1))
                return batch
            path.rename(path.with_suffix(".unreadable"))
            os.close(lock)
        return None

    def done(self, batch: Batch) -> None:
        """Forget a batch that need not be sent any more."""
        if os.name != "posix":
            # Windows does not remove what is open.
            self.release(batch)
        if batch.file is not None:
            with suppress(FileNotFoundError):
                batch.file.unlink()
        self.release(batch)
        if batch.file is not None:
            self._tried.pop(batch.file.name, None)

    def release(self, batch: Batch) -> None:
        """Leave it for a later attempt, of any process."""
        if batch.file is not None:
            self._tried[batch.file.name] = (batch.attempts, batch.delivered_before)
        lock, batch.lock = batch.lock, None
        if lock is not None:
            if fcntl is not None:
                # A child forked meanwhile holds the same lock; closing would not be enough.
                fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def _used(self) -> int:
        total = 0
        for path in self.files():
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def _forget_halves(self) -> None:
        """Remove what processes were killed in the middle of writing, long ago."""
        for path in self.directory.glob("*.partial"):
            with suppress(FileNotFoundError):
                if time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()

    def _settle_names(self) -> None:
        """A renamed file survives a loss of power once its directory is on disk."""
        if os.name == "posix":
            directory = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the file's lock; None when it is taken or the file is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def _read(path: Path) -> Batch | None:
    """The batch of a file; None for a file that is none."""
    try:
        records = list(_records(path.read_bytes()))
    except (ValueError, KeyError, IndexError):
        return None
    return Batch(records[0].lane, records) if records else None


def _records(content: bytes) -> Iterator[Record]:
    head, *lines = content.splitlines()
    lane = Lane[json.loads(head)[0]]
    for line in lines:
        name, body = line.split(b"\t", 1)
        yield Record(lane, json.loads(name)[0], body)
