"""A spool on the host's own disk: what was acknowledged while the database was away.

``append`` returns when the record is on the disk; one fdatasync serves all who wait for it. Each process
writes a segment of its own and holds a lock on it for as long as it may write: a segment that can be
locked will never grow. The files are the business of ``spool_files``, replaying them of ``spool_replay``.

A record is generic: a ``kind`` that a replay is registered for, whose it is, and any bytes.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from errno import EIO
from pathlib import Path
from typing import ClassVar

from django.conf import settings

from attribution.ingest.intake import Sender
from attribution.ingest.spool_files import SEGMENT, UNSEEN, Record, encode, segments, sync_directory
from finops.core.errors import Unavailable

LARGEST_SEGMENT = 16 * 1024 * 1024
# The database needs room on the same disk to come back: so much of it is never taken.
_LEFT_FREE = 256 * 1024 * 1024
_LEFT_FREE_SHARE = 0.05
_SAME_AGAIN = "nothing was kept. Send the same again later."


class SpoolFull(Unavailable):
    """Neither the database nor the spool can take anything: nothing was kept."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "30"}


@dataclass(slots=True)
class _Open:
    """A segment that only this process writes to."""

    path: Path
    descriptor: int
    written: int = 0
    synced: int = 0
    is_broken: bool = False


class Spool:
    """The writing side of this process, for all its threads. ``_pen`` is taken before ``_syncing``."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self.directory = directory
        self.most_bytes = most_bytes
        self._writer = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._segment: _Open | None = None
        self._pen = threading.Lock()
        self._syncing = threading.Lock()

    def append(self, kind: str, sender: Sender, payload: bytes, count: int) -> None:
        """Put a record on the disk that stands for ``count`` events.

        Raises SpoolFull (503) when it cannot be put there.
        """
        try:
            with self._pen:
                # Stamped in here: the order of the file is that of time.
                record = Record(secrets.token_hex(16), time.time_ns() // 1000, kind, count, sender, payload)
                segment, end = self._write(encode(record))
            self._sync(segment, end)
        except OSError as error:
            reason = error.strerror or str(error)
            raise SpoolFull(
                f"The database is away and the spool cannot be written ({reason}): {_SAME_AGAIN}"
            ) from error

    def seal(self) -> None:
        """End the open segment, so that it can be replayed."""
        with self._pen:
            self._end()

    def _write(self, data: bytes) -> tuple[_Open, int]:
        self._check_room(len(data))
        if self._segment is not None and self._segment.is_broken:
            self._end()
        segment = self._segment or self._begin()
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(segment.descriptor, data[done:], segment.written + done)
        except OSError:
            # Half a record was promised to nobody. Where it cannot be taken back, nothing may follow it.
            try:
                os.ftruncate(segment.descriptor, segment.written)
            except OSError:
                segment.is_broken = True
            raise
        segment.written += len(data)
        end = segment.written
        if end >= LARGEST_SEGMENT:
            self._end()
        return segment, end

    def _sync(self, segment: _Open, end: int) -> None:
        with self._syncing:
            if segment.synced >= end:
                return
            if segment.is_broken:
                raise OSError(EIO, os.strerror(EIO))
            self._sync_now(segment)

    def _sync_now(self, segment: _Open) -> None:
        """After a failure the kernel may forget what it could not write: the file is not written to again."""
        written = segment.written
        try:
            os.fdatasync(segment.descriptor)
        except OSError:
            segment.is_broken = True
            raise
        segment.synced = written

    def _end(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        with self._syncing:
            # Whoever waits for a sync that fails here is told so by ``is_broken``.
            with suppress(OSError):
                if not segment.is_broken:
                    self._sync_now(segment)
            os.close(segment.descriptor)

    def _begin(self) -> _Open:
        """A new segment, locked before it can be seen: nobody may take it for one that has ended."""
        unseen = self.directory / f"{time.time_ns():020d}-{self._writer}{UNSEEN}"
        path = unseen.with_suffix(SEGMENT)
        descriptor = os.open(unseen, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unseen.rename(path)
            sync_directory(self.directory)
        except OSError:
            os.close(descriptor)
            with suppress(OSError):
                unseen.unlink()
            raise
        self._segment = _Open(path, descriptor)
        return self._segment

    def _check_room(self, wanted: int) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sum(segment.bytes for segment in segments(self.directory)) + wanted > self.most_bytes:
            raise SpoolFull(f"The database is away and the spool is full: {_SAME_AGAIN}")
        disk = os.statvfs(self.directory)
        left_free = min(_LEFT_FREE, int(disk.f_blocks * disk.f_frsize * _LEFT_FREE_SHARE))
        if disk.f_bavail * disk.f_frsize < wanted + left_free:
            raise SpoolFull(f"The database is away and the disk is full: {_SAME_AGAIN}")


_spool: Spool | None = None
_making = threading.Lock()


def spool() -> Spool:
    """The one of this process."""
    global _spool
    with _making:
        if _spool is None or _spool.directory != settings.SPOOL_DIR:
            _spool = Spool(settings.SPOOL_DIR, settings.SPOOL_MAX_BYTES)
        return _spool


def _forget() -> None:
    """A child writes segments of its own."""
    global _spool, _making
    _spool, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
