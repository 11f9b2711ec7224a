"""Names to numbers: dimension sets and customers, looked up in the process, made when they are new.

New rows are committed in a short transaction of their own before the calls that point at them: a row
that no call uses in the end does no harm.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec
import numpy as np
from django.db import connection, transaction
from django.utils import timezone
from xxhash import xxh3_128_hexdigest

from attribution import contracts
from attribution.ingest.identity import said
from attribution.ingest.post import NAMES, KnownSet, Names, Post
from attribution.ingest.value_caps import OTHER, Examples, ValueBook, count_overflow, note_overflow
from attribution.ownership import attribute_new_sets
from attribution.registry import register_names
from attribution.tag_names import name_of

Row = tuple[str, ...]  # in the order of _COLUMNS

_COLUMNS = ("source", "api_key", "key_team", *NAMES[1:], "tags")
_NO_TAGS = "{}"
_MOST_REMEMBERED = 100_000
_encode_tags = msgspec.json.Encoder(order="deterministic").encode


@dataclass(slots=True)
class DimensionBook:
    """The dimension sets that this process has met."""

    # By key's name and team and the allocation keys, so that one look-up with an event's names suffices.
    _known: dict[tuple[str, str, tuple[str, ...]], dict[Names, KnownSet]] = field(default_factory=dict)
    _values: ValueBook = field(default_factory=ValueBook)
    # Sets that stand for capped values, and for which (source, dimensions).
    _capped: dict[int, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def known(self, api_key: str, key_team: str, keys: tuple[str, ...] = ()) -> dict[Names, KnownSet]:
        """The sets met under this key, by names as events spell them, with the tags of allocation keys."""
        return self._known.setdefault((api_key, key_team, keys), {})

    def forget_names(self) -> None:
        """What names stand for, and how many values are kept, is to be looked up again."""
        self._known.clear()
        self._values.forget()

    def resolve(self, post: Post) -> list[KnownSet]:
        """The dimension set of each event, and what its names say; new sets are made and attributed."""
        found = post.known_sets
        if None in found:
            known = self.known(post.api_key, post.key_team, post.keys)
            if len(known) > _MOST_REMEMBERED:
                known.clear()
            if unknown := set(post.names) - known.keys():
                self._learn(unknown, known, post)
            found = [known[names] for names in post.names]
        sets = cast("list[KnownSet]", found)
        if self._capped:
            self._count_capped([number for number, _ in sets])
        return sets

    def _learn(self, unknown: Iterable[Names], known: dict[Names, KnownSet], post: Post) -> None:
        rows: dict[Names, Row] = {}
        capped: dict[Row, tuple[str, ...]] = {}
        examples: Examples = {}
        dimensions = (*NAMES, *map(name_of, post.keys))
        try:
            with transaction.atomic():
                self._values.begin()
                for names in sorted(unknown, key=lambda names: [name or "" for name in names]):
                    kept = self._cap(contracts.book.kept(names, post.keys), dimensions, examples)
                    row = rows[names] = _row(kept, post)
                    if OTHER in kept:
                        capped[row] = tuple(
                            name for name, value in zip(dimensions, kept, strict=True) if value == OTHER
                        )
                ids = _made(set(rows.values()))
        except BaseException:
            self._values.forget()
            raise
        for names, row in rows.items():
            # The tags themselves are told apart with the rest of what an event says.
            known[names] = ids[row], said(names[: len(NAMES)])
        self._capped.update({ids[row]: (row[0], which) for row, which in capped.items()})
        note_overflow(examples)

    def _cap(self, names: list[str], dimensions: Sequence[str], examples: Examples) -> list[str]:
        """The same names, with ``OTHER`` for a value beyond the cap of its source and dimension."""
        source = names[0]
        for place, dimension in enumerate(dimensions):
            value, owner = names[place], "" if dimension == "source" else source
            if value and value != OTHER and not self._values.admit(owner, dimension, value):
                examples.setdefault((source, dimension), {})[value] = None
                names[place] = OTHER
        return names

    def _count_capped(self, ids: list[int]) -> None:
        calls: Counter[tuple[str, str]] = Counter()
        for number, count in Counter(ids).items():
            source, dimensions = self._capped.get(number, ("", ()))
            for dimension in dimensions:
                calls[source, dimension] += count
        count_overflow(calls)


@dataclass(slots=True)
class CustomerBook:
    """The customers that this process has met."""

    _known: dict[str, int] = field(default_factory=dict)

    def resolve(self, customers: Sequence[str | None]) -> np.ndarray:
        """The customer id of each event, as int32; 0 for none. New customers are made."""
        if not any(customers):
            return np.zeros(len(customers), dtype=np.int32)
        unknown = {name for name in customers if name} - self._known.keys()
        if unknown:
            if len(self._known) > _MOST_REMEMBERED:
                self._known.clear()
                unknown = {name for name in customers if name}
            self._learn(sorted(unknown))
        return np.array([self._known[name] if name else 0 for name in customers], dtype=np.int32)

    def _learn(self, names: list[str]) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT name, id FROM customer WHERE name = ANY(%s)", [names])
            found = dict(cursor.fetchall())
            if missing := [name for name in names if name not in found]:
                cursor.execute(
                    "INSERT INTO customer (name) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", [missing]
                )
                cursor.execute("SELECT name, id FROM customer WHERE name = ANY(%s)", [missing])
                found.update(cursor.fetchall())
        self._known.update(found)


def set_of(*, source: str, team: str) -> int:
    """The dimension set of what no call causes: made and attributed as those of calls are.

    Call it in a transaction that ends soon.
    """
    said = {"source": source, "team": team, "tags": _NO_TAGS}
    row = tuple(said.get(column, "") for column in _COLUMNS)
    return _made([row])[row]


def _row(names: Sequence[str], post: Post) -> Row:
    """What is stored of these names: those of NAMES, and what is said of the tags of allocation keys."""
    source, *rest = names[: len(NAMES)]
    tags = {key: value for key, value in zip(post.keys, names[len(NAMES) :], strict=True) if value}
    return (source, post.api_key, post.key_team, *rest, _encode_tags(tags).decode() if tags else _NO_TAGS)


def _made(rows: Iterable[Row]) -> dict[Row, int]:
    """The id of each row; those that did not exist are inserted, registered and attributed.

    Runs inside the caller's transaction, which should end soon.
    """
    hashes = {row: _hash(row) for row in rows}
    now = timezone.now()
    columns = list(zip(*hashes, strict=True))
    register_names(
        features=set(columns[_COLUMNS.index("feature")]) - {OTHER},
        tiers=set(columns[_COLUMNS.index("tier")]) - {OTHER},
        at=now,
    )
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [now, list(hashes.values()), *map(list, columns)])
        attribute_new_sets([number for (number,) in cursor.fetchall()])
        cursor.execute("SELECT hash, id FROM dimension_set WHERE hash = ANY(%s)", [list(hashes.values())])
        ids = dict(cursor.fetchall())
    return {row: ids[key] for row, key in hashes.items()}


# Ordered, so that two writers with the same new sets cannot wait for each other.
_INSERT = f"""
    INSERT INTO dimension_set (hash, {", ".join(_COLUMNS)}, first_seen_at)
    SELECT hash, {", ".join(_COLUMNS[:-1])}, tags::jsonb, %s
    FROM unnest(%s::uuid[]{", %s::text[]" * len(_COLUMNS)})
    AS new (hash, {", ".join(_COLUMNS)}) ORDER BY hash
    ON CONFLICT (hash) DO NOTHING RETURNING id
"""


def _hash(row: Row) -> uuid.UUID:
    """A set without tags has the hash that it would have if there were none."""
    said_by = row[:-1] if row[-1] == _NO_TAGS else row
    return uuid.UUID(xxh3_128_hexdigest(msgspec.msgpack.encode(said_by)))
