"""Rows in the format of COPY BINARY.

All columns of fixed width are one numpy record, big-endian and with PostgreSQL's length words in
between, so a batch becomes bytes in one copy. What has no fixed width is appended row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np

from attribution.ingest.schema import Event
from finops.core.meters import Meter

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
# PostgreSQL counts microseconds from 2000.
_EPOCH_US = 946_684_800_000_000

# The columns of call_event in their order: those of fixed width, then the texts.
FIXED: tuple[tuple[str, str, int], ...] = (
    ("occurred_at", ">i8", 8),
    ("identity", ">u8", 16),
    ("content_hash", ">i8", 8),
    ("batch_id", ">i8", 8),
    ("dimension_set_id", ">i4", 4),
    ("slot_id", ">i4", 4),
    ("customer_id", ">i4", 4),
    ("input", ">i4", 4),
    ("cache_read", ">i4", 4),
    ("cache_write", ">i4", 4),
    ("cache_write_1h", ">i4", 4),
    ("output", ">i4", 4),
    ("reasoning", ">i4", 4),
    ("duration_ms", ">i4", 4),
    ("ttft_ms", ">i4", 4),
    ("retrieval_tokens", ">i4", 4),
    ("tool_calls", ">i2", 2),
    ("attempt", ">i2", 2),
    ("status", ">i2", 2),
    ("response_cache", ">i2", 2),
)
TEXTS = ("event_id", "task_id", "session_id", "end_user", "trace_id")
_TEXTS_OF = tuple(map(attrgetter, TEXTS))
COLUMNS = (*(name for name, _, _ in FIXED), *TEXTS, "detail")

_RECORD = np.dtype(
    [("fields", ">i2")]
    + [
        part
        for name, kind, width in FIXED
        for part in ((f"{name} width", ">i4"), (name, kind, (2,)) if width == 16 else (name, kind))
    ]
)
_BLANK = np.zeros(1, dtype=_RECORD)
_BLANK["fields"] = len(COLUMNS)
for _name, _, _width in FIXED:
    _BLANK[f"{_name} width"] = _width
_WIDTHS = [width.to_bytes(4, "big") for width in range(1024)]


def records(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """One record a row, with these columns filled in and the others zero."""
    length = len(next(iter(columns.values())))
    rows = np.repeat(_BLANK, length)
    for name, column in columns.items():
        rows[name] = column
    rows["occurred_at"] -= _EPOCH_US
    return rows


def tails(events: Sequence[Event], details: Sequence[bytes | None]) -> list[bytes]:
    """The texts and the detail of each row, as they follow its record."""
    parts = [_text_column(list(map(text_of, events))) for text_of in _TEXTS_OF]
    parts.append([NULL if detail is None else _jsonb(detail) for detail in details])
    return list(map(b"".join, zip(*parts, strict=True)))


def said_texts(
    row_tails: Sequence[bytes],
    customers: Sequence[str | None],
    units: Sequence[tuple[int, str | Meter, Any]],
) -> list[bytes]:
    """The tails, each with its row's customer and rare quantities (row, name, quantity).

    By name, because the numbers of names are the database's.
    """
    told = [
        tail + customer.encode() if customer else tail
        for tail, customer in zip(row_tails, customers, strict=True)
    ]
    named = (
        (row, name.label if isinstance(name, Meter) else name, quantity) for row, name, quantity in units
    )
    for row, name, quantity in sorted(named):
        told[row] += f";{name}={Decimal(quantity).normalize()}".encode()
    return told


def copy_stream(rows: np.ndarray, row_tails: Sequence[bytes]) -> bytes:
    """What COPY ... FROM STDIN (FORMAT BINARY) reads."""
    fixed, width = rows.tobytes(), _RECORD.itemsize
    heads = [fixed[start : start + width] for start in range(0, len(fixed), width)]
    body = chain.from_iterable(zip(heads, row_tails, strict=True))
    return b"".join((HEADER, *body, TRAILER))


def _text_column(values: Sequence[str | None]) -> list[bytes]:
    """Encoded all at once: no text has the zero character in it, which PostgreSQL does not take."""
    if not any(values):
        return [NULL] * len(values)
    encoded = "\0".join([value or "" for value in values]).encode().split(b"\0")
    widths = _WIDTHS
    return [widths[len(value)] + value if value else NULL for value in encoded]


def _jsonb(value: bytes) -> bytes:
    return (len(value) + 1).to_bytes(4, "big") + b"\x01" + value
