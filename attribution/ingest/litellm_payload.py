"""What a LiteLLM proxy logs of a call: the fields of a StandardLoggingPayload that are read, and their types.

Everything else is stepped over while decoding. Any field may be null, and older versions lack some.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Raw, Struct, field

NULL = b"null"


class CacheCreation(Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class CachedParts(Struct):
    audio_tokens: int | None = None
    image_tokens: int | None = None


class PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_creation_token_details: CacheCreation | None = None
    cached_tokens_details: CachedParts | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    web_search_requests: int | None = None


class CompletionDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class ToolUse(Struct):
    web_search_requests: int | None = None


class Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    server_tool_use: ToolUse | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None


class Metadata(Struct):
    user_api_key_hash: str | None = None
    user_api_key_alias: str | None = None
    user_api_key_team_id: str | None = None
    user_api_key_team_alias: str | None = None
    user_api_key_org_id: str | None = None
    user_api_key_user_id: str | None = None
    user_api_key_end_user_id: str | None = None
    spend_logs_metadata: dict[str, Any] | None = None
    requester_custom_headers: dict[str, Any] | None = None
    usage_object: Usage | None = None


class Hidden(Struct):
    additional_headers: dict[str, Any] | None = None


class Error(Struct):
    error_class: str | None = None


class Breakdown(Struct):
    service_tier: str | None = None


class Payload(Struct):
    """The fields that are read; everything else is stepped over."""

    start: float | str = field(name="startTime")
    end: float | str = field(name="endTime")
    model: str
    id: str | None = None
    call_id: str | None = None
    litellm_call_id: str | None = None
    trace_id: str | None = None
    session_id: str | None = None
    call_type: str | None = None
    status: str | None = None
    custom_llm_provider: str | None = None
    first_token: float | str | None = field(name="completionStartTime", default=None)
    stream: bool | None = None
    model_group: str | None = None
    metadata: Metadata = field(default_factory=Metadata)
    cache_hit: bool | str | None = None
    response_cost: Decimal | None = None
    cost_breakdown: Breakdown | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    request_tags: list[Any] | None = None
    end_user: str | None = None
    hidden_params: Hidden | None = None
    error_information: Error | None = None
    messages: Raw = Raw(NULL)
    response: Raw = Raw(NULL)


class Names(Struct):
    """What calls a payload by name."""

    call_id: str | None = None
    litellm_call_id: str | None = None


class Answer(Struct):
    """What an answer says of how it was served."""

    model: str | None = None
    service_tier: str | None = None
