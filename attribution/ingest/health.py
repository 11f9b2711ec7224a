"""How the ingest is doing: what is not in the reports yet, how fast calls come, how well they are told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from attribution.ingest.otlp.repeats import Repeats, repeats
from attribution.ingest.spool_state import SpoolState, spool_state

_COVERED_DAYS = 7


@dataclass(frozen=True, slots=True)
class SourceCoverage:
    """One source over the last days; shares are of its calls, from 0 to 1."""

    source: str
    calls: int
    tagged_share: float  # said their feature or their team
    attributed_share: float  # have a team today
    priced_share: float  # some price is known
    last_bucket: datetime  # the hour of its last call


@dataclass(frozen=True, slots=True)
class IngestHealth:
    """``watermark``: everything acknowledged before it is in the reports.

    What waits in a spool holds it back, and so do spans that wait for their relatives.
    """

    watermark: datetime
    lag_seconds: float
    unfolded_batches: int
    unfolded_calls: int
    waiting_spans: int
    rates: dict[str, float]  # calls a second over the last 1, 5 and 60 minutes
    sources: list[SourceCoverage]
    repeated: list[Repeats]  # calls that seem to be told twice
    spool: SpoolState  # of the host that answers


def ingest_health(visible_teams: Collection[str] | None = None) -> IngestHealth:
    """The state now; coverage is of the last seven days. Four queries.

    ``visible_teams`` leaves only calls attributed to these teams in the coverage, and tells of no repeated
    ones, whose team is not known; None: all calls.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNFOLDED)
        watermark, lag, batches, calls, waiting_spans = cursor.fetchone()
        cursor.execute(_RATES)
        counts = cursor.fetchone()
        teams = None if visible_teams is None else sorted(visible_teams)
        cursor.execute(_COVERAGE, {"days": _COVERED_DAYS, "teams": teams})
        sources = [SourceCoverage(*row) for row in cursor.fetchall()]
    spool = spool_state()
    if spool.oldest_at is not None and spool.oldest_at < watermark:
        lag += (watermark - spool.oldest_at).total_seconds()
        watermark = spool.oldest_at
    minutes = (1, 5, 60)
    rates = {f"{span}m": count / (60 * span) for span, count in zip(minutes, counts, strict=True)}
    repeated = repeats() if visible_teams is None else []
    return IngestHealth(watermark, lag, batches, calls, waiting_spans, rates, sources, repeated, spool)


_UNFOLDED = """
    SELECT least(batch.oldest, span.oldest, now()),
           greatest(coalesce(extract(epoch FROM now() - least(batch.oldest, span.oldest)), 0), 0)::float,
           batch.number, batch.calls, span.number
    FROM (SELECT min(received_at) AS oldest, count(*) AS number, coalesce(sum(accepted), 0)::bigint AS calls
          FROM ingest_batch WHERE folded_at IS NULL) batch,
         (SELECT min(received_at) AS oldest, count(*) AS number
          FROM otlp_span WHERE fate IN (0, 2)) span
"""
_RATES = """
    SELECT coalesce(sum(accepted) FILTER (WHERE received_at > now() - interval '1 minute'), 0)::float,
           coalesce(sum(accepted) FILTER (WHERE received_at > now() - interval '5 minutes'), 0)::float,
           coalesce(sum(accepted), 0)::float
    FROM ingest_batch WHERE received_at > now() - interval '1 hour'
"""
_COVERAGE = """
    SELECT arrived.source, sum(used.calls)::bigint,
           coalesce(sum(used.calls) FILTER (WHERE arrived.feature <> '' OR arrived.team <> ''), 0)::float
               / sum(used.calls),
           coalesce(sum(used.calls) FILTER (WHERE owner.team IS NOT NULL), 0)::float / sum(used.calls),
           coalesce(sum(used.calls) FILTER (WHERE priced.slot_id IS NOT NULL), 0)::float / sum(used.calls),
           max(used.bucket)
    FROM usage_hour used
    JOIN dimension_set arrived ON arrived.id = used.dimension_set_id
    LEFT JOIN attribution owner ON owner.dimension_set_id = arrived.id AND owner.known_to IS NULL
        AND (owner.valid_from IS NULL OR owner.valid_from <= current_date)
        AND (owner.valid_to IS NULL OR owner.valid_to > current_date)
    LEFT JOIN (SELECT DISTINCT slot_id FROM slot_rate WHERE known_to IS NULL) priced
        ON priced.slot_id = used.slot_id
    WHERE used.bucket >= now() - make_interval(days => %(days)s)
      AND (%(teams)s::text[] IS NULL OR owner.team = ANY(%(teams)s::text[]))
    GROUP BY arrived.source ORDER BY sum(used.calls) DESC, arrived.source
"""
