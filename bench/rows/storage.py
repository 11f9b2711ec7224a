"""Bytes on disk for one event, with indexes and rollups."""

from __future__ import annotations

from collections.abc import Iterator

from bench import traffic
from bench.instance import Server
from bench.results import Row

_BOOKS = (
    "call_event", "call_unit", "ingest_batch", "usage_hour", "usage_day", "unit_hour", "unit_day",
    "duration_day", "duration_owner_day", "duration_owner_span", "user_day", "task_day",
    "customer_day", "customer_unit_day",
    "dimension_set", "attribution", "customer", "price_slot", "slot_rate", "quarantine",
)  # fmt: skip
_SIZE = """
SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relkind = 'r' AND (c.relname = ANY(%(books)s) OR i.inhparent::regclass::text = ANY(%(books)s))
"""


def measure(server: Server) -> Iterator[Row]:
    """Against the JSON that the events arrived as, uncompressed; as a night's tasks leave the books."""
    server.probe("nightly")
    with server.connect() as connection:
        connection.execute("VACUUM")
        size = connection.execute(_SIZE, {"books": list(_BOOKS)}).fetchone()
        count = connection.execute("SELECT count(*) FROM call_event").fetchone()
    assert size is not None
    assert count is not None
    sample = traffic.calls(min(count[0], 10_000), seed=1)
    sent = sum(len(body) for body in traffic.json_bodies(sample, prefix="bench", size=1_000)) / len(sample)
    each = float(size[0]) / count[0]
    yield Row(
        name="storage", value=each, unit="bytes/event", reference=sent, ratio=each / sent,
        against="the event's JSON", target="<= 0.45",
    )  # fmt: skip
