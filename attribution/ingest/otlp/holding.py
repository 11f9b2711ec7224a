"""Spans made durable: they wait here for what else is told about the same calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction

from attribution import contracts
from attribution.ingest.arrays import Bigints, Blobs, Booleans, Smallints, Texts, Uuids, cursor_with_arrays
from attribution.ingest.identity import said as told
from attribution.ingest.intake import Sender, admit
from attribution.ingest.native import from_records
from attribution.ingest.otlp.mapping import Spellings
from attribution.ingest.otlp.names import PROVIDERS_OWN
from attribution.ingest.otlp.reading import Reading, read_all
from attribution.ingest.otlp.span import Span
from attribution.ingest.post import Known, KnownFacts, KnownSet, Names, RawFacts
from attribution.ingest.schema import Event, Usage
from attribution.ingest.spool import spool
from attribution.ingest.spool_files import Record
from attribution.models.spans import Fate
from finops.core import outage
from finops.core.errors import FieldProblem, Unavailable

_SPOOLED = "spans"
_LONGEST_SECONDS = 20
_NO_PARENT = bytes(8)  # no span has this id
_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_encode_json = msgspec.json.Encoder().encode
_INSERT = """
    INSERT INTO otlp_span
        (api_key, key_team, received_at, trace_id, span_id, parent_id, fate, has_usage, likeness,
         is_innermost, started_us, ended_us, said, event)
    SELECT %s::text, %s::text, clock_timestamp(), trace_id, span_id, nullif(parent_id, 0), fate, has_usage,
           nullif(likeness, 0), is_innermost, started_us, ended_us, nullif(said, ''), nullif(event, '')
    FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
      AS new (trace_id, span_id, parent_id, fate, has_usage, likeness, is_innermost, started_us, ended_us,
              said, event)
    ON CONFLICT DO NOTHING
"""


@dataclass(slots=True)
class Held:
    """What became of the spans of one request."""

    calls: int = 0
    known: int = 0  # spans that were acknowledged before
    content_dropped: int = 0
    rejected: list[tuple[str, FieldProblem]] = field(default_factory=list)  # event id, problem


def hold(spans: Sequence[Span], sender: Sender, spellings: Spellings) -> Held:
    """Make the sound spans durable, in one transaction; say of every other call why it is not taken.

    While the database is away they are durable in the spool. Raises Unavailable when that cannot be
    written either; then nothing is kept.
    """
    held = Held(content_dropped=sum(span.content_dropped for span in spans))
    readings = read_all(filter(_is_named, spans), spellings)
    events = _events(readings, sender, held)
    rows = [_row(reading, events) for reading in readings if not reading.event or _id(reading) in events]
    # In one order for all, so that two requests with the same spans cannot wait for each other.
    rows.sort(key=_key)
    held.calls = len(events)
    if rows:
        try:
            held.known = len(rows) - _insert(rows, sender)
        except Unavailable:
            spool().append(_SPOOLED, sender, _encode(rows), len(rows))
    return held


def replay(records: Sequence[Record]) -> None:
    """Hold what was spooled. Raises Unavailable when the database is away again."""
    for record in records:
        _insert(_decode_rows(record.payload), record.sender)


def _is_named(span: Span) -> bool:
    return bool(span.trace_id.strip("0") and span.span_id.strip("0"))


def _id(reading: Reading) -> str:
    assert reading.event is not None
    return str(reading.event["event_id"])


def _events(readings: Sequence[Reading], sender: Sender, held: Held) -> dict[str, Event]:
    """The sound calls by their ids. A key bound to a source sends as that, whatever the service is called."""
    records = [reading.event for reading in readings if reading.event]
    if sender.is_bound_to_source:
        for record in records:
            record["source"] = sender.source
    post = admit(from_records(records), sender, _sound.known(sender))
    _sound.learn(sender, post.names, post.facts)
    held.rejected = [(rejection.event_id or "", rejection.problem) for rejection in post.arrivals.rejected]
    return {event.event_id: event for event in post.events}


class _Sound:
    """Names and facts that the rules let pass: the process that holds spans books no calls."""

    _MOST = 100_000
    _SET: KnownSet = (0, 0)
    _FACTS: KnownFacts = ((), 0)

    def __init__(self) -> None:
        self._version = -1
        self._sets: dict[tuple[str, str], dict[Names, KnownSet]] = {}
        self._facts: dict[RawFacts, KnownFacts] = {}

    def known(self, sender: Sender) -> Known:
        """What passed under this key, by the contracts of today."""
        if self._version != contracts.book.version:
            self._version = contracts.book.version
            self._sets.clear()
        sets = self._sets.setdefault((sender.api_key, sender.team), {})
        return Known(sets, self._facts, tuple(contracts.book.allocated))

    def learn(self, sender: Sender, names: Sequence[Names], facts: Sequence[RawFacts]) -> None:
        sets = self._sets.setdefault((sender.api_key, sender.team), {})
        if len(sets) > self._MOST or len(self._facts) > self._MOST:
            sets.clear()
            self._facts.clear()
        sets.update(dict.fromkeys(names, self._SET))
        self._facts.update(dict.fromkeys(facts, self._FACTS))


_sound = _Sound()
# Trace, span and parent as bytes, fate, has usage, likeness, is innermost, start, end, said, event.
_Row = tuple[bytes, bytes, bytes, int, bool, int, bool, int, int, bytes, bytes]
_decode_rows = msgspec.msgpack.Decoder(list[_Row]).decode


def _key(row: _Row) -> tuple[bytes, bytes]:
    return row[:2]


def _row(reading: Reading, events: dict[str, Event]) -> _Row:
    span, event = reading.span, events[_id(reading)] if reading.event else None
    return (
        bytes.fromhex(span.trace_id),
        bytes.fromhex(span.span_id),
        bytes.fromhex(span.parent_id) or _NO_PARENT,
        (Fate.WAITING if event else Fate.LINK).value,
        reading.has_usage,
        _likeness(reading, event) if event and reading.has_usage else 0,
        span.scope in PROVIDERS_OWN,
        span.start_ns // 1000,
        span.end_ns // 1000,
        _encode_json((reading.said, reading.service.said)) if reading.said or reading.service.said else b"",
        _encode(event) if event else b"",
    )


def _likeness(reading: Reading, event: Event) -> int:
    """What two spans of one call agree in: the process that made it, the provider, the tokens. Not 0."""
    usage = event.usage or Usage()
    tokens = (usage.input_tokens, usage.output_tokens, max(usage.cache_read_tokens, 0))
    return told((*reading.service.process, event.provider, *map(str, tokens))) or 1


def _insert(rows: Sequence[_Row], sender: Sender) -> int:
    """How many were new."""
    traces, spans, parents, fates, usages, likenesses, inners, starts, ends, told_names, events = zip(
        *rows, strict=True
    )
    columns = [
        Uuids.of(np.frombuffer(b"".join(traces), dtype="V16")),
        Bigints.of(np.frombuffer(b"".join(spans), dtype=">i8")),
        Bigints.of(np.frombuffer(b"".join(parents), dtype=">i8")),
        Smallints.of(fates),
        Booleans.of(usages),
        Bigints.of(likenesses),
        Booleans.of(inners),
        Bigints.of(starts),
        Bigints.of(ends),
        Texts.of(told_names),
        Blobs.of(events),
    ]
    try:
        with (
            outage.watched(_LONGEST_SECONDS),
            transaction.atomic(),
            cursor_with_arrays(connection.connection) as cursor,
        ):
            cursor.execute(_INSERT, [sender.api_key, sender.team, *columns])
            return int(cursor.rowcount)
    except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        if not connection.in_atomic_block:
            connection.close()
        outage.note_away(error)
        raise Unavailable("The database is away: nothing was kept. Send the same spans again.") from error
