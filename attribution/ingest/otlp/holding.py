"""Spans made durable: they wait here for what else is told about the same calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction
from xxhash import xxh3_64_digest

from attribution import contracts
from attribution.ingest import quarantine
from attribution.ingest.arrays import (
    Bigints,
    Blobs,
    Booleans,
    Integers,
    PgArray,
    Smallints,
    Texts,
    Uuids,
    cursor_with_arrays,
)
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
from attribution.ingest.times import instant, microseconds
from attribution.models.spans import Fate
from finops.core import outage
from finops.core.errors import FieldProblem, Unavailable

_SPOOLED = "spans"
_LONGEST_SECONDS = 20
_HEX_TRACE, _HEX_SPAN = 32, 16
_NO_PARENT = bytes(8)  # no span has this id
_NAMELESS = FieldProblem(
    "span_id", "invalid", "A trace id has 16 bytes and a span id 8, not all of them zero."
)
_CONFLICT = FieldProblem(
    "span_id", "conflict", "Another span with these ids was sent first, and it is the one that counts."
)
_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_decode_event = msgspec.msgpack.Decoder(Event).decode
_encode_json = msgspec.json.Encoder().encode


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
    if len(readings) < len(spans):
        nameless = (span for span in spans if not _is_named(span))
        held.rejected += [(f"{span.trace_id}:{span.span_id}", _NAMELESS) for span in nameless]
    events = _events(readings, sender, held)
    rows = [_row(reading, events) for reading in readings if not reading.event or _id(reading) in events]
    # In one order for all, so that two requests with the same spans cannot wait for each other.
    rows.sort(key=attrgetter("key"))
    held.calls = len(events)
    if rows:
        try:
            held.known, conflicts = _insert(rows, sender)
            held.calls -= len(conflicts)
            held.rejected += [(_event_id(rows[place]), _CONFLICT) for place in conflicts]
        except Unavailable:
            spool().append(_SPOOLED, sender, _encode(rows), len(rows))
    return held


def replay(records: Sequence[Record]) -> None:
    """Hold what was spooled. Raises Unavailable when the database is away again."""
    for record in records:
        _insert(_decode_rows(record.payload), record.sender)


def _is_named(span: Span) -> bool:
    return (
        len(span.trace_id) == _HEX_TRACE
        and len(span.span_id) == _HEX_SPAN
        and len(span.parent_id) in (0, _HEX_SPAN)
        and bool(span.trace_id.strip("0") and span.span_id.strip("0"))
    )


def _event_id(row: _Row) -> str:
    return f"{row.trace_id.hex()}:{row.span_id.hex()}"


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
    held.rejected += [(rejection.event_id or "", rejection.problem) for rejection in post.arrivals.rejected]
    return {event.event_id: event for event in post.events}


class _Sound:
    """Names and facts that the rules let pass: the process that holds spans books no calls."""

    _MOST = 100_000
    _SET: KnownSet = (0, 0)
    _FACTS: KnownFacts = ((), 0)

    def __init__(self) -> None:
        self._changes = 0
        self._sets: dict[tuple[str, str], dict[Names, KnownSet]] = {}
        self._facts: dict[RawFacts, KnownFacts] = {}

    def known(self, sender: Sender) -> Known:
        """What passed under this key, by the contracts of today."""
        if self._changes != contracts.book.changes:
            self._changes = contracts.book.changes
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


class _Row(msgspec.Struct, array_like=True, gc=False):
    """One span as the table keeps it; empty or 0 where there is nothing to say."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    fate: int
    has_usage: bool
    is_embedding: bool
    is_innermost: bool
    input_tokens: int
    output_tokens: int
    likeness: int
    content: int
    started_us: int
    ended_us: int
    said: bytes
    event: bytes
    answer: int = 0  # rows that were spooled by earlier versions are without

    @property
    def key(self) -> tuple[bytes, bytes]:
        return self.trace_id, self.span_id


_decode_rows = msgspec.msgpack.Decoder(list[_Row]).decode


def _row(reading: Reading, events: dict[str, Event]) -> _Row:
    span, event = reading.span, events[_id(reading)] if reading.event else None
    usage = (event.usage if event else None) or Usage()
    encoded = _encode(event) if event else b""
    says = reading.said or reading.service.said
    return _Row(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_id=bytes.fromhex(span.parent_id) or _NO_PARENT,
        fate=(Fate.WAITING if event else Fate.LINK).value,
        has_usage=reading.has_usage,
        is_embedding=event is not None and (event.operation or "").startswith("embed"),
        is_innermost=span.scope in PROVIDERS_OWN,
        input_tokens=max(usage.input_tokens, 0),
        output_tokens=max(usage.output_tokens, 0),
        likeness=_likeness(reading, event, usage) if event and reading.has_usage else 0,
        content=_number(xxh3_64_digest(encoded)) if event else 0,
        started_us=span.start_ns // 1000,
        ended_us=span.end_ns // 1000,
        said=_encode_json((reading.said, reading.service.said)) if says else b"",
        event=encoded,
        answer=told((reading.answer,)) or 1 if reading.answer and reading.has_usage else 0,
    )


def _likeness(reading: Reading, event: Event, usage: Usage) -> int:
    """What two spans of one call agree in: the process that made it, the provider, the tokens. Not 0."""
    tokens = (usage.input_tokens, usage.output_tokens, max(usage.cache_read_tokens, 0))
    return told((*reading.service.process, event.provider, *map(str, tokens))) or 1


def _number(eight_bytes: bytes) -> int:
    return int.from_bytes(eight_bytes, "big", signed=True)


# The columns in the order of the statement, each with its form as a parameter.
_COLUMNS: tuple[tuple[str, Callable[[Sequence[Any]], PgArray]], ...] = (
    ("trace_id", lambda ids: Uuids.of(np.frombuffer(b"".join(ids), dtype="V16"))),
    ("span_id", lambda ids: Bigints.of(np.frombuffer(b"".join(ids), dtype=">i8"))),
    ("parent_id", lambda ids: Bigints.of(np.frombuffer(b"".join(ids), dtype=">i8"))),
    ("fate", Smallints.of),
    ("has_usage", Booleans.of),
    ("is_embedding", Booleans.of),
    ("is_innermost", Booleans.of),
    ("input_tokens", Integers.of),
    ("output_tokens", Integers.of),
    ("likeness", Bigints.of),
    ("content", Bigints.of),
    ("started_us", Bigints.of),
    ("ended_us", Bigints.of),
    ("said", Texts.of),
    ("event", Blobs.of),
    ("answer", Bigints.of),
)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_EMPTY = {"parent_id": "0", "likeness": "0", "content": "0", "said": "''", "event": "''", "answer": "0"}
_VALUES = ", ".join(f"nullif({name}, {_EMPTY[name]})" if name in _EMPTY else name for name, _ in _COLUMNS)
_INSERT = f"""
    INSERT INTO otlp_span (api_key, key_team, received_at, {_NAMES})
    SELECT %s::text, %s::text, clock_timestamp(), {_VALUES}
    FROM unnest({", ".join(["%b"] * len(_COLUMNS))}) AS new ({_NAMES})
    ON CONFLICT DO NOTHING
"""
# Spans that are known as something else.
_OTHERWISE = """
    SELECT s.trace_id, s.span_id FROM otlp_span s
    JOIN unnest(%b, %b, %b) AS new (trace_id, span_id, content) USING (trace_id, span_id)
    WHERE s.content <> new.content AND new.content <> 0
"""


def _insert(rows: Sequence[_Row], sender: Sender) -> tuple[int, list[int]]:
    """How many were known, and the places of those that were known as something else."""
    columns = {name: form([getattr(row, name) for row in rows]) for name, form in _COLUMNS}
    try:
        with (
            outage.watched(_LONGEST_SECONDS),
            transaction.atomic(),
            cursor_with_arrays(connection.connection) as cursor,
        ):
            cursor.execute(_INSERT, [sender.api_key, sender.team, *columns.values()])
            known = len(rows) - int(cursor.rowcount)
            if not known:
                return 0, []
            cursor.execute(_OTHERWISE, [columns[name] for name in ("trace_id", "span_id", "content")])
            otherwise = {(trace.bytes, span) for trace, span in cursor.fetchall()}
            places = [n for n, row in enumerate(rows) if (row.trace_id, _number(row.span_id)) in otherwise]
            if places:
                _keep_conflicts([rows[place] for place in places], sender)
            return known, places
    except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        if not connection.in_atomic_block:
            connection.close()
        outage.note_away(error)
        raise Unavailable("The database is away: nothing was kept. Send the same spans again.") from error


def _keep_conflicts(rows: Sequence[_Row], sender: Sender) -> None:
    events = [_decode_event(row.event) for row in rows]
    quarantine.keep_conflicts(
        [(event, instant(microseconds(event.occurred_at)), sender.api_key, sender.team) for event in events]
    )
