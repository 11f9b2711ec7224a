"""Turns generated calls into events as a client would send them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np

from finops.demo import company
from finops.demo.calls import RELEASE_DAYS, STATUSES, UNKNOWN_TEAM, Calls

BATCH = 5_000
_WIRE_TOKENS = (
    ("input", "input_tokens"),
    ("output", "output_tokens"),
    ("cache_read", "cache_read_tokens"),
    ("cache_write", "cache_write_tokens"),
    ("cache_write_1h", "cache_write_1h_tokens"),
    ("reasoning", "reasoning_tokens"),
)
_OPTIONAL = (
    "team", "feature", "tier", "environment", "workflow", "step", "prompt_version", "release",
    "customer", "end_user", "session_id", "task_id", "trace_id", "ttft_ms", "retrieval_tokens",
    "response_cache",
)  # fmt: skip


def bodies(calls: Calls, *, prefix: str, first: date, size: int = BATCH) -> Iterator[bytes]:
    """JSON bodies of ``POST /api/v1/events``, at most ``size`` events each, in order of time.

    ``first`` is the first day of the window; event ids are ``prefix`` and a number.
    """
    encode = msgspec.json.Encoder().encode
    for start in range(0, len(calls), size):
        yield encode({"events": events(calls[start : start + size], prefix, start, first)})


def events(calls: Calls, prefix: str, start: int, first: date) -> list[dict[str, Any]]:
    """The calls as events; what a call leaves unsaid is left out."""
    names = ("event_id", "source", "occurred_at", "provider", "model", "operation", "usage", "status",
             "attempt", "duration_ms", "tool_calls", *_OPTIONAL)  # fmt: skip
    models = [company.MODELS[number] for number in calls["model"].tolist()]
    columns: list[Sequence[Any]] = [
        [f"{prefix}-{number}" for number in range(start, start + len(calls))],
        [company.SOURCES[number] for number in calls["source"].tolist()],
        calls["occurred_ms"].tolist(),
        [model.provider for model in models],
        [model.name for model in models],
        ["embeddings" if model.embeds else "chat" for model in models],
        _usages(calls),
        [STATUSES[number] for number in calls["status"].tolist()],
        calls["attempt"].tolist(),
        calls["duration_ms"].tolist(),
        calls["tool_calls"].tolist(),
        *_optional(calls, prefix, first),
    ]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*columns, strict=True)
    ]


def _usages(calls: Calls) -> list[dict[str, int]]:
    rows = zip(*(calls[column].tolist() for column, _ in _WIRE_TOKENS), strict=True)
    names = [name for _, name in _WIRE_TOKENS]
    totals = set(names[:2])
    # The two totals always, the subsets when there is something in them.
    return [
        {name: tokens for name, tokens in zip(names, row, strict=True) if tokens or name in totals}
        for row in rows
    ]


def _optional(calls: Calls, prefix: str, first: date) -> list[Sequence[Any]]:
    """Columns in the order of ``_OPTIONAL``, None where a call does not say."""
    teams = dict(enumerate(company.TEAMS)) | {UNKNOWN_TEAM: company.UNKNOWN_TEAM}
    features = calls["feature"].tolist()
    known = [company.FEATURES[number] if number >= 0 else None for number in features]
    releases = _releases(calls, first)
    in_workflow = [feature is not None and feature.workflow for feature in known]
    tasks = calls["task"].tolist()
    return [
        [teams.get(number) for number in calls["team"].tolist()],
        [feature.slug if feature else None for feature in known],
        [company.TIERS[number] if number >= 0 else None for number in calls["tier"].tolist()],
        [company.ENVIRONMENTS[number] for number in calls["environment"].tolist()],
        [feature.workflow or None if feature else None for feature in known],
        [
            feature.steps[step].name or None if feature else None
            for feature, step in zip(known, calls["step"].tolist(), strict=True)
        ],
        [f"v{number}" if number >= 0 else None for number in calls["prompt_version"].tolist()],
        [releases.get(number) for number in calls["release"].tolist()],
        [company.CUSTOMERS[number] if number >= 0 else None for number in calls["customer"].tolist()],
        [f"u-{number:06d}" if number >= 0 else None for number in calls["user"].tolist()],
        [f"{prefix}-s{number}" if number >= 0 else None for number in calls["session"].tolist()],
        [f"{prefix}-t{number}" if number >= 0 else None for number in tasks],
        [f"{task:032x}" if flow else None for task, flow in zip(tasks, in_workflow, strict=True)],
        _given(calls, "ttft_ms"),
        _given(calls, "retrieval"),
        [(None, "hit", "miss")[number] for number in calls["from_cache"].tolist()],
    ]


def _given(calls: Calls, column: str) -> list[int | None]:
    return [number if number >= 0 else None for number in calls[column].tolist()]


def _releases(calls: Calls, first: date) -> dict[int, str]:
    """A release is named by the calendar week of the day it went out."""
    names = {}
    for number in np.unique(calls["release"]).tolist():
        if number >= 0:
            year, week, _ = (first + timedelta(days=number * RELEASE_DAYS)).isocalendar()
            names[number] = f"{year}.{week:02d}"
    return names
