"""What the ingest counts for Prometheus, in every web process."""

from __future__ import annotations

from prometheus_client import Counter

from attribution.ingest.otlp.holding import Held
from attribution.ingest.outcome import Outcome

_events = Counter("finops_ingest_events_total", "Events received, by what became of them.", ["result"])
_content = Counter("finops_ingest_content_dropped_total", "Fields with prompt or completion text, dropped.")
_spans = Counter("finops_ingest_spans_total", "Spans received, by what became of them.", ["result"])
_accepted, _duplicate, _conflict, _rejected, _spooled = (
    _events.labels(result) for result in ("accepted", "duplicate", "conflict", "rejected", "spooled")
)


def count_spans(held: Held) -> None:
    """Count one answered request of spans."""
    _spans.labels("held").inc(held.calls)
    _spans.labels("known").inc(held.known)
    _spans.labels("rejected").inc(len(held.rejected))
    if held.content_dropped:
        _content.inc(held.content_dropped)


def count(outcome: Outcome) -> None:
    """Count one answered request."""
    _accepted.inc(outcome.accepted)
    _spooled.inc(outcome.spooled)
    _duplicate.inc(outcome.duplicates)
    _conflict.inc(len(outcome.conflicts))
    _rejected.inc(len(outcome.arrivals.rejected))
    if outcome.arrivals.content_dropped:
        _content.inc(outcome.arrivals.content_dropped)
