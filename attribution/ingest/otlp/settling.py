"""From held spans to the books: each call once, however many spans tell of it.

A span waits a moment for its relatives, most of all for the one right around it. Then it is a call of
its own unless a span inside it tells of the same call (it is a container), or a span around it was
booked before (its usage is counted there).
The decision is committed before anything is booked and never taken twice, so a crash between the two
books the same again, which its identity makes a duplicate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, transaction

from attribution.ingest import quarantine
from attribution.ingest.intake import Sender, take_in
from attribution.ingest.native import Arrivals
from attribution.ingest.otlp.repeats import Answered, count_repeated, told_again
from attribution.ingest.schema import Event
from attribution.models.spans import Fate

AT_ONCE = 5_000
REMEMBERED = timedelta(hours=24)
# A trace without any call tells nothing, as far as one can know by then.
LINKS_REMEMBERED = timedelta(minutes=5)
_LOCK = "hashtext('attribution.settle')"
_MOST_ANCESTORS = 100
_NEAR_US = 60_000_000
_APART_US = 1_000_000  # a span that is written when a stream has ended begins after it

_decode_said = msgspec.json.Decoder(tuple[dict[str, str], dict[str, str]]).decode
_decode = msgspec.msgpack.Decoder(Event).decode
Key = tuple[UUID, int]

# Each call and every span around it, in the traces of ``due``.
_AROUND = f"""
around AS (
    SELECT s.trace_id, s.span_id, s.has_usage, s.is_embedding, s.input_tokens, s.output_tokens,
           s.parent_id AS outer_id, 1 AS depth
    FROM otlp_span s
    WHERE s.trace_id IN (SELECT trace_id FROM due) AND s.fate <> {Fate.LINK.value} AND s.parent_id IS NOT NULL
    UNION ALL
    SELECT a.trace_id, a.span_id, a.has_usage, a.is_embedding, a.input_tokens, a.output_tokens,
           p.parent_id, a.depth + 1
    FROM around a JOIN otlp_span p ON p.trace_id = a.trace_id AND p.span_id = a.outer_id
    WHERE p.parent_id IS NOT NULL AND a.depth < {_MOST_ANCESTORS}
)"""
# Spans with calls inside them, and calls with one around them that is in the books. An attempt that
# failed without usage tells of another call than a span around it that has usage; so does an embedding
# inside a chat. A span has usage of its own when it cannot repeat what is inside: no call inside has
# its input or its output, nor has their sum, and it has less of one than they have together. Where
# only a part of what is inside has come, that is never so.
_RELATED = f"""
inside AS (
    SELECT a.trace_id, a.span_id, a.outer_id, a.has_usage, a.input_tokens, a.output_tokens,
           a.has_usage AND (a.is_embedding = o.is_embedding OR (a.output_tokens = 0 AND o.output_tokens = 0))
             AS is_alike,
           o.has_usage AS is_in_usage, o.fate AS outer_fate,
           o.input_tokens AS outer_input, o.output_tokens AS outer_output
    FROM around a JOIN otlp_span o ON o.trace_id = a.trace_id AND o.span_id = a.outer_id
),
holds_usage AS (
    SELECT DISTINCT trace_id, outer_id AS span_id FROM around WHERE has_usage
),
innermost AS (
    SELECT inside.*, h.span_id IS NULL AS is_leaf
    FROM inside LEFT JOIN holds_usage h USING (trace_id, span_id)
),
holder AS (
    SELECT trace_id, outer_id AS span_id,
           coalesce(bool_or(is_alike), false)
           AND (bool_or(is_alike AND input_tokens > 0 AND input_tokens = outer_input)
                OR bool_or(is_alike AND output_tokens > 0 AND output_tokens = outer_output)
                OR sum(input_tokens) FILTER (WHERE is_alike AND is_leaf) = min(outer_input)
                OR sum(output_tokens) FILTER (WHERE is_alike AND is_leaf) = min(outer_output)
                OR (sum(input_tokens) FILTER (WHERE is_alike AND is_leaf) <= min(outer_input)
                    AND sum(output_tokens) FILTER (WHERE is_alike AND is_leaf) <= min(outer_output))
           ) AS repeats_usage
    FROM innermost GROUP BY trace_id, outer_id
),
held AS (
    SELECT DISTINCT trace_id, span_id FROM inside WHERE is_in_usage
),
counted AS (
    SELECT DISTINCT trace_id, span_id FROM inside
    WHERE outer_fate IN ({Fate.BOOKING.value}, {Fate.BOOKED.value})
      AND (NOT is_in_usage
           OR (is_alike AND (input_tokens <= outer_input OR output_tokens <= outer_output)))
)"""
# Two spans of one call need not be inside each other: the provider's own SDK begins a trace of its own
# for a stream. They agree in process, provider and tokens, and in time; the SDK's first with the other
# instrumentation's first, the second with the second.
_TWINS = f"""
ranked AS (
    SELECT s.trace_id, s.span_id, s.fate, s.likeness, s.is_innermost, s.started_us, s.ended_us,
           row_number() OVER (PARTITION BY s.likeness, s.is_innermost
                              ORDER BY s.started_us, s.span_id) AS place
    FROM otlp_span s
    LEFT JOIN holder USING (trace_id, span_id)
    LEFT JOIN held USING (trace_id, span_id)
    JOIN (SELECT likeness, min(ended_us) AS first_us, max(ended_us) AS last_us
          FROM due GROUP BY likeness) alike
      ON alike.likeness = s.likeness AND s.ended_us BETWEEN first_us - {_NEAR_US} AND last_us + {_NEAR_US}
    WHERE holder.repeats_usage IS NOT TRUE AND held.span_id IS NULL
),
twin AS (
    SELECT DISTINCT a.trace_id, a.span_id, NOT a.is_innermost AS is_outer,
           b.fate IN ({Fate.BOOKING.value}, {Fate.BOOKED.value}) AS is_counted
    FROM ranked a JOIN ranked b
      ON b.likeness = a.likeness AND b.place = a.place AND b.is_innermost <> a.is_innermost
     AND b.started_us <= a.ended_us + {_APART_US} AND b.ended_us >= a.started_us - {_APART_US}
)"""
_DECIDE = f"""
WITH RECURSIVE due AS MATERIALIZED (
    SELECT trace_id, span_id, has_usage, likeness, ended_us FROM otlp_span s
    WHERE fate = {Fate.WAITING.value} AND received_at < clock_timestamp() - %(wait)s::interval
      AND (parent_id IS NULL OR received_at < clock_timestamp() - %(patience)s::interval
           OR EXISTS (SELECT FROM otlp_span p WHERE p.trace_id = s.trace_id AND p.span_id = s.parent_id))
    ORDER BY received_at LIMIT {AT_ONCE}
),{_AROUND},{_RELATED},{_TWINS},
decided AS (
    SELECT due.trace_id, due.span_id,
           CASE WHEN holder.repeats_usage OR (holder.span_id IS NOT NULL AND NOT due.has_usage)
                  OR twin.is_outer THEN {Fate.CONTAINER.value}
                WHEN counted.span_id IS NOT NULL OR twin.is_counted THEN {Fate.REPEATED.value}
                ELSE {Fate.BOOKING.value} END AS fate
    FROM due
    LEFT JOIN holder USING (trace_id, span_id)
    LEFT JOIN counted USING (trace_id, span_id)
    LEFT JOIN twin USING (trace_id, span_id)
)
UPDATE otlp_span SET fate = decided.fate, event = CASE decided.fate WHEN {Fate.BOOKING.value} THEN event END
FROM decided
WHERE otlp_span.trace_id = decided.trace_id AND otlp_span.span_id = decided.span_id
"""
# What is decided but not written, with what the spans around it say, the nearest first.
_TO_BOOK = f"""
WITH RECURSIVE due AS MATERIALIZED (
    SELECT trace_id, span_id, api_key, key_team, event, said, likeness, answer, ended_us FROM otlp_span
    WHERE fate = {Fate.BOOKING.value} ORDER BY received_at LIMIT {AT_ONCE}
),{_AROUND},
told AS (
    SELECT around.trace_id, around.span_id, array_agg(o.said ORDER BY around.depth) AS said
    FROM around JOIN otlp_span o ON o.trace_id = around.trace_id AND o.span_id = around.outer_id
    WHERE o.said IS NOT NULL
    GROUP BY around.trace_id, around.span_id
)
SELECT due.trace_id, due.span_id, due.api_key, due.key_team, due.event,
       due.likeness, due.answer, due.ended_us, due.said, told.said
FROM due LEFT JOIN told USING (trace_id, span_id)
"""
_MARK = """
UPDATE otlp_span SET fate = marked.fate, event = NULL
FROM unnest(%s::uuid[], %s::bigint[], %s::smallint[]) AS marked (trace_id, span_id, fate)
WHERE otlp_span.trace_id = marked.trace_id AND otlp_span.span_id = marked.span_id
"""
_FORGET = f"""
DELETE FROM otlp_span s
WHERE (s.received_at < clock_timestamp() - %(remembered)s::interval
       AND s.fate NOT IN ({Fate.WAITING.value}, {Fate.BOOKING.value}))
   OR (s.fate = {Fate.LINK.value} AND s.received_at < clock_timestamp() - %(links)s::interval
       AND NOT EXISTS (SELECT FROM otlp_span c
                       WHERE c.trace_id = s.trace_id AND c.fate <> {Fate.LINK.value}))
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """What one round did."""

    decided: int = 0
    booked: int = 0
    refused: int = 0


def settle(*, wait: timedelta | None = None) -> Settled:
    """Decide on every span that has waited long enough and book the calls; nothing while another does.

    ``wait`` is how long a span waits for its relatives, by default OTLP_SETTLE_SECONDS, and longer where
    the span right around it has not come.
    """
    if wait is None:
        wait = timedelta(seconds=settings.OTLP_SETTLE_SECONDS)
        patience = max(wait, timedelta(seconds=settings.OTLP_PARENT_SECONDS))
    else:
        patience = wait
    decided = booked = refused = 0
    with _alone() as is_alone:
        while is_alone:
            number = _decide(wait, patience)
            kept, bad = _book()
            decided, booked, refused = decided + number, booked + kept, refused + bad
            if not number and not kept and not bad:
                break
    return Settled(decided, booked, refused)


def forget() -> int:
    """Drop spans whose relatives cannot be expected any more; how many."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, _seconds(remembered=REMEMBERED, links=LINKS_REMEMBERED))
        return int(cursor.rowcount)


def _seconds(**spans: timedelta) -> dict[str, str]:
    """As PostgreSQL reads an interval."""
    return {name: f"{span.total_seconds()} seconds" for name, span in spans.items()}


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else settles; held over several transactions, and freed with the connection."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_lock({_LOCK})")
        is_alone = bool(cursor.fetchone()[0])
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_unlock({_LOCK})")


@transaction.atomic
def _decide(wait: timedelta, patience: timedelta) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_DECIDE, _seconds(wait=wait, patience=patience))
        return int(cursor.rowcount)


def _book() -> tuple[int, int]:
    """Write what is decided; how many are in the books, and how many were refused."""
    with connection.cursor() as cursor:
        cursor.execute(_TO_BOOK)
        rows = cursor.fetchall()
    if not rows:
        return 0, 0
    by_key: dict[tuple[str, str], list[Event]] = defaultdict(list)
    answered: list[Answered] = []
    for _, _, api_key, key_team, event, likeness, answer, ended_us, own, around in rows:
        call = _decode(bytes(event))
        by_key[api_key, key_team].append(_complete(call, key_team, own, around) if around else call)
        if answer is not None and likeness is not None:
            answered.append(Answered(likeness, answer, ended_us, call.event_id, call.source or ""))
    refused: set[str] = set()
    for (api_key, key_team), events in by_key.items():
        refused |= _write(events, Sender("", api_key, key_team))
    repeated = told_again([call for call in answered if call.event_id not in refused])
    with transaction.atomic():
        _mark([(trace_id, span_id) for trace_id, span_id, *_ in rows], refused)
        count_repeated(repeated)
    return len(rows) - len(refused), len(refused)


def _complete(event: Event, key_team: str, own: str | None, around: Sequence[str]) -> Event:
    """The call with what the spans around it say, the nearest first; never with another key's team.

    What a span says goes before what resources say, its own before those of the spans around.
    """
    layers = [_decode_said(said) for said in (own, *around) if said]
    told: dict[str, str] = {}
    for said in (*(of_span for of_span, _ in layers), *(of_resource for _, of_resource in layers)):
        for name, value in said.items():
            if name != "team" or key_team in ("", value):
                told.setdefault(name, value)
    for name, value in told.items():
        setattr(event, name, value)
    return event


def _write(events: list[Event], sender: Sender) -> set[str]:
    """The ids of those that the rules refuse by now: they were acknowledged, so they are kept aside."""
    outcome = take_in(Arrivals(events, list(range(len(events)))), sender)
    rejected = outcome.arrivals.rejected
    quarantine.keep_invalid(
        ((sender.api_key, each.event_id or "", each.problem, each.said) for each in rejected),
        api_key=sender.api_key,
        key_team=sender.team,
    )
    return {each.event_id or "" for each in rejected}


def _mark(keys: Sequence[Key], refused: set[str]) -> None:
    fates = [
        (Fate.REFUSED if _event_id(*key) in refused else Fate.BOOKED).value if refused else Fate.BOOKED.value
        for key in keys
    ]
    with connection.cursor() as cursor:
        cursor.execute(_MARK, [[trace for trace, _ in keys], [span for _, span in keys], fates])


def _event_id(trace_id: UUID, span_id: int) -> str:
    return f"{trace_id.hex}:{span_id.to_bytes(8, 'big', signed=True).hex()}"
