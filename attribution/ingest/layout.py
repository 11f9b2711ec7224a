"""From the columns of somebody's file to an event: renamed, completed, moved in time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from attribution.ingest.schema import Event, Usage
from finops.core.errors import InvalidInput

_FIELDS = frozenset(Event.__struct_fields__)
_USAGE = frozenset(Usage.__struct_fields__) - {"units"}
_NESTED = ("usage.units", "usage", "tags", "reported_cost", "raw_usage")
_HAS_OFFSET = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d)$")
_MILLISECONDS = re.compile(r"\d{12,}")


@dataclass(frozen=True, slots=True)
class Layout:
    """How the records of one file are laid out.

    ``columns`` says which column holds a field, ``constants`` what a field always is; both name fields
    by path, such as ``usage.input_tokens`` or ``tags.project``. Columns that already bear a field's
    name need no mapping.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    assume_utc: bool = False

    def __post_init__(self) -> None:
        for path in (*self.columns, *self.constants):
            if _place(path) is None:
                raise InvalidInput.field(path, "unknown_field", f'"{path}" is not a field of an event.')

    def event(self, record: Mapping[str, Any]) -> dict[str, Any]:  # Any: cells of any type
        """The record in the shape of an event, not checked yet."""
        taken = set(self.columns.values())
        event: dict[str, Any] = {}
        for name, value in record.items():
            if name not in taken:
                # A name that is no field goes along, to be dropped and named.
                _put(event, _place(name) or (name,), value)
        for path, column in self.columns.items():
            if (value := record.get(column)) is not None:
                _put(event, _known_place(path), value)
        self.complete(event)
        event["occurred_at"] = self._instant(event.get("occurred_at"))
        return event

    def complete(self, event: dict[str, Any]) -> None:
        """Give an event its constants."""
        for path, constant in self.constants.items():
            _put(event, _known_place(path), constant)

    def _instant(self, value: Any) -> Any:  # Any: a cell
        """A time without an offset is one of UTC, if that was said; else it is refused later."""
        if isinstance(value, datetime):
            naive_is_utc = self.assume_utc and value.tzinfo is None
            return (value.replace(tzinfo=UTC) if naive_is_utc else value).isoformat()
        if not isinstance(value, str):
            return value
        text = value.strip()
        if _MILLISECONDS.fullmatch(text):
            return int(text)
        return f"{text}Z" if self.assume_utc and not _HAS_OFFSET.search(text) else text


def _place(path: str) -> tuple[str, ...] | None:
    """Where a field lies in an event; None for what is no field."""
    if path in _FIELDS:
        return (path,)
    if path in _USAGE:
        return ("usage", path)
    for parent in _NESTED:
        if path.startswith(f"{parent}.") and len(path) > len(parent) + 1:
            return (*parent.split("."), path[len(parent) + 1 :])
    return None


def _known_place(path: str) -> tuple[str, ...]:
    place = _place(path)
    assert place is not None
    return place


def _put(event: dict[str, Any], place: tuple[str, ...], value: Any) -> None:  # Any: a cell
    *parents, name = place
    for parent in parents:
        inner = event.setdefault(parent, {})
        if not isinstance(inner, dict):
            return
        event = inner
    event[name] = value
