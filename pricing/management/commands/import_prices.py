"""``manage.py import_prices``: a draft out of a sheet or the library; nothing is applied."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from finops.core.errors import FinopsError
from pricing import imports
from pricing.diffs import Diff, diff
from pricing.drafts import NothingChanged
from pricing.models import BookVersion

_BY = "manage.py import_prices"
_MOST_LINES = 50


class Command(BaseCommand):
    help = "Makes a draft of the price book out of a CSV or JSON sheet, or of genai-prices. Applies nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", nargs="?", type=Path, help="A .csv or .json sheet; see pricing/README.md."
        )
        parser.add_argument("--library", action="store_true", help="What the package genai-prices lists.")
        parser.add_argument(
            "--from",
            dest="apply_from",
            type=_day,
            help="First day (UTC) of prices that are not dated; tomorrow unless said.",
        )
        parser.add_argument(
            "--complete", action="store_true", help="What the sheet does not list of its providers ends."
        )
        parser.add_argument("--provider", action="append", default=[], help="With --library: only these.")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature
        try:
            version = self._import(options)
        except NothingChanged as nothing:
            self.stdout.write(nothing.detail)
            return
        except FinopsError as error:
            told = [f"{problem.field}: {problem.message}" for problem in error.problems] or [error.detail]
            raise CommandError("\n".join(told)) from error
        self._tell(version, diff(version))

    def _import(self, options: dict[str, Any]) -> BookVersion:
        path, apply_from = options["file"], options["apply_from"] or imports.next_midnight(timezone.now())
        if (path is None) != options["library"]:
            raise CommandError("Give a file, or --library.")
        if options["library"]:
            return imports.import_library(by=_BY, apply_from=apply_from, providers=options["provider"])
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        return imports.import_sheet(
            content,
            name=path.name,
            by=_BY,
            apply_from=apply_from,
            is_json=path.suffix.lower() == ".json",
            is_complete=options["complete"],
        )

    def _tell(self, version: BookVersion, changed: Diff) -> None:
        counts = ", ".join(f"{number} {kind}" for kind, number in changed.counts.items())
        self.stdout.write(f"Draft {version.pk} of the price book: {counts}.")
        for change in changed.changes[:_MOST_LINES]:
            self.stdout.write(f"  {change.kind.value}: {change.words}, {change.when}")
        if (more := len(changed.changes) - _MOST_LINES) > 0:
            self.stdout.write(f"  and {more} more")
        if version.note:
            self.stdout.write(version.note)
        if waiting := version.blocks.count():
            self.stdout.write(f"{waiting} findings must be acknowledged before it is reviewed.")


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
