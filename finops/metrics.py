"""Prometheus metrics: requests counted in every web process, the state of the books at each scrape."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import DatabaseError, connection
from django.http import HttpRequest
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from attribution.ingest.spool_state import spool_state
from finops.core import outage

logger = logging.getLogger(__name__)

CONTENT_TYPE = CONTENT_TYPE_LATEST
_LONGEST_SECONDS = 10  # for the questions of one scrape
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

requests_total = Counter("finops_http_requests_total", "Requests answered.", ["method", "route", "status"])
request_seconds = Histogram(
    "finops_http_request_seconds", "Time to answer a request.", ["route"], buckets=_SECONDS
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class Outcome:
    """What became of a request; 500 until something better is known."""

    status: int = 500


@contextmanager
def timed(request: HttpRequest) -> Iterator[Outcome]:
    """Count and time one request under the pattern of its route, never under its own path."""
    outcome = Outcome()
    started = time.perf_counter()
    try:
        yield outcome
    finally:
        match = request.resolver_match
        route = match.route if match is not None else "(none)"
        method = request.method if request.method in _METHODS else "(other)"
        requests_total.labels(method, route, str(outcome.status)).inc()
        request_seconds.labels(route).observe(time.perf_counter() - started)


# Name, meaning and question of each gauge; one row, one number.
_GAUGES = (
    (
        "finops_fold_batches_waiting",
        "Ingest batches acknowledged and not yet folded into the rollups.",
        "SELECT count(*) FROM ingest_batch WHERE folded_at IS NULL",
    ),
    (
        "finops_fold_lag_seconds",
        "Age of the oldest acknowledged batch that is not yet in the rollups; 0 when all are.",
        """
        SELECT coalesce(extract(epoch FROM clock_timestamp() - min(received_at)), 0)
        FROM ingest_batch WHERE folded_at IS NULL
        """,
    ),
    (
        "finops_events_accepted_last_minute",
        "Events accepted during the last minute.",
        """
        SELECT coalesce(sum(accepted), 0)
        FROM ingest_batch WHERE received_at > clock_timestamp() - interval '1 minute'
        """,
    ),
    (
        "finops_partition_days_ahead",
        "Day partitions that exist beyond today (UTC).",
        """
        SELECT count(*) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'call_event'::regclass
            AND relname > 'call_event_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')
        """,
    ),
    (
        "finops_database_bytes",
        "Size of the database.",
        "SELECT pg_database_size(current_database())",
    ),
    (
        "finops_database_connections",
        "Connections to the database.",
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
    ),
)


class SpoolCollector(Collector):
    """What this host keeps on its disk for a database that is away; needs none."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Its size, its bound, the age of the oldest, and what a person must look at."""
        state = spool_state()
        age = time.time() - state.oldest_at.timestamp() if state.oldest_at else 0.0
        for name, meaning, value in (
            ("finops_spool_bytes", "Acknowledged and not yet in the database.", state.bytes),
            ("finops_spool_most_bytes", "How much is taken before events are refused.", state.most_bytes),
            ("finops_spool_oldest_seconds", "Age of the oldest of it; 0 when nothing waits.", age),
            ("finops_spool_set_aside", "Files with records that could not be booked.", state.set_aside),
        ):
            gauge = GaugeMetricFamily(name, meaning)
            gauge.add_metric([], value)
            yield gauge


class BooksCollector(Collector):
    """Asks the database at each scrape; a database that is down is itself a metric."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge a question, and ``finops_database_up``."""
        up = GaugeMetricFamily("finops_database_up", "Whether the database answered this scrape.")
        try:
            with outage.watched(_LONGEST_SECONDS):
                found = [(name, meaning, _number(question)) for name, meaning, question in _GAUGES]
        except DatabaseError as error:
            logger.warning("metrics: %s", error)
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        for name, meaning, value in found:
            gauge = GaugeMetricFamily(name, meaning)
            gauge.add_metric([], value)
            yield gauge


def exposition() -> bytes:
    """All metrics of all web processes, as text."""
    registry = CollectorRegistry()
    registry.register(SpoolCollector())
    registry.register(BooksCollector())
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(registry) + generate_latest(REGISTRY)


def _number(question: str) -> float:
    with connection.cursor() as cursor:
        cursor.execute(question)
        row = cursor.fetchone()
    return float(row[0]) if row is not None else 0.0
