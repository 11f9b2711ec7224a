"""The kinds of files that are imported, and how each becomes events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from attribution.ingest import focus_rows, litellm, usage_exports
from attribution.ingest.files import Contents

Record = Any  # a dict, or the InvalidInput of a record that could not be read
# The attempts of one request are told from each other by those near them.
_LOGGED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file. ``read`` is None where a layout makes events of its records."""

    title: str
    contents: Contents
    read: Callable[[Iterable[Record]], Iterator[Record]] | None = None
    source: str = "import"  # of records that name none


def _logged(records: Iterable[Record]) -> Iterator[Record]:
    iterator = iter(records)
    while chunk := list(islice(iterator, _LOGGED_AT_ONCE)):
        yield from litellm.events_of(chunk)


FORMATS: Mapping[str, Format] = {
    "native": Format("Events, as the API takes them", Contents.LINES),
    "csv": Format("CSV with a header", Contents.CSV),
    "litellm": Format("LiteLLM log (StandardLoggingPayload)", Contents.LINES, _logged, "litellm"),
    "openai_usage": Format(
        "OpenAI usage report", Contents.DOCUMENTS, usage_exports.openai_events, "openai-usage-export"
    ),
    "anthropic_usage": Format(
        "Anthropic usage report", Contents.DOCUMENTS, usage_exports.anthropic_events, "anthropic-usage-export"
    ),
    "focus": Format(
        "FOCUS cost and usage (CSV or Parquet)", Contents.CSV, focus_rows.focus_events, "focus-import"
    ),
}
