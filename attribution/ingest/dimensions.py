"""Names to numbers: dimension sets and customers, looked up in the process, made when they are new.

New rows are committed in a short transaction of their own before the calls that point at them: a row
that no call uses in the end does no harm.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec
import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from xxhash import xxh3_128_hexdigest

from attribution import contracts
from attribution.ingest.identity import said
from attribution.ingest.post import NAMES, KnownSet, Names, Post
from attribution.models import DimensionSet
from attribution.ownership import attribute_new_sets
from attribution.registry import register_names

Row = tuple[str, ...]  # in the order of _COLUMNS

# The value that stands for all that a source sent beyond the cap. No event can say it: it is no slug.
OTHER = "(other)"
_COLUMNS = ("source", "api_key", "key_team", *NAMES[1:])
_MOST_REMEMBERED = 100_000
_MOST_EXAMPLES = 10
_VALUES_SECONDS = 60.0


@dataclass(slots=True)
class DimensionBook:
    """The dimension sets that this process has met."""

    # By key's name and team, so that one look-up with an event's names suffices.
    _known: dict[tuple[str, str], dict[Names, KnownSet]] = field(default_factory=dict)
    # Values by (source, dimension), read when a source brings something new. Other processes add too:
    # between two readings the cap may be passed by what they added.
    _values: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    _values_read_at: float = 0.0
    # Sets that stand for capped values, and for which (source, dimensions).
    _capped: dict[int, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def known(self, api_key: str, key_team: str) -> dict[Names, KnownSet]:
        """The sets met under this key, by names as events spell them."""
        return self._known.setdefault((api_key, key_team), {})

    def forget_names(self) -> None:
        """What names stand for is to be looked up again."""
        self._known.clear()

    def resolve(self, post: Post) -> list[KnownSet]:
        """The dimension set of each event, and what its names say; new sets are made and attributed."""
        found = post.known_sets
        if None in found:
            known = self.known(post.api_key, post.key_team)
            if len(known) > _MOST_REMEMBERED:
                known.clear()
            if unknown := set(post.names) - known.keys():
                self._learn(unknown, known, post.api_key, post.key_team)
            found = [known[names] for names in post.names]
        sets = cast("list[KnownSet]", found)
        if self._capped:
            self._count_capped([number for number, _ in sets])
        return sets

    def _learn(
        self, unknown: Iterable[Names], known: dict[Names, KnownSet], api_key: str, key_team: str
    ) -> None:
        if time.monotonic() - self._values_read_at > _VALUES_SECONDS:
            self._values.clear()
            self._values_read_at = time.monotonic()
        rows: dict[Names, Row] = {}
        examples: dict[tuple[str, str], list[str]] = {}
        for names in sorted(unknown, key=lambda names: [name or "" for name in names]):
            source, *rest = self._cap(contracts.book.kept(names), examples)
            rows[names] = (source, api_key, key_team, *rest)
        ids = _made(set(rows.values()))
        for names, row in rows.items():
            known[names] = ids[row], said(names)
            if OTHER in row:
                dimensions = tuple(name for name, value in zip(_COLUMNS, row, strict=True) if value == OTHER)
                self._capped[ids[row]] = (row[0], dimensions)
        _note_overflow(examples)

    def _cap(self, names: list[str], examples: dict[tuple[str, str], list[str]]) -> list[str]:
        """The same names, with ``OTHER`` for a value beyond the cap of its source and dimension."""
        source = names[0]
        for place, dimension in enumerate(NAMES):
            owner = "" if dimension == "source" else source
            if names[place] and not self._admit(owner, dimension, names[place]):
                examples.setdefault((source, dimension), []).append(names[place])
                names[place] = OTHER
        return names

    def _admit(self, source: str, dimension: str, value: str) -> bool:
        values = self._values.get((source, dimension))
        if values is None:
            values = self._values[source, dimension] = _stored_values(source, dimension)
        if value not in values:
            if len(values) >= settings.DIMENSION_VALUE_CAP:
                return False
            values.add(value)
        return True

    def _count_capped(self, ids: list[int]) -> None:
        calls: Counter[tuple[str, str]] = Counter()
        for number, count in Counter(ids).items():
            source, dimensions = self._capped.get(number, ("", ()))
            for dimension in dimensions:
                calls[source, dimension] += count
        _count_overflow(calls)


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


def _made(rows: Iterable[Row]) -> dict[Row, int]:
    """The id of each row; those that did not exist are inserted, registered and attributed."""
    hashes = {row: _hash(row) for row in rows}
    now = timezone.now()
    columns = list(zip(*hashes, strict=True))
    with transaction.atomic(), connection.cursor() as cursor:
        register_names(
            features=set(columns[_COLUMNS.index("feature")]) - {OTHER},
            tiers=set(columns[_COLUMNS.index("tier")]) - {OTHER},
            at=now,
        )
        cursor.execute(_INSERT, [now, list(hashes.values()), *map(list, columns)])
        attribute_new_sets([number for (number,) in cursor.fetchall()])
        cursor.execute("SELECT hash, id FROM dimension_set WHERE hash = ANY(%s)", [list(hashes.values())])
        ids = dict(cursor.fetchall())
    return {row: ids[key] for row, key in hashes.items()}


# Ordered, so that two writers with the same new sets cannot wait for each other.
_INSERT = f"""
    INSERT INTO dimension_set (hash, {", ".join(_COLUMNS)}, tags, first_seen_at)
    SELECT *, '{{}}', %s FROM unnest(%s::uuid[]{", %s::text[]" * len(_COLUMNS)})
    AS new (hash, {", ".join(_COLUMNS)}) ORDER BY hash
    ON CONFLICT (hash) DO NOTHING RETURNING id
"""


def _hash(row: Row) -> uuid.UUID:
    return uuid.UUID(xxh3_128_hexdigest(msgspec.msgpack.encode(row)))


def _stored_values(source: str, dimension: str) -> set[str]:
    sets = DimensionSet.objects.filter(source=source) if dimension != "source" else DimensionSet.objects.all()
    return set(sets.exclude(**{dimension: OTHER}).values_list(dimension, flat=True).distinct())


def _note_overflow(examples: dict[tuple[str, str], list[str]]) -> None:
    """Show a person which values did not fit."""
    with connection.cursor() as cursor:
        for (source, dimension), values in sorted(examples.items()):
            cursor.execute(
                "INSERT INTO dimension_overflow AS kept"
                " (source, dimension, first_seen_at, last_seen_at, calls, examples)"
                " VALUES (%(source)s, %(dimension)s, now(), now(), 0, %(values)s)"
                " ON CONFLICT (source, dimension) DO UPDATE SET last_seen_at = now(), examples ="
                " CASE WHEN cardinality(kept.examples) < %(most)s"
                " THEN (kept.examples || excluded.examples)[1:%(most)s] ELSE kept.examples END",
                {
                    "source": source,
                    "dimension": dimension,
                    "values": values[:_MOST_EXAMPLES],
                    "most": _MOST_EXAMPLES,
                },
            )


def _count_overflow(calls: Counter[tuple[str, str]]) -> None:
    with connection.cursor() as cursor:
        for (source, dimension), count in sorted(calls.items()):
            cursor.execute(
                "UPDATE dimension_overflow SET calls = calls + %s, last_seen_at = now()"
                " WHERE source = %s AND dimension = %s",
                [count, source, dimension],
            )
