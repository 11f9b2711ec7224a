"""Whole columns as array parameters in PostgreSQL's own format.

psycopg dumps a list value by value; what numpy or ``join`` can lay out is handed over at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import ClassVar, Self

import numpy as np
import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format


class PgArray(bytes):
    """A one-dimensional array parameter without NULLs. Needs ``cursor_with_arrays``."""

    element: ClassVar[int]  # the type's number in PostgreSQL
    oid: ClassVar[int]  # that of its arrays

    @classmethod
    def made(cls, length: int, elements: bytes) -> Self:
        """From elements that each have their length in front."""
        return cls(np.array([1, 0, cls.element, length, 1], dtype=">i4").tobytes() + elements)


class _Fixed(PgArray):
    kind: ClassVar[str]

    @classmethod
    def of(cls, values: Sequence[int] | np.ndarray) -> Self:
        column = np.asarray(values, dtype=cls.kind)
        elements = np.empty(len(column), dtype=[("width", ">i4"), ("value", cls.kind)])
        elements["width"], elements["value"] = column.dtype.itemsize, column
        return cls.made(len(column), elements.tobytes())


class Booleans(_Fixed):
    element, oid, kind = 16, 1000, "?"


class Smallints(_Fixed):
    element, oid, kind = 21, 1005, ">i2"


class Integers(_Fixed):
    element, oid, kind = 23, 1007, ">i4"


class Bigints(_Fixed):
    element, oid, kind = 20, 1016, ">i8"


class Uuids(_Fixed):
    """From 16 bytes each, as numpy's ``V16``."""

    element, oid, kind = 2950, 2951, "V16"


class _Varying(PgArray):
    @classmethod
    def of(cls, values: Sequence[bytes]) -> Self:
        widths = np.fromiter(map(len, values), dtype=">i4", count=len(values)).tobytes()
        heads = (widths[start : start + 4] for start in range(0, len(widths), 4))
        return cls.made(len(values), b"".join(chain.from_iterable(zip(heads, values, strict=True))))


class Texts(_Varying):
    """From UTF-8."""

    element, oid = 25, 1009


class Blobs(_Varying):
    element, oid = 17, 1001


class _PgArrayDumper(Dumper):
    """Hands the bytes to PostgreSQL as they are."""

    format = Format.BINARY

    def __init__(self, cls: type[PgArray], context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self.oid = cls.oid

    def dump(self, obj: PgArray) -> Buffer:
        return obj


def cursor_with_arrays(connection: psycopg.Connection) -> psycopg.Cursor:
    """A cursor that binds on the server, so that a ``PgArray`` travels unread by Python."""
    cursor = psycopg.Cursor(connection)
    cursor.adapters.register_dumper(PgArray, _PgArrayDumper)
    return cursor
