"""Which attributes hold our names: our own, those instrumentations move them to, those mapped by hand."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError

from attribution.ingest.otlp.names import (
    AMBIGUOUS,
    FIELDS,
    METADATA,
    OURS,
    RESOURCE_WORDS,
    USUAL,
    Index,
)
from attribution.models.spans import SpanAttribute
from finops.core import outage


@dataclass(frozen=True, slots=True)
class Spellings:
    """For each of our names the attributes to look at, in order."""

    on_span: Mapping[str, tuple[str, ...]]
    on_resource: Mapping[str, tuple[str, ...]]
    span_index: Index
    resource_index: Index

    @classmethod
    def of(cls, mapped: Iterable[tuple[str, str]] = ()) -> Spellings:
        """``mapped`` are pairs of our name and another attribute that holds it, in order."""
        own: dict[str, tuple[str, ...]] = {name: _own_spellings(name) for name in OURS}
        more: dict[str, list[str]] = {name: [] for name in OURS}
        for name, attribute in mapped:
            more[name].append(attribute)
        on_span = {
            name: (*own[name], *more[name], *_in_metadata(name), *USUAL.get(name, ())) for name in OURS
        }
        on_resource = {name: (*own[name], *more[name], *RESOURCE_WORDS.get(name, ())) for name in OURS}
        return cls(on_span, on_resource, Index({**FIELDS, **on_span}), Index(on_resource))


def _own_spellings(name: str) -> tuple[str, ...]:
    """``finops.session`` and ``finops.session_id`` say the same."""
    short = name.removesuffix("_id")
    words = dict.fromkeys((name, short))
    return tuple(f"{place}{word}" for place in ("finops.", "baggage.finops.") for word in words)


def _in_metadata(name: str) -> tuple[str, ...]:
    words = (f"finops.{name}",) if name in AMBIGUOUS else (f"finops.{name}", name)
    return tuple(f"{place}{word}" for place in METADATA for word in words)


_LOOK_AGAIN_SECONDS = 5.0
_LOOK_UP_SECONDS = 3
_remembered: tuple[float, Spellings] | None = None


def current_spellings() -> Spellings:
    """With what people have mapped; this process looks again every few seconds.

    While the database is away, as it was last seen, or only our own where it never was.
    """
    global _remembered
    now = time.monotonic()
    if _remembered is None or now - _remembered[0] > _LOOK_AGAIN_SECONDS:
        try:
            with outage.watched(_LOOK_UP_SECONDS):
                _remembered = now, Spellings.of(SpanAttribute.objects.values_list("name", "attribute"))
        except (OperationalError, InterfaceError) as error:
            outage.note_away(error)
            return _remembered[1] if _remembered else Spellings.of()
    return _remembered[1]


def forget_spellings() -> None:
    """Look again at the next request."""
    global _remembered
    _remembered = None
