"""What the ingest counts for Prometheus, in every web process."""

from __future__ import annotations

from prometheus_client import Counter

from attribution.ingest.outcome import Outcome

_events = Counter("finops_ingest_events_total", "Events received, by what became of them.", ["result"])
_content = Counter("finops_ingest_content_dropped_total", "Fields with prompt or completion text, dropped.")
_accepted, _duplicate, _conflict, _rejected = (
    _events.labels(result) for result in ("accepted", "duplicate", "conflict", "rejected")
)


def count(outcome: Outcome) -> None:
    """Count one answered request."""
    _accepted.inc(outcome.accepted)
    _duplicate.inc(outcome.duplicates)
    _conflict.inc(len(outcome.conflicts))
    _rejected.inc(len(outcome.arrivals.rejected))
    if outcome.arrivals.content_dropped:
        _content.inc(outcome.arrivals.content_dropped)
