"""Records outside the books, kept with their reason until a person decides; the same one only once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection
from xxhash import xxh3_128_hexdigest

from attribution.ingest.schema import Event
from attribution.models import QuarantineReason
from finops.core.errors import FieldProblem

_Row = tuple[str, str, str, str, str, str, str, str, str, uuid.UUID]


# Defaults are left out, so that a field added later changes no fingerprint of a record without it.
_encode = msgspec.msgpack.Encoder(decimal_format="string", order="deterministic").encode


def keep_conflicts(events: Sequence[tuple[Event, datetime, str, str]]) -> None:
    """List events whose identity is booked with other content: (event, when it was, its key, the key's team).

    In the caller's transaction. The time is not part of what tells a repetition: a client that retries
    a conflict for ever, re-stamped, is listed once.
    """
    rows = []
    for event, occurred_at, api_key, key_team in events:
        timeless = msgspec.structs.replace(event, occurred_at=0)
        fingerprint = xxh3_128_hexdigest(b"conflict:" + _encode(timeless))
        payload = msgspec.json.encode(msgspec.structs.replace(event, occurred_at=occurred_at)).decode()
        source, reason = event.source or "", QuarantineReason.CONFLICT
        message = "Another event with this source and event_id was booked first, and it was kept."
        rows.append(
            (
                reason.value,
                source,
                event.event_id,
                api_key,
                key_team,
                "",
                "",
                message,
                payload,
                uuid.UUID(fingerprint),
            )
        )
    _keep(rows)


def keep_invalid(
    records: Iterable[tuple[str, str, FieldProblem, dict[str, Any]]],
    *,
    api_key: str = "",
    key_team: str = "",
) -> None:
    """List records that break a rule: (its source unless it says one, event id, problem, what it said).

    All of them arrived with the same key, or with none.
    """
    rows = []
    for sender, event_id, problem, record in records:
        source = str(record.get("source") or sender)
        payload = msgspec.json.encode(record).decode()
        key = msgspec.json.encode(["invalid", source, event_id, problem.field, problem.code, payload])
        reason = QuarantineReason.INVALID
        rows.append(
            (
                reason.value,
                source,
                event_id,
                api_key,
                key_team,
                problem.field,
                problem.code,
                problem.message,
                payload,
                uuid.UUID(xxh3_128_hexdigest(key)),
            )
        )
    _keep(rows)


def _keep(rows: list[_Row]) -> None:
    rows.sort(key=lambda row: row[-1])  # so that two writers cannot wait for each other in a circle
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO quarantine (received_at, reason, source, event_id, api_key, key_team, field, code,"
            " message, payload, fingerprint)"
            " VALUES (clock_timestamp(), %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s)"
            " ON CONFLICT (fingerprint) DO NOTHING",
            rows,
        )
