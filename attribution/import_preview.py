"""What the first rows of a file would become: read, judged and priced like any other, and nothing written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from attribution import contracts
from attribution.imports import layout_of, uploaded_file
from attribution.ingest.bulk import events_of
from attribution.ingest.files import SourceFile
from attribution.ingest.formats import FORMATS
from attribution.ingest.intake import read_changes
from attribution.ingest.native import Rejection, from_records
from attribution.ingest.report_periods import covered
from attribution.ingest.rules import broken_rule
from attribution.ingest.schema import Event
from attribution.ingest.times import instant, microseconds
from attribution.ingest.usage import settle_usage
from attribution.models import DataImport
from finops.core.meters import USAGE_FIELDS, Usage
from pricing.book import Book
from pricing.catalogue import published_book
from pricing.facts import Facts, normalise
from pricing.rating import Rating, rate_usage

ROWS = 20
_MOST_COLUMNS = 60
_ROWS_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the file: the call that it would be with its price, or why it would be refused."""

    number: int
    event: Event | None = None
    occurred_at: Any = None
    rating: Rating | None = None
    rejection: Rejection | None = None

    @property
    def input_tokens(self) -> int:
        """The inclusive total."""
        return max(self.event.usage.input_tokens, 0) if self.event and self.event.usage else 0

    @property
    def output_tokens(self) -> int:
        """The inclusive total."""
        return max(self.event.usage.output_tokens, 0) if self.event and self.event.usage else 0


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows, and the columns that the file has."""

    rows: Sequence[Row]
    columns: Sequence[str]
    unknown: Sequence[str]

    @property
    def cost(self) -> Decimal:
        """Contracted, of the rows that have a price."""
        return sum((row.rating.contracted_cost or Decimal(0) for row in self.rows if row.rating), Decimal(0))

    @property
    def refused(self) -> int:
        return sum(1 for row in self.rows if row.rejection)


def preview(chosen: DataImport) -> Preview:
    """Of a draft. Raises UnreadableFile, or InvalidInput where its layout names a field that is none."""
    form, layout = FORMATS[chosen.file_format], layout_of(chosen.options)
    columns = _columns(chosen) if form.read is None else []
    with SourceFile(uploaded_file(chosen), form.contents) as file:
        arrivals = from_records(islice(events_of(file, layout, form), ROWS), lax=True)
    for event in arrivals.events:
        event.source = event.source or chosen.options.get("source") or form.source
    read_changes()
    now_us = time.time_ns() // 1000
    book = published_book()
    sound: list[Row] = []
    problems = [settle_usage(event) or broken_rule(event, now_us=now_us) for event in arrivals.events]
    booked = iter(
        covered([event for event, problem in zip(arrivals.events, problems, strict=True) if not problem])
    )
    for place, event in enumerate(arrivals.events):
        if problem := problems[place] or next(booked):
            arrivals.reject(place, problem)
        else:
            sound.append(_priced(arrivals.index[place] + 1, event, book))
    refused = [Row(one.index + 1, rejection=one) for one in arrivals.rejected]
    rows = sorted([*sound, *refused], key=lambda row: row.number)
    return Preview(rows, columns, sorted(arrivals.unknown_fields))


def _columns(chosen: DataImport) -> list[str]:
    with SourceFile(uploaded_file(chosen), FORMATS[chosen.file_format].contents) as file:
        # An empty cell is left out of its record, so one row alone does not show all columns.
        first = [record for record in islice(file.records(), _ROWS_LOOKED_AT) if isinstance(record, dict)]
    return list(dict.fromkeys(str(name) for record in first for name in record))[:_MOST_COLUMNS]


def _priced(number: int, event: Event, book: Book) -> Row:
    assert event.usage is not None
    at_us = microseconds(event.occurred_at)
    facts = Facts(
        event.provider,
        event.model,
        event.host or "",
        event.region or "",
        event.service_tier or "",
        event.processing or "",
        event.speed or "",
        event.response_cache == "hit",
        event.account or contracts.book.accounts.get(event.source or "", ""),
    )
    counts = {name: max(getattr(event.usage, name), 0) for name in USAGE_FIELDS}
    rating = rate_usage(
        book.tariff(normalise(facts)),
        at=at_us // 1_000_000,
        usage=Usage(**counts),
        units=event.usage.units,
        prompt_tokens=event.context_tokens if event.context_tokens >= 0 else None,
    )
    return Row(number, event, instant(at_us), rating)
