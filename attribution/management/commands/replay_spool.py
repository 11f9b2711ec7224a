"""``manage.py replay_spool``: what this host kept while the database was away, booked now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from attribution.ingest import spool_files, spool_replay


class Command(BaseCommand):
    """Web processes do this by themselves; for a host that runs none any more, and for set-aside records."""

    help = "Book what is in this host's spool. Exit code 1 when something is left in it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--set-aside", action="store_true", help="Try again what was set aside, too.")

    def handle(self, *_: Any, set_aside: bool, **__: Any) -> None:  # Any: as Django has it
        if set_aside:
            spool_files.take_back(settings.SPOOL_DIR)
        done = spool_replay.replay()
        self.stdout.write(f"{done.records} records, {done.events} events, {done.set_aside} set aside")
        if left := spool_files.segments(settings.SPOOL_DIR):
            raise CommandError(
                f"{len(left)} segments are left: the database is away, or web processes of this host "
                "are still writing or replaying."
            )
