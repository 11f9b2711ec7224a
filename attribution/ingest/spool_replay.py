"""From the spool into the database: in the order of acknowledgement, by one process of the host at a time.

A kind of record has one line in ``KINDS``: the function that replays it. That is given consecutive
records, makes all of them durable in the database, and raises Unavailable (or one of the database's
errors) when it cannot now. It may be given the same records again, after a crash between its commit and
the removal of the segment: what has no identity of its own uses ``Record.id``. The writing side is
``spool().append(kind, sender, payload, count)``, called when writing to the database raised Unavailable.

A record that fails for a reason of its own must not hold up the others: it is set aside in a file, logged
as an error and shown on Data health; ``manage.py replay_spool --set-aside`` tries those again.
"""

from __future__ import annotations

import fcntl
import heapq
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils.module_loading import import_string

from attribution.ingest import spool_files
from attribution.ingest.spool import spool
from attribution.ingest.spool_files import SET_ASIDE, Record, Segment
from finops.core import outage
from finops.core.errors import Unavailable

LOOK_EVERY_SECONDS = 1.0
# How long to wait for other processes of this host to notice that the database is back.
_SEAL_SECONDS = 3.0
_MOST_EVENTS = 10_000
_log = logging.getLogger(__name__)

Replay = Callable[[Sequence[Record]], None]
# By name, so that a process knows them all, whatever it has imported.
KINDS: Mapping[str, str] = {
    "events": "attribution.ingest.spooled_events.replay",
    "spans": "attribution.ingest.otlp.holding.replay",
    "outcomes": "attribution.outcomes.replay",
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one round did; counts of records and of the events in them."""

    records: int = 0
    events: int = 0
    set_aside: int = 0


def replay() -> Replayed:
    """Replay everything that has been spooled by now; nothing while another process does.

    Stops quietly where the database leaves again: what is committed by then is not repeated as far as
    whole segments go, and the rest waits for the next round.
    """
    directory = Path(settings.SPOOL_DIR)
    spool().seal()
    if not spool_files.segments(directory):
        return Replayed()
    with _alone(directory) as is_alone:
        if not is_alone:
            return Replayed()
        spool_files.sweep(directory)
        return _replay_all(directory)


def attend() -> threading.Thread:
    """Watch over this host's spool in a thread for the rest of the process."""
    thread = threading.Thread(target=_attend, name="spool", daemon=True)
    thread.start()
    return thread


def _attend() -> None:
    while True:
        time.sleep(LOOK_EVERY_SECONDS)
        try:
            if outage.is_away() or not spool_files.segments(Path(settings.SPOOL_DIR)):
                continue
            done = replay()
            if done.records:
                _log.warning("replayed the spool", extra={"records": done.records, "events": done.events})
        except Exception:  # noqa: BLE001 (the thread must live on; it is logged)
            _log.exception("The spool could not be replayed.")
        finally:
            connection.close()


@contextmanager
def _alone(directory: Path) -> Iterator[bool]:
    descriptor = os.open(directory / "replay.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _replay_all(directory: Path) -> Replayed:
    records = events = aside = 0
    lines = spool_files.lines_by_writer(_ended(directory))
    merged = heapq.merge(*lines, key=lambda each: each[0].at_us)
    try:
        for group in _groups(merged):
            aside += _replay_group(directory, [record for record, _ in group])
            records += len(group)
            events += sum(record.count for record, _ in group)
            for _, done in group:
                if done is not None:
                    spool_files.remove(done)
    except _NOT_NOW as error:
        outage.note_away(error)
        _log.warning("The replay of the spool stops: %s", error)
    return Replayed(records, events, aside)


_NOT_NOW = (Unavailable, OperationalError, InterfaceError)


def _ended(directory: Path) -> list[Segment]:
    """Segments that nobody writes to, once the other processes had time to end theirs."""
    deadline = time.monotonic() + _SEAL_SECONDS
    while True:
        found = spool_files.segments(directory)
        ended = [segment for segment in found if spool_files.is_ended(segment.path)]
        if len(ended) == len(found) or time.monotonic() > deadline:
            return ended
        time.sleep(0.1)


def _groups(
    merged: Iterator[tuple[Record, Segment | None]],
) -> Iterator[list[tuple[Record, Segment | None]]]:
    """Consecutive records of one kind, up to what makes one good batch."""
    group: list[tuple[Record, Segment | None]] = []
    events = 0
    for each in merged:
        record = each[0]
        if group and (record.kind != group[0][0].kind or events + record.count > _MOST_EVENTS):
            yield group
            group, events = [], 0
        group.append(each)
        events += record.count
    if group:
        yield group


def _replay_group(directory: Path, records: Sequence[Record]) -> int:
    """Replay them together; where that fails, each by itself. How many were set aside."""
    try:
        replay_kind: Replay = import_string(KINDS[records[0].kind])
        replay_kind(records)
    except _NOT_NOW:
        raise
    except Exception:  # noqa: BLE001 (it is logged, and the record kept)
        if len(records) > 1:
            return sum(_replay_group(directory, [record]) for record in records)
        _log.exception("A spooled record cannot be replayed; it is kept in %s/", SET_ASIDE)
        record = records[0]
        spool_files.set_aside(directory, f"{record.at_us}-{record.id}", spool_files.encode(record))
        return 1
    return 0
