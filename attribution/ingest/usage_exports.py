"""Usage reports of OpenAI and Anthropic as events: one a bucket and group, for they know no single calls.

Such an event carries the sum of a bucket. It is told from a call by its operation, its tags count the
requests in it, and ``context_tokens`` keeps the sum from being priced as one enormous prompt.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

import msgspec
from xxhash import xxh3_128_hexdigest

from attribution.ingest.decoding import Unreadable
from attribution.ingest.schema import MOST_TOKENS
from finops.core.errors import InvalidInput
from finops.core.meters import INPUT_METERS, Meter, split

Record = Any  # a dict as read, one in the shape of an event, or an InvalidInput
Row = Mapping[str, Any]

OPERATION = "usage_report"
SECONDS = "report.seconds"  # the tag that says how long the bucket is; its middle is the event's time
# Each bucket ends within a day of its start: the middle is in the same day for nearly every time zone.
_DAY = timedelta(days=1)
_NO_REGION = (None, "global", "not_available")  # the last: of models that can be asked for none
_NO_CONTEXT = 1  # of any size, within the first band of prices
_CONTEXTS = {"0-200k": 200_000, "<=200k": 200_000, "200k-1M": 1_000_000, ">200k": 1_000_000}
_OPENAI_KEYS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source")
_ANTHROPIC_KEYS = (
    "account_id",
    "api_key_id",
    "context_window",
    "inference_geo",
    "model",
    "service_account_id",
    "service_tier",
    "speed",
    "workspace_id",
)
# How the Console's CSV calls what the API calls otherwise.
_CONSOLE = {
    "usage_date_utc": "starting_at",
    "model_version": "model",
    "api_key": "api_key_id",
    "workspace": "workspace_id",
    "usage_type": "service_tier",
    "usage_input_tokens_no_cache": "uncached_input_tokens",
    "usage_input_tokens_cache_write_5m": "cache_creation.ephemeral_5m_input_tokens",
    "usage_input_tokens_cache_write_1h": "cache_creation.ephemeral_1h_input_tokens",
    "usage_input_tokens_cache_read": "cache_read_input_tokens",
    "usage_output_tokens": "output_tokens",
    "web_search_count": "server_tool_use.web_search_requests",
}
_OF_TOKENS = ("organization.usage.completions.result", "organization.usage.embeddings.result")


@dataclass(frozen=True, slots=True)
class _Bucket:
    start: datetime
    end: datetime

    @property
    def middle(self) -> datetime:
        return self.start + (self.end - self.start) / 2


def openai_events(records: Iterable[Record]) -> Iterator[Record]:
    """From ``GET /v1/organization/usage/completions`` or ``/embeddings``, or the dashboard's CSV."""
    for row in _rows(records):
        yield from _told(row, _openai)


def anthropic_events(records: Iterable[Record]) -> Iterator[Record]:
    """From ``GET /v1/organizations/usage_report/messages``, or the Console's CSV."""
    for row in _rows(records):
        yield from _told(row, _anthropic)


def _told(row: Record, read: Any) -> Iterator[Record]:  # Any: one of the two readers
    if not isinstance(row, dict):
        yield row
        return
    try:
        yield from read(row)
    except InvalidInput as error:
        yield Unreadable(error, row)


def _rows(records: Iterable[Record]) -> Iterator[Record]:
    """Pages, buckets or rows, whichever the file has, as rows that know their bucket."""
    for record in records:
        if not isinstance(record, dict):
            yield record
        elif isinstance(pages := record.get("data"), list):
            yield from _rows(pages)
        elif isinstance(results := record.get("results"), list):
            bucket = {name: record.get(name) for name in _BOUNDS if record.get(name) is not None}
            for row in results:
                yield {**bucket, **row} if isinstance(row, dict) else row
        else:
            yield record


_BOUNDS = ("start_time", "end_time", "starting_at", "ending_at")


def _openai(row: Row) -> Iterator[Record]:
    what = row.get("object") or _OF_TOKENS[0]
    if what not in _OF_TOKENS:
        raise InvalidInput.field("object", "no_tokens", f"{str(what)[:64]} does not report tokens.")
    bucket = _bucket(row.get("start_time"), row.get("end_time"))
    requests = _count(row, "num_model_requests")
    total = _count(row, "input_tokens")
    is_batch = str(row.get("batch")).lower() == "true"
    tokens = {
        "input_tokens": total,
        "cache_read_tokens": _count(row, "input_cached_tokens"),
        "cache_write_tokens": _count(row, "input_cache_write_tokens"),
        "output_tokens": _count(row, "output_tokens"),
        "audio_output_tokens": _count(row, "output_audio_tokens"),
        "image_output_tokens": _count(row, "output_image_tokens"),
        **_modalities(row),
    }
    yield from _events(
        {
            "provider": "openai",
            "model": _model(row),
            "occurred_at": bucket.middle.isoformat(),
            "processing": "batch" if is_batch else "sync",
            "service_tier": _text(row, "service_tier"),
            "end_user": _text(row, "user_id"),
            # Of the sizes of its calls nothing is said but their mean.
            "context_tokens": ceil(total / requests) if requests else _NO_CONTEXT,
        },
        tokens,
        Decimal(0),
        keys=_keys(row, bucket, _OPENAI_KEYS),
        prefix="openai-usage",
        tags=_tags(row, bucket, requests, ("project_id", "project_name", "api_key_id")),
    )


def _modalities(row: Row) -> dict[str, int]:
    """Audio and image input with what was read from a cache, which the report counts apart."""
    audio, image = _count(row, "input_audio_tokens"), _count(row, "input_image_tokens")
    is_split = any(
        row.get(name) not in (None, "")
        for name in ("input_uncached_tokens", "input_text_tokens", "input_cached_audio_tokens")
    )
    if audio and not is_split:
        message = "An old report, which does not say whether input_tokens includes audio: fetch it again."
        raise InvalidInput.field("input_audio_tokens", "ambiguous", message)
    cached_audio, cached_image = (
        _count(row, "input_cached_audio_tokens"),
        _count(row, "input_cached_image_tokens"),
    )
    return {
        "audio_input_tokens": audio + cached_audio,
        "audio_cached_tokens": cached_audio,
        "image_input_tokens": image + cached_image,
        "image_cached_tokens": cached_image,
    }


def _anthropic(row: Row) -> Iterator[Record]:
    row = {_CONSOLE.get(name, name): value for name, value in row.items()}
    bucket = _bucket(row.get("starting_at"), row.get("ending_at"))
    read = _count(row, "cache_read_input_tokens")
    one_hour = _count(row, "cache_creation.ephemeral_1h_input_tokens")
    written = one_hour + _count(row, "cache_creation.ephemeral_5m_input_tokens")
    context = str(row.get("context_window") or "").replace("≤", "<=").replace(" ", "")
    if context and context not in _CONTEXTS:
        message = f"Expected one of {', '.join(_CONTEXTS)}."
        raise InvalidInput.field("context_window", "not_a_choice", message)
    geo = _text(row, "inference_geo")
    yield from _events(
        {
            "provider": "anthropic",
            "model": _model(row),
            "occurred_at": bucket.middle.isoformat(),
            "service_tier": _text(row, "service_tier"),
            "speed": _text(row, "speed"),
            "region": None if geo in _NO_REGION else geo,
            "context_tokens": _CONTEXTS.get(context, _NO_CONTEXT),
        },
        {
            "input_tokens": _count(row, "uncached_input_tokens") + read + written,
            "cache_read_tokens": read,
            "cache_write_tokens": written,
            "cache_write_1h_tokens": one_hour,
            "output_tokens": _count(row, "output_tokens"),
        },
        Decimal(_count(row, "server_tool_use.web_search_requests")),
        keys=_keys(row, bucket, _ANTHROPIC_KEYS),
        prefix="anthropic-usage",
        tags=_tags(
            row,
            bucket,
            0,
            ("workspace_id", "api_key_id", "account_id", "service_account_id", "context_window"),
        ),
    )


def _events(
    event: dict[str, Any],
    tokens: Mapping[str, int],
    searches: Decimal,
    *,
    keys: bytes,
    prefix: str,
    tags: dict[str, str],
) -> Iterator[Record]:
    """The event of one row; several where it has more tokens than an event may say."""
    parts = max(1, ceil(max(tokens.values()) / MOST_TOKENS))
    digest = xxh3_128_hexdigest(keys)
    for part, usage in enumerate(shares(tokens, parts)):
        units = {"web_search_calls": searches} if searches and not part else {}
        yield {
            **{name: value for name, value in event.items() if value is not None},
            "event_id": f"{prefix}-{digest}" + (f"-{part + 1}" if part else ""),
            "operation": OPERATION,
            "usage": {**usage, **({"units": units} if units else {})},
            "tags": tags,
        }


def shares(tokens: Mapping[str, int], parts: int) -> Iterator[dict[str, int]]:
    """The tokens in equal parts that add up to them, meter by meter, so no subset outgrows its total."""
    if parts == 1:
        yield dict(tokens)
        return
    given = {name: tokens.get(name, 0) for name in _USAGE}
    meters = split(**given)
    for part in range(parts):
        share = {meter: count // parts + (part < count % parts) for meter, count in meters.items()}
        yield {
            "input_tokens": sum(share[meter] for meter in INPUT_METERS),
            "cache_read_tokens": share[Meter.CACHE_READ]
            + share[Meter.AUDIO_CACHED]
            + share[Meter.IMAGE_CACHED],
            "cache_write_tokens": share[Meter.CACHE_WRITE] + share[Meter.CACHE_WRITE_1H],
            "cache_write_1h_tokens": share[Meter.CACHE_WRITE_1H],
            "output_tokens": sum(count for meter, count in share.items() if meter not in INPUT_METERS),
            "reasoning_tokens": share[Meter.REASONING],
            "audio_input_tokens": share[Meter.AUDIO_INPUT] + share[Meter.AUDIO_CACHED],
            "audio_cached_tokens": share[Meter.AUDIO_CACHED],
            "audio_output_tokens": share[Meter.AUDIO_OUTPUT],
            "image_input_tokens": share[Meter.IMAGE_INPUT] + share[Meter.IMAGE_CACHED],
            "image_cached_tokens": share[Meter.IMAGE_CACHED],
            "image_output_tokens": share[Meter.IMAGE_OUTPUT],
        }


_USAGE = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_cached_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_cached_tokens",
    "image_output_tokens",
)


def _bucket(start: Any, end: Any) -> _Bucket:  # Any: epoch seconds or texts
    """Raises InvalidInput for bounds that are none, and for a bucket that is still filling."""
    began = _instant("start_time", start)
    ended = began + _DAY if end in (None, "") else _instant("end_time", end)
    if not began < ended <= began + _DAY:
        message = "Expected an end after the start, at most a day later."
        raise InvalidInput.field("end_time", "out_of_range", message)
    if ended.timestamp() > time.time():
        raise InvalidInput.field(
            "end_time", "not_complete", "The bucket is not over: its numbers will still change."
        )
    return _Bucket(began, ended)


def _instant(name: str, value: Any) -> datetime:  # Any: a cell
    try:
        if isinstance(value, str) and not value.isdigit():
            found = datetime.fromisoformat(value)
            # Both say UTC where they give a date alone.
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        return datetime.fromtimestamp(int(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise InvalidInput.field(
            name, "invalid_time", "Expected seconds since 1970, or an ISO 8601 time."
        ) from None


def _count(row: Row, path: str) -> int:
    """A whole number by its path, or by the path as a column's name; absent is zero."""
    value: Any = row.get(path)
    if value is None and "." in path:
        outer, _, inner = path.partition(".")
        nested = row.get(outer)
        value = nested.get(inner) if isinstance(nested, dict) else None
    if value is None or value == "":
        return 0
    try:
        number = Decimal(str(value))
        if isinstance(value, bool) or number < 0 or number != int(number):
            raise ValueError
    except (ValueError, ArithmeticError):
        raise InvalidInput.field(path, "not_an_integer", "Expected a whole number from 0.") from None
    return int(number)


def _model(row: Row) -> str:
    if model := _text(row, "model"):
        return model
    raise InvalidInput.field("model", "required", "Without its model a row has no price: group by model.")


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    return str(value) if value not in (None, "") else None


def _keys(row: Row, bucket: _Bucket, names: Iterable[str]) -> bytes:
    """What tells a row from every other of any report of this kind, whatever it counts."""
    said = [bucket.start.astimezone(UTC).isoformat(), bucket.end.astimezone(UTC).isoformat()]
    said += [f"{name}={value}" for name in names if (value := _text(row, name)) is not None]
    return msgspec.json.encode(said)


def _tags(row: Row, bucket: _Bucket, requests: int, names: Iterable[str]) -> dict[str, str]:
    said = {name: str(row[name])[:256] for name in names if row.get(name) not in (None, "")}
    width = int((bucket.end - bucket.start).total_seconds())
    return {
        SECONDS: str(width),
        **({"report.requests": str(requests)} if requests else {}),
        **said,
    }
