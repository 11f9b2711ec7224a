"""From the bytes of a body to events: JSON, arrays, NDJSON, CloudEvents.

A body is decoded whole and typed. Only when that fails (a bad event, a prompt sent along, an unknown
field) is it decoded again without types and looked at event by event, so that one bad event never
costs the others.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from attribution.ingest.bodies import UnsupportedMedia
from attribution.ingest.decoding import brief, decode_one, printable
from attribution.ingest.schema import Envelope, Event
from finops.core.errors import FieldProblem, InvalidInput, TooLarge

MOST_EVENTS = 10_000

_LINES = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
_CLOUD_EVENT = "application/cloudevents+json"
_CLOUD_EVENTS = "application/cloudevents-batch+json"
# What curl and browsers say when nobody told them otherwise is taken for JSON.
_JSON = {"", "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded"}

_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_array = msgspec.json.Decoder(list[Event]).decode
_decode_lines = msgspec.json.Decoder(Event).decode_lines


@dataclass(slots=True)
class Rejection:
    """One event that was not taken, and the rule that it breaks."""

    index: int
    event_id: str | None
    problem: FieldProblem
    said: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {"index": self.index, "event_id": self.event_id, **self.problem.as_dict()}


@dataclass(slots=True)
class Arrivals:
    """The events of one body, each with its place in it, and what was left out."""

    events: list[Event] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    content_dropped: int = 0
    unknown_fields: Counter[str] = field(default_factory=Counter)
    is_plain: bool = False  # proved to hold printable ASCII only, by its bytes

    def reject(self, place: int, problem: FieldProblem) -> None:
        """Note that the event at ``place`` of ``events`` is not taken; ``keep`` removes it."""
        event = self.events[place]
        said = brief(msgspec.to_builtins(event))
        self.rejected.append(Rejection(self.index[place], printable(event.event_id), problem, said))

    def keep(self, sound: list[bool]) -> None:
        """Leave only the events at the places marked so."""
        self.events = [event for event, kept in zip(self.events, sound, strict=True) if kept]
        self.index = [index for index, kept in zip(self.index, sound, strict=True) if kept]


def parse(body: bytes, content_type: str) -> Arrivals:
    """The events of a body.

    Raises InvalidInput for a body that is no JSON or has no events in it, TooLarge for more than
    ``MOST_EVENTS``, UnsupportedMedia for a content type that is not understood.
    """
    media = content_type.partition(";")[0].strip().lower()
    body = body.removeprefix(BOM_UTF8)
    if media in _LINES:
        arrivals = _typed(_decode_lines, body) or _one_by_one(_lines(body))
    elif media == _CLOUD_EVENTS:
        arrivals = _one_by_one(map(_from_cloud_event, _array(exact_json(body), "a batch of CloudEvents")))
    elif media == _CLOUD_EVENT:
        arrivals = _one_by_one([_from_cloud_event(exact_json(body))])
    elif media in _JSON:
        arrivals = _json(body)
    else:
        message = "Content-Type must be application/json, application/x-ndjson or a CloudEvents type."
        raise UnsupportedMedia(message, [FieldProblem("Content-Type", "unsupported", message)])
    _check_size(len(arrivals.events) + len(arrivals.rejected))
    return arrivals


def from_records(records: Iterable[Any], *, lax: bool = False) -> Arrivals:  # Any: as decoded
    """Events that were decoded elsewhere; ``lax`` reads numbers from text, as CSV has them."""
    if not lax and isinstance(records, list):
        try:
            return Arrivals(msgspec.convert(records, list[Event]), list(range(len(records))))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
    return _one_by_one(records, lax=lax)


def _json(body: bytes) -> Arrivals:
    if body.lstrip()[:1] == b"[":
        return _typed(_decode_array, body) or _one_by_one(_array(exact_json(body), "an array of events"))
    if arrivals := _typed(_events_of_envelope, body):
        return arrivals
    whole = exact_json(body)
    if not isinstance(whole, dict) or "events" not in whole:
        raise InvalidInput.field("events", "required", 'Expected {"events": [...]} or an array of events.')
    return _one_by_one(_array(whole["events"], '"events" to be an array'))


def _typed(decode: Callable[[bytes], list[Event]], body: bytes) -> Arrivals | None:
    try:
        events = decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return Arrivals(events, list(range(len(events))), is_plain=_is_plain(body))


def _events_of_envelope(body: bytes) -> list[Event]:
    return _decode_envelope(body).events


def _is_plain(body: bytes) -> bool:
    """Whether no text in it can hold a control character: JSON has them only as escapes, save DEL."""
    return body.isascii() and b"\\" not in body and b"\x7f" not in body


def _one_by_one(items: Iterable[Any], *, lax: bool = False) -> Arrivals:  # Any: what the client sent
    arrivals = Arrivals()
    for index, item in enumerate(items):
        _check_size(index + 1)
        decoded = decode_one(item, lax=lax)
        arrivals.content_dropped += decoded.content_dropped
        arrivals.unknown_fields.update(decoded.unknown_fields)
        if decoded.event is None:
            assert decoded.problem is not None
            rejection = Rejection(index, decoded.event_id, decoded.problem, decoded.said)
            arrivals.rejected.append(rejection)
        else:
            arrivals.events.append(decoded.event)
            arrivals.index.append(index)
    return arrivals


def exact_json(body: bytes) -> Any:  # Any: JSON
    """Exact numbers, and NaN let through so that only the item that has it is refused.

    Raises InvalidInput for a body that is no JSON.
    """
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=Decimal)
    except RecursionError:
        raise InvalidInput.field("body", "malformed", "The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise InvalidInput.field("body", "malformed", "The body is not UTF-8.") from None
    except ArithmeticError:
        raise InvalidInput.field("body", "malformed", "The body has a number beyond all bounds.") from None
    except ValueError as error:
        raise InvalidInput.field("body", "malformed", f"The body is not JSON: {error}.") from error


def _lines(body: bytes) -> Iterator[Any]:  # Any: JSON, or the error of a line
    for line in body.splitlines():
        if line.strip():
            try:
                yield exact_json(line)
            except InvalidInput as error:
                yield error


def _array(value: Any, expected: str) -> list[Any]:  # Any: JSON
    if not isinstance(value, list):
        raise InvalidInput.field("body", "wrong_type", f"Expected {expected}.")
    return value


def _from_cloud_event(item: Any) -> Any:  # Any: JSON
    """``id``, ``source`` and ``time`` of the envelope, the rest from ``data``."""
    if not isinstance(item, dict) or not isinstance(item.get("data"), dict):
        return InvalidInput.field("data", "required", "Expected a CloudEvent whose data is a JSON object.")
    outer = {"event_id": item.get("id"), "source": item.get("source"), "occurred_at": item.get("time")}
    return {**item["data"], **{name: value for name, value in outer.items() if value is not None}}


def _check_size(events: int) -> None:
    if events > MOST_EVENTS:
        message = f"More than {MOST_EVENTS} events: send them in several requests."
        raise TooLarge(message, [FieldProblem("events", "too_many", message)])
