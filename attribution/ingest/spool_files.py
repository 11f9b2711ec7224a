"""The files of the spool: what a record looks like on the disk, and how segments are found and read.

A segment is named ``<nanoseconds>-<writer>.spool``. Each record in it is

    magic (4 bytes), length (uint32), xxh3-64 of the body (uint64), body

and the body is MessagePack, zstd-compressed. A record is good if its checksum says so. What is cut off at
the end was never acknowledged; whatever else is not good is damage, and the file is kept for a person.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zstandard
from xxhash import xxh3_64_intdigest

from attribution.ingest.intake import Sender

SEGMENT = ".spool"
UNSEEN = ".new"  # a segment that is being made
SET_ASIDE = "set-aside"
DAMAGED = ".damaged"
_MAGIC = b"\xf1SP1"
_HEAD = struct.Struct("<4sIQ")
_log = logging.getLogger(__name__)


class Record(msgspec.Struct, frozen=True):
    """Something acknowledged. ``id`` is its own, for kinds whose content has no identity."""

    id: str
    at_us: int  # acknowledged, microseconds since 1970
    kind: str
    count: int  # how many events it stands for
    sender: Sender
    payload: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the spool."""

    path: Path
    bytes: int

    @property
    def writer(self) -> str:
        """Which process wrote it."""
        return self.path.stem.partition("-")[2]

    @property
    def opened_at(self) -> float:
        """Unix seconds; a moment before its first record."""
        return int(self.path.stem.partition("-")[0]) / 1e9


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def encode(record: Record) -> bytes:
    """The bytes of one record."""
    body = zstandard.ZstdCompressor(level=1).compress(_encode(record))
    return _HEAD.pack(_MAGIC, len(body), xxh3_64_intdigest(body)) + body


def split(data: bytes) -> tuple[list[bytes], bool]:
    """The good bodies of a segment, and whether anything before the last of them is damaged."""
    found: list[bytes] = []
    place = good_until = 0
    is_damaged = False
    while (head := data.find(_MAGIC, place)) >= 0:
        body = _body_at(data, head)
        if body is None:
            place = head + 1
            continue
        is_damaged |= head > good_until
        found.append(body)
        place = good_until = head + _HEAD.size + len(body)
    return found, is_damaged


def _body_at(data: bytes, place: int) -> bytes | None:
    if len(data) - place < _HEAD.size:
        return None
    _, length, checksum = _HEAD.unpack_from(data, place)
    body = data[place + _HEAD.size : place + _HEAD.size + length]
    return body if len(body) == length and xxh3_64_intdigest(body) == checksum else None


def decode(body: bytes) -> Record:
    """The record in a good body; one that another version wrote, and this one cannot read, has no kind."""
    try:
        return _decode(zstandard.ZstdDecompressor().decompress(body))
    except (zstandard.ZstdError, msgspec.MsgspecError):
        return Record(secrets.token_hex(16), 0, "", 0, Sender(""), body)


def segments(directory: Path) -> list[Segment]:
    """All segments, the oldest first; none if there is no spool yet."""
    found = []
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(SEGMENT):
                # It may have been replayed meanwhile.
                with suppress(FileNotFoundError):
                    found.append(Segment(Path(entry.path), entry.stat().st_size))
    return sorted(found, key=lambda segment: segment.path.name)


def is_ended(path: Path) -> bool:
    """Whether no process can write to it any more."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def read(segment: Segment) -> list[bytes]:
    """The good bodies of a segment that has ended, in order. A damaged file is kept aside as well."""
    data = segment.path.read_bytes()
    bodies, is_damaged = split(data)
    if is_damaged:
        _log.error("A segment of the spool is damaged; it is kept in %s/", SET_ASIDE)
        set_aside(segment.path.parent, f"{segment.path.stem}{DAMAGED}", data)
    return bodies


def set_aside(directory: Path, name: str, data: bytes) -> None:
    """Keep bytes that cannot be replayed, durably, under a name of their own."""
    aside = directory / SET_ASIDE
    aside.mkdir(mode=0o700, exist_ok=True)
    with (aside / name).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(aside)


def take_back(directory: Path) -> None:
    """Make segments again of records that were set aside, to be tried once more."""
    for kept in (directory / SET_ASIDE).glob("*"):
        at_us, _, name = kept.name.partition("-")
        # Of a damaged segment the good records were replayed; the rest is for a person to look at.
        if not kept.name.endswith(DAMAGED):
            kept.rename(directory / f"{int(at_us) * 1000:020d}-{name}{SEGMENT}")


def sync_directory(directory: Path) -> None:
    """Make names in it durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(segment: Segment) -> None:
    """Forget a segment all of whose records are in the database."""
    with suppress(FileNotFoundError):
        segment.path.unlink()


def sweep(directory: Path) -> None:
    """Remove what a process left that ended while making a segment: nothing was in it yet."""
    for unseen in directory.glob(f"*{UNSEEN}"):
        if is_ended(unseen):
            unseen.unlink(missing_ok=True)


def lines_by_writer(found: list[Segment]) -> Iterator[Iterator[tuple[Record, Segment | None]]]:
    """For each writer its records in order; the last one of a segment comes with the segment, now done."""
    by_writer: dict[str, list[Segment]] = {}
    for segment in found:
        by_writer.setdefault(segment.writer, []).append(segment)
    for line in by_writer.values():
        yield _line(line)


def _line(line: list[Segment]) -> Iterator[tuple[Record, Segment | None]]:
    """Decoded one by one: a segment may hold many times its size."""
    for segment in line:
        bodies = read(segment)
        if not bodies:
            remove(segment)
        for number, body in enumerate(bodies, 1):
            yield decode(body), segment if number == len(bodies) else None
