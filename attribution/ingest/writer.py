"""One batch, one transaction: into the day partitions by COPY, each identity once.

Identity is unique within a UTC day by an index on each partition; the days before and after are asked
before writing. A batch is written straight away in the hope that nothing in it is known yet. Where
something is, the write is undone to a savepoint, the known events are found and the rest written.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, cast

import numpy as np
import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import CheckViolation, DeadlockDetected, SerializationFailure, UniqueViolation

from attribution import contracts
from attribution.ingest import copying, quarantine
from attribution.ingest.arrays import Uuids, cursor_with_arrays
from attribution.ingest.columns import Columns
from attribution.ingest.dimensions import CustomerBook, DimensionBook
from attribution.ingest.identity import content_hashes, said
from attribution.ingest.outcome import Outcome
from attribution.ingest.post import Known, KnownFacts, Post, RawFacts
from attribution.ingest.schema import Event
from attribution.ingest.times import EPOCH, instant
from attribution.models import IngestBatch
from finops.core import outage
from finops.core.errors import Unavailable
from finops.core.meters import Meter
from pricing.slots import SlotBook

_MOST_RACES = 5
_MOST_FACTS = 100_000
# The largest batch takes a second or two; a server that takes this long is as good as away.
LONGEST_SECONDS = 20

dimensions = DimensionBook()
customers = CustomerBook()
slots = SlotBook()
_facts: dict[RawFacts, KnownFacts] = {}
# The books above serve all threads of the process, one at a time.
_looking_up = threading.Lock()
_days_made: set[int] = set()  # UTC days since 1970 that have a partition


class Fate(IntEnum):
    """What became of one event."""

    ACCEPTED = 0
    DUPLICATE = 1
    CONFLICT = 2


@dataclass(slots=True)
class _Batch:
    """Rows ready to be written. Arrays are in the order of ``columns``."""

    columns: Columns
    content: np.ndarray
    records: np.ndarray
    tails: list[bytes]
    units: list[tuple[int, int, Any]]  # row, meter id, quantity
    leader: np.ndarray  # the row that came first with the same identity; most are their own
    posts: Sequence[Post]
    stored: dict[int, int] = field(default_factory=dict)  # row: content hash already in the books


def known(api_key: str, key_team: str) -> Known:
    """Names and price facts that sound events had before, under this key."""
    keys = tuple(contracts.book.allocated)
    return Known(dimensions.known(api_key, key_team, keys), _facts, keys)


def forget() -> None:
    """Drop everything this process remembers of the database."""
    global dimensions, customers, slots
    dimensions, customers, slots = DimensionBook(), CustomerBook(), SlotBook()
    contracts.book.forget()
    _days_made.clear()


def write(posts: Sequence[Post]) -> list[Outcome]:
    """Make the posts durable in one transaction; what each one's events became.

    Raises Unavailable when the database is away; then nothing is written, or all of it was and a
    retry will find duplicates.
    """
    try:
        with outage.watched(LONGEST_SECONDS):
            if not any(post.events for post in posts):
                _note_nothing(posts)
                return [Outcome(post.arrivals, 0, 0, []) for post in posts]
            batch = _prepare(posts)
            fates = _written(batch)
    except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        if not connection.in_atomic_block:
            connection.close()
        outage.note_away(error)
        raise Unavailable("The database is away: nothing was kept. Send the same events again.") from error
    return _outcomes(posts, batch, fates)


def _prepare(posts: Sequence[Post]) -> _Batch:
    """Names to numbers, events to columns. Commits dictionary rows that are new."""
    columns = Columns.of(posts)
    said_in_numbers, found = columns.numbers(), columns.units()
    with _looking_up:
        # In order of arrival, like everything in a post.
        sets = np.array([known for post in posts for known in dimensions.resolve(post)])[columns.place]
        arrived = [known for post in posts for known in _facts_of(post)]
        facts = [arrived[place] for place in columns.place.tolist()]
        slot_ids = slots.resolve([each for each, _ in facts], columns.time_us, columns.prompt_tokens)
        names = [event.customer for event in columns.events]
        customer_ids = customers.resolve(names)
        named = slots.unit_meter_ids({name for _, name, _ in found if not isinstance(name, Meter)})
        # Quantities as they are charged; the content of an event remains what it said.
        units = [
            (row, name, n)
            if isinstance(name, Meter)
            else (row, named[name], slots.charged(int(slot_ids[row]), name, n))
            for row, name, n in found
        ]
    tails = copying.tails(columns.events, columns.details())
    content = content_hashes(
        [sets[:, 1], np.array([number for _, number in facts]), *said_in_numbers.values()],
        copying.said_texts(tails, names, found),
    )
    placed = {
        "occurred_at": columns.time_us,
        "identity": columns.identity,
        "content_hash": content,
        "dimension_set_id": sets[:, 0],
        "slot_id": slot_ids,
        "customer_id": customer_ids,
    }
    return _Batch(
        columns=columns,
        content=content,
        records=copying.records({**placed, **said_in_numbers}),
        tails=tails,
        units=units,
        leader=_leaders(columns.identity, columns.place),
        posts=posts,
    )


def _facts_of(post: Post) -> list[KnownFacts]:
    """The price facts of each event, in order of arrival."""
    if None in post.known_facts:
        if len(_facts) > _MOST_FACTS:
            _facts.clear()
        for unknown in set(post.facts) - _facts.keys():
            *texts, response_cache, account = unknown
            facts = (*(text or "" for text in texts), response_cache == "hit", account or "")
            # An account came to be one later than the others: said only where it is given.
            _facts[unknown] = facts, said(unknown if account else unknown[:-1])
        found = [_facts[facts] for facts in post.facts]
    else:
        found = cast("list[KnownFacts]", post.known_facts)
    return _billed(post, found, contracts.book.accounts) if contracts.book.accounts else found


def _billed(post: Post, found: list[KnownFacts], accounts: Mapping[str, str]) -> list[KnownFacts]:
    """The same; who names no account is billed by its source's, which is no part of what was said."""
    return [
        ((*facts[:-1], account), number)
        if not facts[-1] and (account := accounts.get(names[0] or ""))
        else (facts, number)
        for (facts, number), names in zip(found, post.names, strict=True)
    ]


def _leaders(identity: np.ndarray, place: np.ndarray) -> np.ndarray:
    """For each row the one of the same identity that arrived first: nearly always itself."""
    if len(np.unique(identity[:, 1])) == len(identity):
        return np.arange(len(identity))
    order = np.lexsort((place, identity[:, 1], identity[:, 0]))
    ordered = identity[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    leader = np.empty(len(order), dtype=np.int64)
    leader[order] = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    return leader


def _written(batch: _Batch) -> np.ndarray:
    """Write, once more if two writers stood in each other's way; the fate of each row."""
    try:
        return _in_one_transaction(batch)
    except (DeadlockDetected, SerializationFailure, CheckViolation):
        # CheckViolation: a partition that was dropped since this process last saw it.
        _days_made.clear()
        batch.stored.clear()
        return _in_one_transaction(batch)


def _in_one_transaction(batch: _Batch) -> np.ndarray:
    _make_partitions(batch.columns.days)
    with transaction.atomic():
        batch_id = _note_batch(batch)
        batch.records["batch_id"] = batch_id
        _copy_unknown(batch)
        fates = _fates(batch)
        if fates.any():
            _correct_batch(batch_id, fates)
        conflicts = np.flatnonzero(fates == Fate.CONFLICT).tolist()
        if conflicts:
            quarantine.keep_conflicts([_arrived(batch, row) for row in conflicts])
    return fates


def _arrived(batch: _Batch, row: int) -> tuple[Event, datetime, str, str]:
    """The event of a row, when it was, and the key that it came with."""
    ends = np.cumsum([len(post.events) for post in batch.posts])
    post = batch.posts[int(np.searchsorted(ends, batch.columns.place[row], side="right"))]
    at = instant(int(batch.columns.time_us[row]))
    return batch.columns.events[row], at, post.api_key, post.key_team


def _make_partitions(days: np.ndarray) -> None:
    missing = set(np.unique(days).tolist()) - _days_made
    for day in sorted(missing):
        with connection.cursor() as cursor:
            cursor.execute("SELECT ensure_call_partition(%s)", [(EPOCH + timedelta(days=day)).date()])
        _days_made.add(day)


def _copy_unknown(batch: _Batch) -> None:
    """Write every leader that is not in the books yet; ``stored`` names the others."""
    is_leader = batch.leader == np.arange(len(batch.leader))
    _find_stored(batch, neighbours_only=True)
    for _ in range(_MOST_RACES):
        fresh = is_leader.copy()
        fresh[list(batch.stored)] = False
        try:
            with transaction.atomic():
                _copy(batch, fresh)
            return
        except UniqueViolation:
            # Whoever wrote it has committed, else we would still wait: now it can be seen.
            _find_stored(batch, neighbours_only=False)
    raise Unavailable("The same events keep arriving elsewhere. Send them again.")


def _find_stored(batch: _Batch, *, neighbours_only: bool) -> None:
    """Ask the books for the batch's identities: each in the day before its own, its own, and the day after.

    Its own day may be left out, because there the unique index speaks up.
    """
    days = batch.columns.days
    found = []
    with cursor_with_arrays(connection.connection) as cursor:
        for day in np.unique(days).tolist():
            skipped = (day, day + 1) if neighbours_only else (day, day)
            bounds = [EPOCH + timedelta(days=bound) for bound in (day - 1, *skipped, day + 2)]
            # Rows stand in the order of their days.
            first, end = np.searchsorted(days, [day, day + 1])
            cursor.execute(_STORED, [Uuids.of(batch.columns.identity[first:end].view("V16")[:, 0]), *bounds])
            found += cursor.fetchall()
    row_of = _rows_by_identity(batch) if found else {}
    batch.stored.update((row_of[identity.int], content) for identity, content in found)


_STORED = """
    SELECT identity, content_hash FROM call_event WHERE identity = ANY(%s)
    AND (occurred_at >= %s AND occurred_at < %s OR occurred_at >= %s AND occurred_at < %s)
"""


def _rows_by_identity(batch: _Batch) -> dict[int, int]:
    pairs = zip(batch.columns.identity.tolist(), batch.leader.tolist(), strict=True)
    return {high << 64 | low: leader for (high, low), leader in pairs}


def _copy(batch: _Batch, fresh: np.ndarray) -> None:
    numbers = np.flatnonzero(fresh).tolist()
    if not numbers:
        return
    everything = len(numbers) == len(fresh)
    rows = batch.records if everything else batch.records[fresh]
    tails = batch.tails if everything else [batch.tails[number] for number in numbers]
    with connection.cursor() as cursor:
        with cursor.copy(
            f"COPY call_event ({', '.join(copying.COLUMNS)}) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.write(copying.copy_stream(rows, tails))
        if any(fresh[row] for row, _, _ in batch.units):
            _copy_units(cursor, batch, fresh)


def _copy_units(cursor: Any, batch: _Batch, fresh: np.ndarray) -> None:  # Any: Django's cursor wrapper
    times, identities = batch.columns.time_us, batch.columns.identity
    batch_id = int(batch.records["batch_id"][0])
    with cursor.copy(
        "COPY call_unit (occurred_at, identity, batch_id, meter_id, quantity) FROM STDIN"
    ) as copy:
        for row, meter_id, quantity in batch.units:
            if fresh[row]:
                identity = identities[row].tobytes().hex()
                copy.write_row((instant(int(times[row])), identity, batch_id, int(meter_id), quantity))


def _fates(batch: _Batch) -> np.ndarray:
    """Whoever says what was kept under its identity is a duplicate; whoever says otherwise, a conflict."""
    content = batch.content
    kept = content[batch.leader]
    first = batch.leader == np.arange(len(batch.leader))
    if batch.stored:
        in_books = np.zeros(len(content), dtype=bool)
        for row, stored in batch.stored.items():
            same = batch.leader == row
            kept[same] = stored
            in_books |= same
        first &= ~in_books
    return np.where(first, Fate.ACCEPTED, np.where(content == kept, Fate.DUPLICATE, Fate.CONFLICT))


def _note_batch(batch: _Batch) -> int:
    """Open the batch as if everything in it were new; its id."""
    times = batch.columns.time_us
    bounds = instant(int(times.min())), instant(int(times.max()))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_batch (received_at, accepted, duplicates, conflicts, first_at, last_at,"
            " rejected, content_dropped, import_id)"
            " VALUES (clock_timestamp(), %s, 0, 0, %s, %s, %s, %s, %s) RETURNING id",
            [len(times), *bounds, *_refused(batch.posts).values(), batch.posts[0].import_id],
        )
        return int(cursor.fetchone()[0])


def _correct_batch(batch_id: int, fates: np.ndarray) -> None:
    """Not everything was new. Where nothing was, there is nothing to fold."""
    accepted, duplicates, conflicts = (int((fates == fate).sum()) for fate in Fate)
    noted = IngestBatch.objects.filter(pk=batch_id)
    noted.update(accepted=accepted, duplicates=duplicates, conflicts=conflicts)
    if not accepted:
        noted.update(folded_at=timezone.now())


def _note_nothing(posts: Sequence[Post]) -> None:
    """Requests without a single sound event still count on Data health."""
    now = timezone.now()
    IngestBatch.objects.create(
        received_at=now, accepted=0, first_at=now, last_at=now, folded_at=now, **_refused(posts)
    )


def _refused(posts: Sequence[Post]) -> dict[str, int]:
    return {
        "rejected": sum(len(post.arrivals.rejected) for post in posts),
        "content_dropped": sum(post.arrivals.content_dropped for post in posts),
    }


def _outcomes(posts: Sequence[Post], batch: _Batch, fates: np.ndarray) -> list[Outcome]:
    """The fates given back to the requests that they belong to."""
    by_arrival = np.empty_like(fates)
    by_arrival[batch.columns.place] = fates
    outcomes, start = [], 0
    for post in posts:
        own = by_arrival[start : start + len(post.events)]
        start += len(own)
        outcomes.append(
            Outcome(
                post.arrivals,
                accepted=int((own == Fate.ACCEPTED).sum()),
                duplicates=int((own == Fate.DUPLICATE).sum()),
                conflicts=np.flatnonzero(own == Fate.CONFLICT).tolist(),
            )
        )
    return outcomes
