"""Which periods of a provider's report are in the books, so that the same usage is not booked otherwise.

Identity tells a row from itself. It does not tell a day from its 24 hours, a sum of all keys from that of
one, or a file from the same report read by its API. So every imported row claims its period first, for its
provider, model, project and key, and whatever overlaps a claim of another shape is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from attribution.ingest.identity import identity_of
from attribution.ingest.post import Post
from attribution.ingest.schema import Event
from attribution.ingest.times import instant, microseconds
from attribution.ingest.usage_exports import OPERATION, SECONDS
from finops.core import outage
from finops.core.errors import FieldProblem, Unavailable

_PROJECTS = ("project_id", "workspace_id")
_LOCK = "hashtext('attribution.report_periods')"


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a report, and its place among the events of a batch."""

    place: int
    identity: UUID
    provider: str
    model: str
    project: str
    api_key: str
    starts_at: datetime
    ends_at: datetime

    @property
    def width(self) -> timedelta:
        return self.ends_at - self.starts_at


def claim(post: Post) -> None:
    """Claim the periods of a batch's report rows, until its import is undone; rows that are covered are out.

    Rows that claimed theirs before are left to their identity. To be called right before the batch is
    written: a claim that nothing came of does no harm, for the same rows may be sent again. Raises
    Unavailable while the database is away.
    """
    problems: list[FieldProblem | None] = [None] * len(post.events)
    rows = list(_rows(post.events))
    # A day after its hours, or before them: each width sees what the ones before it have claimed.
    try:
        for width in dict.fromkeys(row.width for row in rows):
            _claim([row for row in rows if row.width == width], post.import_id, problems)
    except (OperationalError, InterfaceError) as error:
        if not connection.in_atomic_block:
            connection.close()
        outage.note_away(error)
        raise Unavailable("The database is away: nothing was kept. Try again.") from error
    if any(problems):
        for place, problem in enumerate(problems):
            if problem:
                post.arrivals.reject(place, problem)
        post.keep([problem is None for problem in problems])


def covered(events: Sequence[Event]) -> list[FieldProblem | None]:
    """What ``claim`` would say of the first rows of a file, without claiming anything."""
    problems: list[FieldProblem | None] = [None] * len(events)
    _refuse(list(_rows(events)), None, problems)
    return problems


def _rows(events: Iterable[Event]) -> Iterable[_Row]:
    for place, event in enumerate(events):
        tags = event.tags or {}
        seconds = tags.get(SECONDS, "")
        if event.operation == OPERATION and seconds.isascii() and seconds.isdigit():
            middle = instant(microseconds(event.occurred_at))
            half = timedelta(seconds=int(seconds)) / 2
            yield _Row(
                place,
                identity_of(event.source or "", event.event_id),
                event.provider.strip().lower(),
                event.model.strip(),
                next((tags[name] for name in _PROJECTS if name in tags), ""),
                tags.get("api_key_id", ""),
                middle - half,
                middle + half,
            )


def _claim(rows: Sequence[_Row], import_id: int | None, problems: list[FieldProblem | None]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        _refuse(rows, import_id, problems)
        sound = [row for row in rows if problems[row.place] is None]
        cursor.execute(_CLAIM, {**_columns(sound), "import": import_id})


def _refuse(rows: Sequence[_Row], import_id: int | None, problems: list[FieldProblem | None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_COVERED, {**_columns(rows), "import": import_id})
        for place, mapping, file, number, starts_at, ends_at in cursor.fetchall():
            if mapping is not None:
                by = f'the report that is read from the provider, for the mapping "{mapping}"'
            else:
                made = f"the import {file} ({number})" if file else "a row that was replayed"
                by = f"{made}, {_span(starts_at, ends_at)}"
            problems[place] = FieldProblem("occurred_at", "covered", f"Already covered by {by}.")


def _span(starts_at: datetime, ends_at: datetime) -> str:
    return f"{starts_at:%Y-%m-%d %H:%M} to {ends_at:%Y-%m-%d %H:%M} UTC"


def _columns(rows: Sequence[_Row]) -> dict[str, list[object]]:
    names = ("place", "identity", "provider", "model", "project", "api_key", "starts_at", "ends_at")
    return {name: [getattr(row, name) for row in rows] for name in names}


_SENT = """
    SELECT * FROM unnest(%(place)s::int[], %(identity)s::uuid[], %(provider)s::text[], %(model)s::text[],
                         %(project)s::text[], %(api_key)s::text[], %(starts_at)s::timestamptz[],
                         %(ends_at)s::timestamptz[])
    AS sent (place, identity, provider, model, project, api_key, starts_at, ends_at)
"""
# A row that names no key sums all of them, as far as anybody can tell; likewise for projects.
_SAME = """
    {other}.model = fresh.model
    AND ({other}.project = fresh.project OR {other}.project = '' OR fresh.project = '')
    AND ({other}.api_key = fresh.api_key OR {other}.api_key = '' OR fresh.api_key = '')"""
# Rows of one bucket in one import are told apart by all their names; in two imports they may be the same
# report, grouped otherwise.
_COVERED = f"""
WITH fresh AS (
    SELECT * FROM ({_SENT}) sent
    WHERE NOT EXISTS (SELECT FROM report_period known WHERE known.identity = sent.identity)
)
SELECT fresh.place, read.mapping, made.file_name, made.id, claimed.starts_at, claimed.ends_at
FROM fresh
LEFT JOIN LATERAL (
    SELECT other.import_id, other.starts_at, other.ends_at
    FROM report_period other
    WHERE other.provider = fresh.provider AND {_SAME.format(other="other")}
      AND other.starts_at < fresh.ends_at AND other.ends_at > fresh.starts_at
      AND other.starts_at > fresh.starts_at - interval '1 day'
      AND ((other.starts_at, other.ends_at) <> (fresh.starts_at, fresh.ends_at)
           OR other.import_id IS DISTINCT FROM %(import)s::bigint
              AND (other.project, other.api_key) <> (fresh.project, fresh.api_key))
    LIMIT 1
) claimed ON true
LEFT JOIN attribution_dataimport made ON made.id = claimed.import_id
LEFT JOIN LATERAL (
    SELECT mapped.name AS mapping
    FROM provider_day booked
    JOIN provider_mapping mapped ON mapped.id = booked.mapping_id
    JOIN provider_usage reported ON reported.provider = mapped.provider AND reported.gone_at IS NULL
        AND reported.starts_at = booked.day::timestamp AT TIME ZONE 'UTC'
    WHERE mapped.provider = fresh.provider AND booked.state IN ('booking', 'booked')
      AND booked.day::timestamp AT TIME ZONE 'UTC' < fresh.ends_at
      AND (booked.day + 1)::timestamp AT TIME ZONE 'UTC' > fresh.starts_at
      AND {_SAME.format(other="reported")}
      AND (reported.api_key = ANY(mapped.api_keys)
           OR reported.project = ANY(mapped.projects) AND NOT EXISTS (
               SELECT FROM provider_mapping taken
               WHERE taken.provider = mapped.provider AND taken.is_active AND taken.id <> mapped.id
                 AND reported.api_key = ANY(taken.api_keys)))
    LIMIT 1
) read ON true
WHERE claimed.starts_at IS NOT NULL OR read.mapping IS NOT NULL
"""
_CLAIM = f"""
INSERT INTO report_period (identity, import_id, provider, model, project, api_key, starts_at, ends_at)
SELECT identity, %(import)s::bigint, provider, model, project, api_key, starts_at, ends_at
FROM ({_SENT}) sent
ORDER BY identity
ON CONFLICT (identity) DO NOTHING
"""
