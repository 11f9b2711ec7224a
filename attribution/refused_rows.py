"""Which rows of an import were refused and why: a list beside the uploaded file, for a person to download."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings

from attribution.ingest.bulk import Summary
from attribution.ingest.outcome import Outcome

MOST_LISTED = 100_000
_CONFLICT = ("event_id", "conflict", "Booked before with other content; the first was kept.")
Row = tuple[int, str, str, str, str]  # number of the record in its file, event id, field, code, message


class Listing:
    """Writes down what every batch was refused, in the order of the file, up to ``MOST_LISTED``."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._rows = csv.writer(file)
        self._room = MOST_LISTED

    def note(self, summary: Summary, outcome: Outcome) -> None:
        """One batch; ``summary`` has it counted already."""
        arrivals = outcome.arrivals
        before = summary.records - len(arrivals.events) - len(arrivals.rejected)
        found: list[Row] = []
        for one in arrivals.rejected:
            problem = one.problem
            row = (before + one.index + 1, one.event_id or "", problem.field, problem.code, problem.message)
            found.append(row)
        for place in outcome.conflicts:
            number = before + arrivals.index[place] + 1
            found.append((number, arrivals.events[place].event_id, *_CONFLICT))
        self._rows.writerows(sorted(found)[: self._room])
        self._room = max(self._room - len(found), 0)
        self._file.flush()


@contextmanager
def listing(import_id: int) -> Iterator[Listing]:
    """The list of an import, from the beginning again in every run."""
    path = _path(import_id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        yield Listing(file)


def of(import_id: int) -> Iterator[list[str]]:
    """What was listed; nothing where nothing was."""
    path = _path(import_id)
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.reader(file)


def _path(import_id: int) -> Path:
    return Path(settings.IMPORTS_DIR) / f"{import_id}.refused.csv"
