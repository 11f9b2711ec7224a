"""``manage.py import_events``: calls from files, through the same door as the API's."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from attribution.imports import command_import
from attribution.ingest.bulk import BATCH, Summary
from attribution.ingest.files import SourceFile
from attribution.ingest.formats import FORMATS
from attribution.ingest.layout import Layout
from attribution.ingest.native import MOST_EVENTS
from finops.core.errors import FinopsError


class Command(BaseCommand):
    """Prints one line of counts a file. Exit code 1 only when a file cannot be read."""

    help = "Import calls from CSV, JSON, JSON lines or Parquet files (gzip, zstd), safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--format", choices=tuple(FORMATS), default="native")
        parser.add_argument(
            "--map", action="append", default=[], type=_pair, metavar="FIELD=COLUMN", dest="columns",
            help="Take a field from a column, such as usage.input_tokens=ContextTokens.",
        )  # fmt: skip
        parser.add_argument(
            "--set", action="append", default=[], type=_pair, metavar="FIELD=VALUE", dest="constants",
            help="Give a field the same value in every record, such as provider=openai.",
        )  # fmt: skip
        parser.add_argument("--source", help="Source of records that name none.")
        parser.add_argument("--shift-days", type=int, default=0, help="Move all times by whole days.")
        parser.add_argument("--assume-utc", action="store_true", help="Times without an offset are UTC.")
        parser.add_argument("--batch-size", type=_batch_size, default=BATCH, metavar="N")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: as Django has it
        if options["columns"] and FORMATS[options["format"]].read is not None:
            raise CommandError(
                "--map is for the formats native and csv: the others say themselves what is where."
            )
        try:
            layout = Layout(dict(options["columns"]), dict(options["constants"]), options["assume_utc"])
        except FinopsError as error:
            raise CommandError(error.detail) from error
        unread = [path for path in options["files"] if not self._import(path, layout, options)]
        if unread:
            raise CommandError(f"{len(unread)} of {len(options['files'])} files could not be read.")

    def _import(self, path: Path, layout: Layout, options: dict[str, Any]) -> bool:
        form = FORMATS[options["format"]]
        try:
            with (
                SourceFile(path, form.contents) as file,
                tqdm(total=file.size, unit="B", unit_scale=True, desc=path.name, file=sys.stderr) as bar,
            ):
                summary = command_import(
                    file,
                    file_format=options["format"],
                    layout=layout,
                    source=options["source"],
                    shift=timedelta(days=options["shift_days"]),
                    batch=options["batch_size"],
                    progress=lambda position: bar.update(position - bar.n),
                )
        except FinopsError as error:
            self.stderr.write(error.detail)
            return False
        self.stdout.write(_line(path, summary))
        return True


def _line(path: Path, summary: Summary) -> str:
    text = (
        f"{path}: {summary.records} records, {summary.accepted} accepted, {summary.duplicates} duplicates, "
        f"{summary.conflicts} conflicts, {summary.quarantined} in quarantine"
    )
    if summary.content_dropped:
        text += f", {summary.content_dropped} fields with content dropped"
    if summary.unknown_fields:
        text += f"; unknown columns ignored: {', '.join(sorted(summary.unknown_fields)[:20])}"
    return text


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        raise ValueError(f"{text!r} is not FIELD=VALUE")
    return name, value


def _batch_size(text: str) -> int:
    size = int(text)
    if not 1 <= size <= MOST_EVENTS:
        raise ValueError(f"{size} is not from 1 to {MOST_EVENTS}")
    return size
