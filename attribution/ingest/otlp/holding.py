"""Spans made durable: they wait here for what else is told about the same calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction

from attribution.ingest.identity import said as told
from attribution.ingest.intake import Sender, admit
from attribution.ingest.native import from_records
from attribution.ingest.otlp.mapping import Spellings
from attribution.ingest.otlp.names import PROVIDERS_OWN
from attribution.ingest.otlp.reading import Reading, read
from attribution.ingest.otlp.wire import Span
from attribution.ingest.schema import Event, Usage
from attribution.ingest.spool import spool
from attribution.ingest.spool_files import Record
from attribution.models.spans import Fate
from finops.core import outage
from finops.core.errors import FieldProblem, Unavailable

_SPOOLED = "spans"
_LONGEST_SECONDS = 20
_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_INSERT = """
    INSERT INTO otlp_span
        (api_key, key_team, received_at, trace_id, span_id, parent_id, fate, has_usage, likeness,
         is_innermost, started_us, ended_us, said, event)
    SELECT %s::text, %s::text, clock_timestamp(), trace_id, span_id, parent_id, fate, has_usage, likeness,
           is_innermost, started_us, ended_us, said::jsonb, event
    FROM unnest(%b::uuid[], %b::bigint[], %b::bigint[], %b::smallint[], %b::boolean[], %b::bigint[],
                %b::boolean[], %b::bigint[], %b::bigint[], %b::text[], %b::bytea[])
      AS new (trace_id, span_id, parent_id, fate, has_usage, likeness, is_innermost, started_us, ended_us,
              said, event)
    ORDER BY trace_id, span_id
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
    readings = [read(span, spellings) for span in spans if _is_named(span)]
    events = _events(readings, sender, held)
    rows = [_row(reading, events) for reading in readings if not reading.event or _id(reading) in events]
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
    return int(span.trace_id or "0", 16) != 0 and int(span.span_id or "0", 16) != 0


def _id(reading: Reading) -> str:
    assert reading.event is not None
    return str(reading.event["event_id"])


def _events(readings: Sequence[Reading], sender: Sender, held: Held) -> dict[str, Event]:
    """The sound calls by their ids. A key bound to a source sends as that, whatever the service is called."""
    records = [reading.event for reading in readings if reading.event]
    if sender.is_bound_to_source:
        for record in records:
            record["source"] = sender.source
    arrivals = admit(from_records(records), sender).arrivals
    held.rejected = [(rejection.event_id or "", rejection.problem) for rejection in arrivals.rejected]
    return {event.event_id: event for event in arrivals.events}


_Row = tuple[UUID, int, int | None, int, bool, int | None, bool, int, int, str | None, bytes | None]
_decode_rows = msgspec.msgpack.Decoder(list[_Row]).decode


def _row(reading: Reading, events: dict[str, Event]) -> _Row:
    span, event = reading.span, events[_id(reading)] if reading.event else None
    return (
        UUID(span.trace_id),
        _number(span.span_id),
        _number(span.parent_id) if span.parent_id else None,
        (Fate.WAITING if event else Fate.LINK).value,
        reading.has_usage,
        _likeness(span, event) if event and reading.has_usage else None,
        span.scope in PROVIDERS_OWN,
        span.start_ns // 1000,
        span.end_ns // 1000,
        msgspec.json.encode(reading.said).decode() if reading.said else None,
        _encode(event) if event else None,
    )


def _likeness(span: Span, event: Event) -> int:
    """What two spans of one call agree in: the process that made it, the provider, the tokens."""
    usage = event.usage or Usage()
    process = (str(span.resource.get(name, "")) for name in ("service.name", "service.instance.id"))
    tokens = (usage.input_tokens, usage.output_tokens, max(usage.cache_read_tokens, 0))
    return told((*process, event.provider, *map(str, tokens)))


def _number(span_id: str) -> int:
    return int.from_bytes(bytes.fromhex(span_id), "big", signed=True)


def _insert(rows: Sequence[_Row], sender: Sender) -> int:
    """How many were new."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    try:
        # Bound on the server, in binary: as text every element would be quoted one by one.
        with (
            outage.watched(_LONGEST_SECONDS),
            transaction.atomic(),
            psycopg.Cursor(connection.connection) as cursor,
        ):
            cursor.execute(_INSERT, [sender.api_key, sender.team, *columns])
            return int(cursor.rowcount)
    except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        if not connection.in_atomic_block:
            connection.close()
        outage.note_away(error)
        raise Unavailable("The database is away: nothing was kept. Send the same spans again.") from error
