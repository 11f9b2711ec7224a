"""One event decoded by itself: content dropped, unknown fields named, the broken rule in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from attribution.ingest.schema import CONTENT_FIELDS, Event
from finops.core.errors import FieldProblem, InvalidInput

_FIELDS = frozenset(Event.__struct_fields__)
_PATH = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")
_NAMED = re.compile(r"field `(?P<name>[^`]*)`")
_LONGEST_FIELD_NAME = 64
_LONGEST_KEPT_TEXT = 128

# (what msgspec says, our code, in our words; None keeps its own)
_CODES: tuple[tuple[str, str, str | None], ...] = (
    ("missing required field", "required", "This field is required."),
    ("unknown field", "unknown_field", "This field is not known here, and a quantity is never ignored."),
    ("timezone component", "naive_time", "A time needs an offset, such as 2026-10-01T12:00:00Z."),
    ("Invalid RFC3339", "invalid_time", "Expected an RFC 3339 time with an offset, or epoch milliseconds."),
    ("Number out of range", "out_of_range", "The number is out of range."),
    ("Invalid enum value", "not_a_choice", None),
    ("matching regex", "invalid_characters", None),
    ("of length <=", "too_long", None),
    ("of length >=", "too_short", None),
    (" >= ", "out_of_range", None),
    (" <= ", "out_of_range", None),
    ("got `decimal`", "not_an_integer", "Expected a whole number."),
    (", got ", "wrong_type", None),
)


class Unreadable(InvalidInput):
    """A record of a file that is no event, with what it said."""

    def __init__(self, error: InvalidInput, said: Mapping[str, Any]) -> None:  # Any: cells
        super().__init__(error.detail, error.problems)
        self.said = said


@dataclass(slots=True)
class Decoded:
    """An event, or the problem that it has."""

    event: Event | None = None
    problem: FieldProblem | None = None
    event_id: str | None = None
    content_dropped: int = 0
    unknown_fields: list[str] = field(default_factory=list)
    # What a bad one said in known fields, briefly, for the quarantine.
    said: dict[str, Any] = field(default_factory=dict)


def decode_one(item: Any, *, lax: bool = False) -> Decoded:  # Any: whatever the client sent
    """Decode untyped JSON into an event; ``lax`` reads numbers from text, as CSV has them."""
    if isinstance(item, InvalidInput):
        said = item.said if isinstance(item, Unreadable) else {}
        return Decoded(problem=item.problems[0], event_id=_shown_id(said.get("event_id")), said=brief(said))
    if not isinstance(item, dict):
        return Decoded(problem=FieldProblem("", "wrong_type", "Expected a JSON object."))
    decoded = Decoded(event_id=_shown_id(item.get("event_id")))
    known: dict[str, Any] = {}
    for name, value in item.items():
        if name in _FIELDS:
            if value is not None:
                known[name] = value
        elif name.lower() in CONTENT_FIELDS:
            decoded.content_dropped += 1
        else:
            decoded.unknown_fields.append(printable(name[:_LONGEST_FIELD_NAME]))
    if isinstance(usage := known.get("usage"), dict):
        known["usage"] = {name: value for name, value in usage.items() if value is not None}
    try:
        decoded.event = msgspec.convert(known, Event, strict=not lax)
    except (msgspec.ValidationError, ValueError) as error:
        decoded.problem = _problem(str(error))
        decoded.said = brief(known)
    return decoded


def brief(said: Mapping[str, Any]) -> dict[str, Any]:  # Any: whatever the client sent
    """Scalars only, cut short, two levels deep: nothing that could hold a prompt.

    A provider's whole answer may have been given as ``raw_usage``; it is left out.
    """
    kept: dict[str, Any] = {}
    for name, value in said.items():
        if name == "raw_usage" or name.lower() in CONTENT_FIELDS:
            continue
        if isinstance(value, dict):
            inner = {key: part for key, part in value.items() if not isinstance(part, dict)}
            kept[printable(name[:_LONGEST_FIELD_NAME])] = brief(inner)
        elif value is None or isinstance(value, bool | int | float | Decimal):
            kept[printable(name[:_LONGEST_FIELD_NAME])] = value
        elif isinstance(value, str):
            kept[printable(name[:_LONGEST_FIELD_NAME])] = printable(value[:_LONGEST_KEPT_TEXT])
    return kept


def printable(text: str) -> str:
    """The text with a mark in place of what neither PostgreSQL nor UTF-8 would take, or nobody could read."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _problem(message: str) -> FieldProblem:
    message = printable(message)
    where = _PATH.search(message)
    path = where["path"] if where else ""
    text = message[: where.start()] if where else message
    said = ((code, words) for phrase, code, words in _CODES if phrase in text)
    code, words = next(said, ("invalid", None))
    if named := _NAMED.search(text):
        path = f"{path}.{named['name']}" if path else named["name"]
    return FieldProblem(path, code, words or f"{text}.")


def _shown_id(value: Any) -> str | None:  # Any: whatever the client sent
    return printable(value[:_LONGEST_KEPT_TEXT]) if isinstance(value, str) else None
