"""What the LiteLLM proxy logs of each call, read into events: its ``generic_api`` callback and its log files.

One record is a StandardLoggingPayload. Its token counts are inclusive for every provider, also for
Anthropic. Prompts and answers are stepped over as bytes and counted; of an answer only the model and the
service tier are read, which nothing else tells as they were served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw
from xxhash import xxh3_128_hexdigest

from attribution.ingest import litellm_names as names
from attribution.ingest.bodies import UnsupportedMedia
from attribution.ingest.decoding import Unreadable
from attribution.ingest.litellm_payload import (
    NULL,
    Answer,
    Breakdown,
    CacheCreation,
    CachedParts,
    CompletionDetails,
    Names,
    Payload,
    PromptDetails,
    ToolUse,
    Usage,
)
from attribution.ingest.native import MOST_EVENTS, Arrivals, from_records
from attribution.ingest.usage import UNTOLD
from finops.core.errors import FieldProblem, InvalidInput, TooLarge

Record = Any  # a dict in the shape of an event, or the InvalidInput of a payload that is none

_COST_PLACES = Decimal("1e-12")  # LiteLLM adds in binary floating point: more digits are noise


@dataclass(slots=True)
class _Read:
    """Records in the order of their payloads, and how many texts were left out."""

    records: list[Record]
    content_dropped: int


_decode = msgspec.json.Decoder(Payload).decode
_decode_array = msgspec.json.Decoder(list[Payload]).decode
_decode_lines = msgspec.json.Decoder(Payload).decode_lines
_decode_answer = msgspec.json.Decoder(Answer).decode
_decode_names = msgspec.json.Decoder(Names).decode
_split_array = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_LINES = {"application/x-ndjson", "application/ndjson", "application/jsonl"}


def parse(body: bytes, content_type: str) -> Arrivals:
    """The calls of a body: an array, one payload a line, or a single one, whatever the content type says.

    LiteLLM calls all three ``application/json``. Raises InvalidInput for a body that is none of them,
    TooLarge for too many payloads, UnsupportedMedia for a type that is not JSON.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media and "json" not in media and not media.startswith("text/"):
        message = "Content-Type must be application/json or application/x-ndjson."
        raise UnsupportedMedia(message, [FieldProblem("Content-Type", "unsupported", message)])
    is_array = body.lstrip()[:1] == b"["
    try:
        payloads: Sequence[Payload | InvalidInput] = (_decode_array if is_array else _decode_lines)(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        payloads = _one_by_one(body, is_array=is_array)
    if len(payloads) > MOST_EVENTS:
        message = f"More than {MOST_EVENTS} payloads: send them in several requests."
        raise TooLarge(message, [FieldProblem("body", "too_many", message)])
    read = _read(payloads)
    arrivals = from_records(read.records)
    arrivals.content_dropped += read.content_dropped
    return arrivals


def events_of(logged: Iterable[Any]) -> list[Record]:  # Any: payloads as parsed from a file
    """Payloads of a log file in the shape of events. What was left out is named, to be counted."""
    told = list(logged)
    payloads = [_again(one) for one in told]
    records = _read(payloads).records
    for place, (one, record) in enumerate(zip(payloads, records, strict=True)):
        if isinstance(record, dict) and isinstance(one, Payload):
            record.update(dict.fromkeys(_contents(one)))
        elif isinstance(told[place], dict):
            records[place] = Unreadable(record, told[place])
    return records


def _again(logged: Any) -> Payload | InvalidInput:
    if isinstance(logged, InvalidInput):
        return logged
    try:
        return _payload(_encode(logged))
    except (TypeError, ValueError, RecursionError):
        return InvalidInput.field("", "malformed", "The record is not JSON.")


def _one_by_one(body: bytes, *, is_array: bool) -> list[Payload | InvalidInput]:
    """Each payload by itself, so that a bad one costs no other."""
    if not is_array:
        lines = [line for line in body.splitlines() if line.strip()]
        if not _is_json(lines):
            lines = [body]  # one payload over several lines
        return [_payload(line) for line in lines]
    try:
        items = _split_array(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidInput.field("body", "malformed", f"The body is not JSON: {error}.") from error
    return [_payload(bytes(item)) for item in items]


def _is_json(lines: Sequence[bytes]) -> bool:
    """Whether the first line is a whole value, which tells lines from one indented payload."""
    try:
        msgspec.json.decode(lines[0], type=Raw)
    except (msgspec.MsgspecError, ValueError, IndexError):
        return False
    return True


def _payload(text: bytes) -> Payload | InvalidInput:
    try:
        return _decode(text)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        path = where.rstrip("`").lstrip(".")
        if message.startswith("Object missing required field"):
            path, message = message.split("`")[1], "This field is required."
        return Unreadable(InvalidInput.field(path, "not_a_payload", message), _named(text))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return InvalidInput.field("", "malformed", "Expected a StandardLoggingPayload as JSON.")


def _named(text: bytes) -> dict[str, str]:
    """Which call it is, where the rest cannot be read."""
    try:
        names_of = _decode_names(text)
    except msgspec.MsgspecError:
        return {}
    call_id = names_of.call_id or names_of.litellm_call_id
    return {"event_id": call_id} if call_id else {}


def _read(payloads: Sequence[Payload | InvalidInput]) -> _Read:
    attempts = _attempts([one for one in payloads if isinstance(one, Payload)])
    records: list[Record] = []
    dropped = 0
    for one in payloads:
        if isinstance(one, InvalidInput):
            records.append(one)
            continue
        dropped += len(_contents(one))
        try:
            records.append(_event(one, attempts[id(one)]))
        except InvalidInput as error:
            has_failed = one.status == names.FAILURE
            records.append(Unreadable(error, {"event_id": _event_id(one, has_failed=has_failed)}))
    return _Read(records, dropped)


def _contents(payload: Payload) -> list[str]:
    said = {"messages": payload.messages, "response": payload.response}
    return [name for name, content in said.items() if bytes(content) != NULL]


def _attempts(payloads: Sequence[Payload]) -> dict[int, int]:
    """Which attempt of its operation each payload is, by ``id``.

    Retries and fallbacks share a trace. A success knows how many went before it in its own group; of
    failures nothing is said, so those in a row before it, in this batch, are counted as well.
    """
    found: dict[int, int] = {}
    failed: Counter[str] = Counter()
    for one in sorted(payloads, key=lambda payload: str(payload.start)):
        trace = one.trace_id or ""
        headers = (one.hidden_params and one.hidden_params.additional_headers) or {}
        told = sum(_whole(headers.get(name)) for name in names.ATTEMPT_HEADERS)
        found[id(one)] = 1 + max(failed[trace] if trace else 0, told)
        if one.status == names.FAILURE:
            failed[trace] += 1
        else:
            failed[trace] = 0
    return found


def _event(payload: Payload, attempt: int) -> dict[str, Any]:
    started, ended = _milliseconds("startTime", payload.start), _milliseconds("endTime", payload.end)
    metadata = payload.metadata
    usage = metadata.usage_object or Usage()
    has_failed = payload.status == names.FAILURE
    error = (payload.error_information and payload.error_information.error_class) or ""
    provider, model = names.provider_and_model(payload.custom_llm_provider or "", payload.model)
    answer = _answer(payload.response)
    if answer.model and provider in names.NAME_SNAPSHOTS and answer.model != payload.model_group:
        model = names.provider_and_model(payload.custom_llm_provider or "", answer.model)[1]
    said = names.Said.of(
        metadata.requester_custom_headers, metadata.spend_logs_metadata, payload.request_tags
    )
    from_cache = payload.cache_hit is True or str(payload.cache_hit).lower() == "true"
    operation = names.operation(payload.call_type or "")
    # What was made before was paid for then.
    is_paid = operation == names.RETRIEVED
    counts: dict[str, Any] = {"input_tokens": 0} if is_paid else _usage(payload, usage)
    if operation in names.CHARGED and not (has_failed or from_cache or any(counts.values())):
        counts["units"] = {UNTOLD: Decimal(1)}
    event: dict[str, Any] = {
        **said.names,
        "event_id": _event_id(payload, has_failed=has_failed),
        "occurred_at": ended,
        "provider": provider,
        "model": model,
        "usage": counts,
        "duration_ms": max(ended - started, 0),
        "operation": operation,
        "attempt": attempt,
        "status": names.status(error) if has_failed else "success",
    }
    breakdown = payload.cost_breakdown or Breakdown()
    # The key's own team was checked by the proxy; what a request says of itself was not.
    own_team = metadata.user_api_key_team_alias or metadata.user_api_key_team_id
    optional = {
        "model_requested": payload.model_group,
        "region": names.region(usage.inference_geo),
        "service_tier": names.service_tier(answer.service_tier, usage.service_tier, breakdown.service_tier),
        "speed": usage.speed if usage.speed in names.SPEEDS else None,
        "team": names.slug(own_team) if own_team else None,
        "end_user": payload.end_user or metadata.user_api_key_end_user_id or metadata.user_api_key_user_id,
        "session_id": payload.session_id,
        "trace_id": payload.trace_id,
        "error_type": error if has_failed else None,
        "response_cache": "hit" if from_cache else None,
        "tags": names.with_key(
            said.tags,
            key_alias=metadata.user_api_key_alias,
            organisation=metadata.user_api_key_org_id,
            team=own_team,
        ),
        "reported_cost": _cost(payload.response_cost),
    }
    event |= {name: value for name, value in optional.items() if value}
    if payload.stream and payload.first_token is not None:
        event["ttft_ms"] = max(_milliseconds("completionStartTime", payload.first_token) - started, 0)
    return event


def _answer(response: Raw) -> Answer:
    """Of an answer that is no object, such as one that the proxy was told to redact, nothing."""
    try:
        return _decode_answer(response)
    except msgspec.MsgspecError:
        return Answer()


def _event_id(payload: Payload, *, has_failed: bool) -> str:
    """The proxy's own id of the call, never ``id``, which is the provider's.

    The attempts of one request share it, and only one of them succeeds: a failed one is told apart by
    when it began. Versions without such an id are told apart by what they say of a call.
    """
    call_id = payload.call_id or payload.litellm_call_id
    if not call_id:
        said = (payload.id, payload.call_type, payload.start, payload.end)
        digest = _digest(*said, payload.metadata.user_api_key_hash, payload.total_tokens)
        return f"litellm-{digest}"
    return f"{call_id}~{_digest(payload.start, payload.end, payload.model)[:16]}" if has_failed else call_id


def _digest(*parts: object) -> str:
    return xxh3_128_hexdigest(msgspec.json.encode(parts))


def usage_of(told: Mapping[str, Any]) -> dict[str, Any]:  # Any: as parsed
    """An event's usage from the usage object that LiteLLM makes of every provider's.

    Raises msgspec.ValidationError for an object of another shape.
    """
    usage = msgspec.convert(told, Usage)
    return _counts(usage, usage.prompt_tokens, usage.completion_tokens)


def _usage(payload: Payload, usage: Usage) -> dict[str, Any]:
    return _counts(
        usage,
        payload.prompt_tokens if usage.prompt_tokens is None else usage.prompt_tokens,
        payload.completion_tokens if usage.completion_tokens is None else usage.completion_tokens,
    )


def _counts(usage: Usage, prompt: int | None, completion: int | None) -> dict[str, Any]:
    given = usage.prompt_tokens_details or PromptDetails()
    made = usage.completion_tokens_details or CompletionDetails()
    cached = given.cached_tokens_details or CachedParts()
    creation = given.cache_creation_token_details or usage.cache_creation or CacheCreation()
    counts = {
        "input_tokens": prompt,
        "output_tokens": completion,
        "cache_read_tokens": _largest(usage.cache_read_input_tokens, given.cached_tokens),
        "cache_write_tokens": _largest(
            usage.cache_creation_input_tokens, given.cache_creation_tokens, given.cache_write_tokens
        ),
        "cache_write_1h_tokens": creation.ephemeral_1h_input_tokens,
        "reasoning_tokens": made.reasoning_tokens,
        "audio_input_tokens": given.audio_tokens,
        "audio_cached_tokens": cached.audio_tokens,
        "audio_output_tokens": made.audio_tokens,
        "image_input_tokens": given.image_tokens,
        "image_cached_tokens": cached.image_tokens,
        "image_output_tokens": made.image_tokens,
    }
    found: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}
    tools = usage.server_tool_use or ToolUse()
    if searches := _largest(tools.web_search_requests, given.web_search_requests):
        found["units"] = {"web_search_calls": Decimal(searches)}
    return found


def _largest(*counts: int | None) -> int | None:
    """The largest of the spellings of one count: where one is left at zero, the other has it."""
    told = [count for count in counts if count is not None]
    return max(told) if told else None


def _cost(amount: Decimal | None) -> Mapping[str, Any] | None:
    """What LiteLLM believes that it cost, in dollars; None where it has no price, which it calls zero."""
    if not amount or not amount.is_finite() or amount < 0:
        return None
    return {"amount": amount.quantize(_COST_PLACES).normalize(), "currency": "USD"}


def _milliseconds(name: str, time: float | str) -> int:
    """Since 1970, from seconds or RFC 3339. Raises InvalidInput."""
    try:
        if isinstance(time, str):
            return round(names.instant(time).timestamp() * 1000)
        return round(time * 1000)
    except (ValueError, OverflowError):
        message = "Expected seconds since 1970, or an RFC 3339 time with an offset."
        raise InvalidInput.field(name, "invalid_time", message) from None


def _whole(value: Any) -> int:  # Any: a header as logged
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
