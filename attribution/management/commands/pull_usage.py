"""``manage.py pull_usage``: a provider's usage and cost reports, read by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from attribution.pullers.providers import PROVIDERS, provider_of
from attribution.pullers.pulling import pull, pull_due
from finops.core.errors import FinopsError


class Command(BaseCommand):
    """The worker does the same by itself, hourly, once an admin key is configured."""

    help = "Read a provider's usage and cost reports and book what no client told of. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", required=True, choices=PROVIDERS)
        parser.add_argument("--from", dest="first", type=date.fromisoformat, help="First UTC day.")
        parser.add_argument("--to", dest="end", type=date.fromisoformat, help="The day after the last.")

    def handle(  # Any: as Django has it
        self, *_: Any, provider: str, first: date | None, end: date | None, **__: Any
    ) -> None:
        asked = provider_of(provider)
        if (first is None) != (end is None):
            raise CommandError("Give --from and --to, or neither: then what is due is read.")
        try:
            done = pull(asked, first, end) if first and end else pull_due(asked)
        except FinopsError as error:
            raise CommandError(error.detail) from error
        for report, rows in done.rows.items():
            self.stdout.write(f"{report}: {rows} rows new or changed")
        booked = done.booked
        self.stdout.write(
            f"{booked.days} days booked with {booked.events} events, {booked.held} held, "
            f"{booked.differing} booked before differ now"
        )
