"""Look booked calls up in the price book of now, and restate what lies elsewhere."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from attribution import restating
from attribution.reports import CostQuery, costs
from finops.core.money import as_text
from finops.core.periods import Period


class Command(BaseCommand):
    """Does by hand, for some days, what a re-rating and the worker do; prints what changed."""

    help = (
        "Price the booked calls of some days by the book as published now. Corrections of prices are"
        " previewed and approved as re-ratings; this finds calls that lie under another slot than they"
        " should."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="first", required=True, type=date.fromisoformat, metavar="DAY")
        parser.add_argument(
            "--to", dest="last", required=True, type=date.fromisoformat, metavar="DAY", help="not included"
        )
        parser.add_argument("--model", default="", help="of this model only")
        parser.add_argument("--dry-run", action="store_true", help="say what would change, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: as Django types a command
        first, last = options["first"], options["last"]
        if last <= first:
            raise CommandError("--to must come after --from")
        period = Period(first, last)
        with transaction.atomic():
            before = _cost(period)
            settled = restating.settle()
            placed = restating.place_anew(period, model=options["model"])
            after = _cost(period)
            transaction.set_rollback(options["dry_run"])
        moved = settled.calls + placed.calls
        would = "would move" if options["dry_run"] else "moved"
        shown = f"{first} to {last - timedelta(days=1)}: {moved:,} calls {would} to other price slots"
        self.stdout.write(f"{shown}; cost {before} before, {after} after.")


def _cost(period: Period) -> str:
    found = costs(CostQuery(period=period, measures=("effective_cost",))).total["effective_cost"]
    return "unpriced" if found is None else as_text(Decimal(found))
