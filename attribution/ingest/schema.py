"""The event: what a client may say about one call, and what each field alone must look like.

msgspec checks types, lengths and ranges while it decodes. Whatever looks at several fields, at the
clock or at the characters of a text is in ``rules``.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from attribution.models.events import NOT_GIVEN

MOST_TOKENS = 10**9
MOST_MILLISECONDS = 10**9
MOST_SMALL = 32_767  # what a smallint column holds

# Fields under which clients send prompts and completions. They are dropped before anything else
# looks at an event: never stored, never logged, never in the quarantine.
CONTENT_FIELDS = frozenset(
    {
        "completion",
        "completions",
        "content",
        "contents",
        "choices",
        "generation",
        "input",
        "inputs",
        "instructions",
        "message",
        "messages",
        "output",
        "outputs",
        "prompt",
        "prompts",
        "query",
        "request",
        "request_body",
        "response",
        "response_body",
        "responses",
        "system",
        "system_instruction",
        "system_prompt",
        "text",
        "texts",
        "tool_results",
        "transcript",
    }
)

Text = Annotated[str, Meta(max_length=128)]
Name = Annotated[str, Meta(max_length=64)]
Count = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]
Small = Annotated[int, Meta(ge=0, le=MOST_SMALL)]
# Clients measure in fractions of a millisecond; the nearest whole one is kept.
Milliseconds = Annotated[float, Meta(ge=0, le=MOST_MILLISECONDS)]
Instant = Annotated[datetime, Meta(tz=True)] | Annotated[int, Meta(ge=0, le=10**14)]
Tags = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9_.\-]+$")],
        Annotated[str, Meta(max_length=256)],
    ],
    Meta(max_length=20),
]
Units = Annotated[
    dict[Annotated[str, Meta(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")], Decimal],
    Meta(max_length=16),
]


class Usage(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Tokens as they ride on the wire: two inclusive totals and their subsets; -1 is not given.

    An unknown name is refused, not ignored: a quantity must never be lost without a word.
    """

    input_tokens: Count = NOT_GIVEN
    cache_read_tokens: Count = NOT_GIVEN
    cache_write_tokens: Count = NOT_GIVEN
    cache_write_1h_tokens: Count = NOT_GIVEN
    output_tokens: Count = NOT_GIVEN
    reasoning_tokens: Count = NOT_GIVEN
    audio_input_tokens: Count = NOT_GIVEN
    audio_cached_tokens: Count = NOT_GIVEN
    audio_output_tokens: Count = NOT_GIVEN
    image_input_tokens: Count = NOT_GIVEN
    image_cached_tokens: Count = NOT_GIVEN
    image_output_tokens: Count = NOT_GIVEN
    units: Units | None = None


class ReportedCost(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the client believes the call cost: evidence, never used as the cost."""

    amount: Decimal
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]


class Event(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One call. Optional texts are None when not given; '' means the same."""

    event_id: Annotated[str, Meta(min_length=1, max_length=128)]
    occurred_at: Instant
    provider: Annotated[str, Meta(min_length=1, max_length=64)]
    model: Annotated[str, Meta(min_length=1, max_length=256)]
    source: Text | None = None

    # What the price depends on, as served.
    model_requested: Annotated[str, Meta(max_length=256)] | None = None
    host: Name | None = None
    region: Name | None = None
    service_tier: Name | None = None
    processing: Literal["sync", "batch", ""] | None = None
    speed: Literal["standard", "fast", ""] | None = None
    account: Text | None = None  # of the provider: who is billed

    # What was used.
    usage: Usage | None = None
    usage_semantics: Literal["inclusive", "anthropic"] = "inclusive"
    raw_usage: dict[str, Any] | None = None  # Any: the provider's own object
    api_flavor: Name | None = None
    # The input of one call, where usage is the sum of several: it decides the band of the price.
    context_tokens: Count = NOT_GIVEN

    # Whom and what it was for.
    operation: Text | None = None
    team: Text | None = None
    feature: Text | None = None
    tier: Text | None = None
    environment: Text | None = None
    workflow: Text | None = None
    step: Text | None = None
    prompt_version: Text | None = None
    release: Text | None = None
    customer: Text | None = None
    end_user: Text | None = None
    session_id: Text | None = None
    task_id: Text | None = None
    trace_id: Text | None = None
    parent_event_id: Text | None = None
    attempt: Annotated[int, Meta(ge=1, le=MOST_SMALL)] = 1
    tags: Tags | None = None

    # How it went.
    status: Literal["success", "error", "timeout", "cancelled", "refused"] = "success"
    error_type: Text | None = None
    duration_ms: Milliseconds = NOT_GIVEN
    ttft_ms: Milliseconds = NOT_GIVEN
    tool_calls: Small = 0
    retrieval_tokens: Count = NOT_GIVEN
    response_cache: Literal["hit", "miss", ""] | None = None
    reported_cost: ReportedCost | None = None


class Envelope(Struct):
    """The usual body: ``{"events": [...]}``."""

    events: list[Event]
