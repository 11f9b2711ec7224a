"""Calls that seem to be told twice under different spans: in the books all the same, and told of.

They agree in process, provider and tokens as well as in the provider's id of the answer, and ended within a
second. Either an instrumentation made two spans of one call, or one answer was given twice, as from a
cache. Nothing tells which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction

from attribution.ingest.arrays import Bigints, cursor_with_arrays
from attribution.ingest.times import DAY_US
from attribution.models.spans import Fate

DAYS = 7
_APART_US = 1_000_000
_MOST_EXAMPLES = 10
# As the twins of settling are found: by the index of likenesses, once for each.
_BOOKED = f"""
    SELECT s.likeness, s.answer, s.ended_us,
           replace(s.trace_id::text, '-', '') || ':' || lpad(to_hex(s.span_id), 16, '0')
    FROM (SELECT likeness, min(ended_us) AS first_us, max(ended_us) AS last_us
          FROM unnest(%b, %b) AS new (likeness, ended_us)
          GROUP BY likeness) alike
    JOIN otlp_span s ON s.likeness = alike.likeness
     AND s.ended_us BETWEEN alike.first_us - {_APART_US} AND alike.last_us + {_APART_US}
    WHERE s.fate = {Fate.BOOKED.value} AND s.answer = ANY(%b)
"""
_COUNT = """
    INSERT INTO repeated_answer AS kept (day, source, calls, examples, last_at)
    VALUES (date '1970-01-01' + %(day)s, %(source)s, %(calls)s, %(examples)s, now())
    ON CONFLICT (day, source) DO UPDATE
    SET calls = kept.calls + excluded.calls, last_at = excluded.last_at,
        examples = (kept.examples || excluded.examples)[1:%(most)s]
"""
_RECENT = """
    SELECT r.source, sum(r.calls)::bigint, max(r.last_at),
           (SELECT array_agg(example ORDER BY e.day DESC, place)
            FROM repeated_answer e, unnest(e.examples) WITH ORDINALITY AS told (example, place)
            WHERE e.source = r.source AND e.day > current_date - %(days)s)
    FROM repeated_answer r WHERE r.day > current_date - %(days)s
    GROUP BY r.source ORDER BY 2 DESC, 1
"""


class Answered(NamedTuple):
    """A call that says which answer of the provider it tells of; see ``OtlpSpan``."""

    likeness: int
    answer: int
    ended_us: int
    event_id: str
    source: str = ""
    is_new: bool = True  # about to be marked as booked; its source is known then


class Again(NamedTuple):
    """A call that is booked although another one tells of the same answer."""

    call: Answered
    other: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The ids of two calls that tell of one answer; ``event_id`` was booked later."""

    event_id: str
    other: str


@dataclass(frozen=True, slots=True)
class Repeats:
    """Calls of one source over the last days that seem to be told twice."""

    source: str
    calls: int
    last_at: datetime
    examples: tuple[Pair, ...]


def told_again(calls: Sequence[Answered]) -> list[Again]:
    """Those of these calls that tell of the answer of another one, of these or booked. At most one query."""
    if not calls:
        return []
    by_answer: dict[tuple[int, int], list[Answered]] = defaultdict(list)
    for call in (*calls, *_booked(calls)):
        by_answer[call.likeness, call.answer].append(call)
    found: list[Again] = []
    for alike in by_answer.values():
        if len(alike) > 1:
            alike.sort(key=lambda call: (call.ended_us, call.event_id))
            found += _near(alike)
    return found


def _near(alike: Sequence[Answered]) -> Iterable[Again]:
    """The new ones among these, in order of time, with a neighbour: the one before, else a booked one."""
    for place, call in enumerate(alike):
        before = alike[place - 1] if place else None
        after = alike[place + 1] if place + 1 < len(alike) else None
        if not call.is_new:
            continue
        if before and call.ended_us - before.ended_us <= _APART_US:
            yield Again(call, before.event_id)
        elif after and not after.is_new and after.ended_us - call.ended_us <= _APART_US:
            yield Again(call, after.event_id)


def _booked(calls: Sequence[Answered]) -> list[Answered]:
    """What is in the books already of the same answers. A repetition of these calls is none of it."""
    own = {call.event_id for call in calls}
    likeness = Bigints.of([call.likeness for call in calls])
    ended_us = Bigints.of([call.ended_us for call in calls])
    answer = Bigints.of([call.answer for call in calls])
    with transaction.atomic(), cursor_with_arrays(connection.connection) as cursor:
        cursor.execute(_BOOKED, [likeness, ended_us, answer])
        return [
            Answered(like, answer, ended, event_id, is_new=False)
            for like, answer, ended, event_id in cursor.fetchall()
            if event_id not in own
        ]


def count_repeated(found: Iterable[Again]) -> None:
    """Add these calls to what is shown; inside the transaction that marks them as booked."""
    by_day: dict[tuple[int, str], list[str]] = defaultdict(list)
    for call, other in found:
        by_day[call.ended_us // DAY_US, call.source].append(f"{call.event_id} {other}")
    with connection.cursor() as cursor:
        for (day, source), pairs in sorted(by_day.items()):
            examples = pairs[:_MOST_EXAMPLES]
            cursor.execute(
                _COUNT,
                {
                    "day": day,
                    "source": source,
                    "calls": len(pairs),
                    "examples": examples,
                    "most": _MOST_EXAMPLES,
                },
            )


def repeats() -> list[Repeats]:
    """By source, most first: calls of the last seven days. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_RECENT, {"days": DAYS})
        return [
            Repeats(source, calls, last, tuple(Pair(*each.split(" ")) for each in told[:_MOST_EXAMPLES]))
            for source, calls, last, told in cursor.fetchall()
        ]
