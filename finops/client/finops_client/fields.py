"""What may be said about a call, by name, for type checkers; the server is the judge of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypedDict

Status = Literal["success", "error", "timeout", "cancelled", "refused"]
Outcome = Literal["success", "failure", "escalated"]


class Usage(TypedDict, total=False):
    """Token counts: two inclusive totals and their parts, and whatever is billed otherwise."""

    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_input_tokens: int
    audio_cached_tokens: int
    audio_output_tokens: int
    image_input_tokens: int
    image_cached_tokens: int
    image_output_tokens: int
    units: Mapping[str, int | Decimal | str]


class ReportedCost(TypedDict):
    """What the service believes the call cost; evidence only."""

    amount: Decimal | str
    currency: str


class Names(TypedDict, total=False):
    """Whom and what a call was for: what a context hands on to everything recorded inside it."""

    team: str | None
    feature: str | None
    tier: str | None
    environment: str | None
    workflow: str | None
    step: str | None
    prompt_version: str | None
    release: str | None
    customer: str | None
    account: str | None
    end_user: str | None
    session_id: str | None
    task_id: str | None
    trace_id: str | None
    tags: Mapping[str, str]


class EventFields(Names, total=False):
    """Everything optional of an event."""

    event_id: str
    occurred_at: datetime
    model_requested: str | None
    host: str | None
    region: str | None
    service_tier: str | None
    processing: Literal["sync", "batch"] | None
    speed: Literal["standard", "fast"] | None
    operation: str | None
    parent_event_id: str | None
    attempt: int
    status: Status
    error_type: str | None
    duration_ms: float | None
    ttft_ms: float | None
    tool_calls: int
    retrieval_tokens: int | None
    response_cache: Literal["hit", "miss"] | None
    reported_cost: ReportedCost | None
    usage_semantics: Literal["inclusive", "anthropic"]
