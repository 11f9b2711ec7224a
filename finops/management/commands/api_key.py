"""Make an API key and print it, alone, on stdout."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from attribution import registry
from finops.accounts.keys import create_key
from finops.accounts.models import Scope
from finops.core.errors import FinopsError

ACTOR = "command"
LONGEST_LIFE_DAYS = 36_500


class Command(BaseCommand):
    """``KEY=$(manage.py api_key NAME --scope ingest)`` holds the key and nothing else."""

    help = "Make an API key. The key is printed alone on stdout, once: only its hash is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the key is for, such as ci or search-prod")
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            dest="scopes",
            metavar="SCOPE",
            help=f"what it may do; repeatable: {', '.join(Scope.values)}",
        )
        parser.add_argument("--team", default="", help="bind it to a team, which is registered if unknown")
        parser.add_argument("--source", default="", help="bind it to a source of events")
        parser.add_argument("--expires", type=int, metavar="DAYS", help="days until it stops working")

    def handle(self, **options: Any) -> None:  # Any: argparse's values
        days = options["expires"]
        if days is not None and not 1 <= days <= LONGEST_LIFE_DAYS:
            raise CommandError(f"--expires takes 1 to {LONGEST_LIFE_DAYS} days, not {days}.")
        try:
            with transaction.atomic():
                if options["team"]:
                    registry.ensure_team(options["team"], actor=ACTOR)
                key, secret = create_key(
                    options["name"],
                    options["scopes"],
                    actor=ACTOR,
                    team=options["team"],
                    source=options["source"],
                    expires_at=timezone.now() + timedelta(days=days) if days else None,
                )
        except FinopsError as error:
            raise CommandError(error.detail) from error
        bound = f", team {key.team}" if key.team else ""
        self.stderr.write(f"Made the key {key.name} ({', '.join(key.scopes)}{bound}). It is shown this once:")
        self.stdout.write(secret)
