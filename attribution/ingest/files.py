"""Files as a stream of records: CSV, JSON lines, JSON arrays and Parquet, plain, gzip or zstd.

Whatever the size of the file, only a piece of it is in memory.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import cached_property
from io import BufferedReader, TextIOWrapper
from math import isnan
from pathlib import Path
from typing import IO, Any, Self

import pyarrow.parquet  # type: ignore[import-untyped]
import zstandard
from xxhash import xxh3_128

from finops.core.errors import FinopsError, InvalidInput

_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_PIECE = 1 << 20
_GLIMPSE = 1024
_LONGEST_CELL = 1 << 24
_FEWEST_COLUMNS = 2  # a single one is a line of text
_ROWS_OF_PARQUET = 5_000
_EVENTS_OBJECT = re.compile(r'\s*\{\s*"events"\s*:\s*\[')

Record = Any  # a dict as decoded, or the InvalidInput of a record that could not be


class UnreadableFile(FinopsError):
    """A file that cannot be opened, or is not what it seems."""

    code = "unreadable_file"
    title = "Unreadable file"


# What broken compression, broken Parquet and broken JSON make their readers raise.
_BROKEN = (OSError, EOFError, ValueError, ArithmeticError, RecursionError, zlib.error, zstandard.ZstdError)


class Contents(Enum):
    """How the records of a file that is not Parquet lie in it."""

    LINES = "lines"  # JSON: one object a line, an array, or {"events": [...]}
    CSV = "csv"
    DOCUMENTS = "documents"  # JSON values one after the other, also over several lines; or CSV


@dataclass
class SourceFile:
    """One file to import; a context manager."""

    path: Path
    contents: Contents

    def __enter__(self) -> Self:
        try:
            self._raw = self.path.open("rb")
        except OSError as error:
            raise UnreadableFile(f"{self.path}: {error.strerror}.") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return os.fstat(self._raw.fileno()).st_size

    @property
    def position(self) -> int:
        """How many of them were read."""
        return self._raw.tell()

    def records(self) -> Iterator[Record]:
        """Every record in order, from the beginning. Raises UnreadableFile."""
        with self._told():
            yield from self._records()

    @cached_property
    def fingerprint(self) -> str:
        """Of the content, whether compressed or not."""
        digest = xxh3_128()
        with self._told(), self.path.open("rb") as raw:
            stream = _plain(raw) or raw
            while piece := stream.read(_PIECE):
                digest.update(piece)
        return digest.hexdigest()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except _BROKEN as error:
            raise UnreadableFile(f"{self.path}: {error}.") from error

    def _records(self) -> Iterator[Record]:
        stream = _plain(self._raw)
        if stream is None:
            return _parquet(self._raw)
        as_csv = self.contents is Contents.CSV or (
            self.contents is Contents.DOCUMENTS and not _is_json(stream)
        )
        newline = "" if as_csv else None
        # Kept, for it would close the file when it goes, and the position is asked until the end.
        self._text = TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline=newline)
        if as_csv:
            rows = csv.DictReader(self._text, restkey="(surplus)")
            if self.contents is Contents.DOCUMENTS and len(rows.fieldnames or ()) < _FEWEST_COLUMNS:
                raise ValueError("neither JSON nor a CSV whose first line names its columns")
            return _csv(rows)
        return _documents(self._text) if self.contents is Contents.DOCUMENTS else _json(self._text)


def _plain(raw: BufferedReader) -> IO[bytes] | None:
    """The content decompressed, from its beginning; None for Parquet, which is not a stream."""
    raw.seek(0)
    magic = raw.read(4)
    raw.seek(0)
    if magic == _PARQUET:
        return None
    if magic[:2] == _GZIP:
        return BufferedReader(gzip.GzipFile(fileobj=raw), _PIECE)
    if magic == _ZSTD:
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=False)
        return BufferedReader(reader, _PIECE)
    return raw


def _is_json(stream: IO[bytes]) -> bool:
    """By the first character. Reads nothing away."""
    assert isinstance(stream, BufferedReader)
    return stream.peek(_GLIMPSE)[:_GLIMPSE].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def _csv(rows: csv.DictReader[str]) -> Iterator[Record]:
    csv.field_size_limit(_LONGEST_CELL)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield InvalidInput.field("row", "malformed", f"Not a CSV row: {error}.")
            continue
        yield {name: value for name, value in row.items() if name and value not in ("", None)}


def _parquet(raw: BufferedReader) -> Iterator[Record]:
    table = pyarrow.parquet.ParquetFile(raw)
    for batch in table.iter_batches(batch_size=_ROWS_OF_PARQUET):
        for row in batch.to_pylist():
            yield {name: value for name, value in row.items() if not _is_gap(value)}


def _is_gap(cell: Any) -> bool:  # Any: a cell
    """Null, or NaN: what a column of numbers with gaps has when it comes as doubles."""
    return cell is None or (isinstance(cell, float) and isnan(cell))


def _json(text: TextIOWrapper) -> Iterator[Record]:
    """An array, ``{"events": [...]}``, or one object a line: told by how the file begins."""
    beginning = text.read(_PIECE)
    if beginning.lstrip()[:1] == "[":
        return _array(beginning.lstrip()[1:], text)
    if wrapped := _EVENTS_OBJECT.match(beginning):
        return _array(beginning[wrapped.end() :], text)
    return _lines(beginning, text)


def _array(buffer: str, text: TextIOWrapper) -> Iterator[Record]:
    """The elements of an array whose bracket is behind us. Raises ValueError where it is broken."""
    decode = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal).raw_decode
    while True:
        buffer = buffer.lstrip(" \t\r\n,")
        if buffer[:1] == "]":
            return
        try:
            # A number or a word could go on in the next piece; an object, a text or an array cannot.
            record, end = decode(buffer)
            if end == len(buffer) and buffer[-1] not in '}"]':
                raise ValueError("the file ends inside the array")
        except ValueError:
            more = text.read(_PIECE)
            if not more or len(buffer) > _LONGEST_CELL:
                raise
            buffer += more
            continue
        yield record
        buffer = buffer[end:]


def _documents(text: TextIOWrapper) -> Iterator[Record]:
    """One JSON value after the other; the elements of an array. Raises ValueError where one is broken."""
    buffer = text.read(_PIECE).lstrip()
    if buffer[:1] == "[":
        yield from _array(buffer[1:], text)
        return
    decode = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal).raw_decode
    while buffer:
        try:
            record, end = decode(buffer)
        except ValueError:
            more = text.read(_PIECE)
            if not more or len(buffer) > _LONGEST_CELL:
                raise
            buffer += more
            continue
        yield record
        buffer = buffer[end:].lstrip()
        if not buffer:
            buffer = text.read(_PIECE).lstrip()


def _lines(buffer: str, text: TextIOWrapper) -> Iterator[Record]:
    decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal)
    while buffer:
        *lines, buffer = buffer.split("\n")
        for line in lines:
            if line.strip():
                yield _line(decoder, line)
        more = text.read(_PIECE)
        if not more:
            if buffer.strip():
                yield _line(decoder, buffer)
            return
        buffer += more


def _line(decoder: json.JSONDecoder, line: str) -> Record:
    try:
        return decoder.decode(line)
    except (ValueError, ArithmeticError, RecursionError):
        return InvalidInput.field("line", "malformed", "The line is not JSON.")
