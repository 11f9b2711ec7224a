"""Check what must always hold; exit code 1 when something does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from attribution.verification import Check, verify


class Command(BaseCommand):
    """Prints one line a check, and a few examples of what breaks it."""

    help = "Check the invariants of the books; exits with 1 when one does not hold."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            help="compare single calls of the last so many days only (default: all there are)",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: as Django types a command
        days = options["days"]
        since = (datetime.now(UTC) - timedelta(days=days)).date() if days else None
        self.stdout.write(f"{'':6} {'checked':>12} {'failed':>8}  what must hold")
        report = verify(raw_since=since, notice=self._print)
        if not report.passed:
            raise SystemExit(1)
        self.stdout.write("The books hold.")

    def _print(self, check: Check) -> None:
        word = self.style.ERROR("FAILED") if check.failed else self.style.SUCCESS("ok    ")
        self.stdout.write(f"{word} {check.checked:12,} {check.failed:8,}  {check.name}")
        for example in check.examples:
            self.stdout.write(f"{'':30}{example}")
