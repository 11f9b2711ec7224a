"""Events of the demo company, encoded before anything is timed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from finops.demo.calls import Calls, generate
from finops.demo.events import bodies, events
from finops.demo.story import Story

ZONE = ZoneInfo("UTC")
# Columns of the raw reference, in the order in which clients send them.
RAW_COLUMNS = (
    "event_id", "source", "occurred_at", "provider", "model", "operation", "team", "feature", "tier",
    "environment", "workflow", "step", "prompt_version", "release", "customer", "end_user", "session_id",
    "task_id", "trace_id", "status", "response_cache", "attempt", "duration_ms", "ttft_ms", "tool_calls",
    "retrieval_tokens",
)  # fmt: skip
RAW_TOKENS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens",
)  # fmt: skip


def today() -> date:
    """The day of the run, in the zone of the benchmarks."""
    return datetime.now(ZONE).date()


def calls(count: int, *, seed: int, days: int = 2) -> Calls:
    """Calls of the last whole days."""
    return generate(until=today(), days=days, events=count, seed=seed, zone=ZONE)


def json_bodies(some: Calls, *, prefix: str, size: int, days: int = 2) -> Iterator[bytes]:
    """Bodies of ``size`` events."""
    return bodies(some, prefix=prefix, first=Story.before(today(), days).first, size=size)


def gzipped(body: bytes) -> bytes:
    """As a client that cares about time rather than about the last byte would."""
    return gzip.compress(body, 1)


def single_bodies(some: Calls, *, prefix: str) -> list[bytes]:
    """One event a body."""
    first = Story.before(today(), 2).first
    return [msgspec.json.encode(event) for event in _wrapped(events(some, prefix, 0, first))]


def _wrapped(each: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return ({"events": [event]} for event in each)


def raw_rows(some: Calls, *, prefix: str) -> bytes:
    """The same events as text rows for COPY, one column a field."""
    first = Story.before(today(), 2).first
    lines = []
    for event in events(some, prefix, 0, first):
        usage = event["usage"]
        event["occurred_at"] = datetime.fromtimestamp(event["occurred_at"] / 1000, UTC).isoformat()
        values = [event.get(name) for name in RAW_COLUMNS] + [usage.get(name, 0) for name in RAW_TOKENS]
        lines.append("\t".join(r"\N" if value is None else str(value) for value in values))
    return ("\n".join(lines) + "\n").encode()


def raw_table(name: str) -> str:
    """SQL of the unindexed table that ``raw_rows`` fit into."""
    kinds = dict.fromkeys((*RAW_COLUMNS, *RAW_TOKENS), "text")
    kinds |= {"occurred_at": "timestamptz"}
    numbers = ("attempt", "duration_ms", "ttft_ms", "tool_calls", "retrieval_tokens", *RAW_TOKENS)
    kinds |= dict.fromkeys(numbers, "integer")
    columns = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns})"
