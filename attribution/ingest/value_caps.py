"""How many values of a dimension are kept for one source, so that none explodes into too many sets.

What is beyond the cap becomes ``OTHER``, is counted, and shown with examples.

The values of a tag are capped exactly, whichever processes they arrive in: a new one is admitted
under a lock that is held until its set is stored. Names are read again once a minute: between two
readings the cap may be passed by what other processes added.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from attribution import contracts, tag_names
from attribution.models import DimensionSet

# The value that stands for all that a source sent beyond the cap. No event can say it as a name: it is
# no slug. A tag that says it is counted as what it says.
OTHER = "(other)"
_MOST_EXAMPLES = 10
_VALUES_SECONDS = 60.0
_LOCK = "hashtext('attribution.allocated_values')"

# By source and dimension: the values that did not fit, in order.
Examples = dict[tuple[str, str], dict[str, None]]


@dataclass(slots=True)
class ValueBook:
    """The values that are stored, by source and dimension, as this process knows them."""

    _values: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    _read_at: float = 0.0
    # Of which tags the values were read in this transaction, under the lock.
    _held: set[tuple[str, str]] = field(default_factory=set)

    def begin(self) -> None:
        """A transaction begins that may bring something new."""
        self._held.clear()
        if time.monotonic() - self._read_at > _VALUES_SECONDS:
            self.forget()

    def forget(self) -> None:
        """What was admitted was not stored, or a cap has changed: read everything again."""
        self._values.clear()
        self._held.clear()
        self._read_at = time.monotonic()

    def admit(self, source: str, dimension: str, value: str) -> bool:
        """Whether the value is kept; if so, the transaction's sets must be stored with it."""
        values = self._values.get((source, dimension))
        if values is None:
            values = self._values[source, dimension] = _stored_values(source, dimension)
        if value in values:
            return True
        key = tag_names.key_of(dimension)
        cap = settings.DIMENSION_VALUE_CAP
        if key:  # a key that was dropped since the event arrived has none
            cap = contracts.book.allocated.get(key, cap)
        if len(values) >= cap:
            return False
        if key and (source, dimension) not in self._held:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            self._held.add((source, dimension))
            values |= _stored_values(source, dimension)
            if value not in values and len(values) >= cap:
                return False
        values.add(value)
        return True


def _stored_values(source: str, dimension: str) -> set[str]:
    if key := tag_names.key_of(dimension):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT tags ->> %(key)s FROM dimension_set"
                " WHERE source = %(source)s AND tags ? %(key)s AND tags ->> %(key)s <> %(other)s",
                {"key": key, "source": source, "other": OTHER},
            )
            return {value for (value,) in cursor.fetchall()}
    sets = DimensionSet.objects.filter(source=source) if dimension != "source" else DimensionSet.objects.all()
    return set(sets.exclude(**{dimension: OTHER}).values_list(dimension, flat=True).distinct())


def note_overflow(examples: Examples) -> None:
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
                    "values": list(values)[:_MOST_EXAMPLES],
                    "most": _MOST_EXAMPLES,
                },
            )


def count_overflow(calls: Counter[tuple[str, str]]) -> None:
    """Add so many calls to what is shown."""
    with connection.cursor() as cursor:
        for (source, dimension), count in sorted(calls.items()):
            cursor.execute(
                "UPDATE dimension_overflow SET calls = calls + %s, last_seen_at = now()"
                " WHERE source = %s AND dimension = %s",
                [count, source, dimension],
            )
