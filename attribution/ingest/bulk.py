"""Bulk import: the records of a file through the same door as the API's, bad ones to the quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any

from attribution.ingest import quarantine, report_periods, writer
from attribution.ingest.files import SourceFile
from attribution.ingest.formats import FORMATS, Format
from attribution.ingest.intake import Sender, admit
from attribution.ingest.layout import Layout
from attribution.ingest.native import MOST_EVENTS, Arrivals, from_records
from attribution.ingest.outcome import Outcome

BATCH = 5_000
NATIVE = FORMATS["native"]


@dataclass(slots=True)
class Summary:
    """What became of the records of an import."""

    records: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    content_dropped: int = 0
    unknown_fields: set[str] = field(default_factory=set)

    def add(self, outcome: Outcome) -> None:
        """Count one batch."""
        arrivals = outcome.arrivals
        self.records += len(arrivals.events) + len(arrivals.rejected)
        self.accepted += outcome.accepted
        self.duplicates += outcome.duplicates
        self.conflicts += len(outcome.conflicts)
        self.quarantined += len(arrivals.rejected)
        self.content_dropped += arrivals.content_dropped
        self.unknown_fields.update(arrivals.unknown_fields)


def import_file(
    file: SourceFile,
    *,
    layout: Layout,
    sender: Sender,
    form: Format = NATIVE,
    shift: timedelta = timedelta(),
    batch: int = BATCH,
    import_id: int | None = None,
    told: Callable[[Summary, Outcome], object] = lambda _summary, _outcome: None,
) -> Summary:
    """Import one file; safe to repeat, for a record without an id gets one from the file's content.

    ``told`` hears of every batch, with the sums so far. Memory does not grow with the file. Raises
    UnreadableFile, or Unavailable when the database is away; what was written until then stays, and a
    repetition finds duplicates.
    """
    summary = Summary()
    for chunk in _chunks(events_of(file, layout, form), min(batch, MOST_EVENTS)):
        arrivals = from_records(chunk, lax=True)
        _move(arrivals, shift)
        post = admit(arrivals, sender)
        post.import_id = import_id
        report_periods.claim(post)
        post.identify()
        (outcome,) = writer.write([post])
        before = summary.records
        summary.add(outcome)
        quarantine.keep_invalid(
            (
                sender.source,
                rejection.event_id or ("" if rejection.said else _name(file, before + rejection.index + 1)),
                rejection.problem,
                rejection.said,
            )
            for rejection in arrivals.rejected
        )
        told(summary, outcome)
    return summary


def events_of(file: SourceFile, layout: Layout, form: Format = NATIVE) -> Iterator[Any]:
    """What the records of a file say, in the shape of events; an InvalidInput for each that says nothing."""
    # Any: an event to be, or InvalidInput
    if form.read is not None:
        for event in form.read(file.records()):
            if isinstance(event, dict):
                layout.complete(event)
            yield event
        return
    for number, record in enumerate(file.records(), start=1):
        if isinstance(record, dict):
            event = layout.event(record)
            if event.get("event_id") in (None, ""):
                event["event_id"] = _name(file, number)
            yield event
        else:
            yield record


def _name(file: SourceFile, number: int) -> str:
    """What tells a record that says no id from every other: its file's content, and its number in it."""
    return f"{file.fingerprint[:16]}-{number}"


def _chunks(records: Iterable[Any], size: int) -> Iterator[list[Any]]:  # Any: records
    iterator = iter(records)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _move(arrivals: Arrivals, shift: timedelta) -> None:
    for event in arrivals.events if shift else ():
        if isinstance(event.occurred_at, int):
            event.occurred_at += shift // timedelta(milliseconds=1)
        else:
            event.occurred_at += shift
