"""Loads the demo company."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from finops.core.periods import local_day
from finops.demo.loading import Recipe, load, loaded_before

MOST_DAYS = 366
MOST_EVENTS = 20_000_000


class Command(BaseCommand):
    help = (
        "Load a demo company: 8 teams, 24 features, 3 tiers, 12 models, and what happened to them. The same "
        "days, events, seed, day and reporting zone give the same totals to the last digit; loading again "
        "doubles nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=_whole(1, MOST_DAYS), default=90, help="length (default 90)")
        parser.add_argument("--events", type=_whole(1, MOST_EVENTS), default=300_000, help="default 300000")
        parser.add_argument(
            "--seed", type=_whole(0, 2**31), default=7, help="chooses the company (default 7)"
        )
        parser.add_argument(
            "--until",
            type=date.fromisoformat,
            help="the day after the last, YYYY-MM-DD (default: where the same demo was loaded before, its "
            "own; else today, so that it ends with yesterday)",
        )

    def handle(
        self, *_: str, days: int, events: int, seed: int, until: date | None, verbosity: int, **__: Any
    ) -> None:
        today = local_day(timezone.now(), settings.REPORTING_TIME_ZONE)
        if until and until > today:
            raise CommandError(f"The demo cannot end after today: --until is at most {today}.")
        # What `up` has done where it ran before.
        call_command("migrate", interactive=False, verbosity=0)
        call_command("load_prices", verbosity=0)
        recipe = Recipe(
            days=days, events=events, seed=seed, until=until or _until(days, events, seed) or today
        )
        with tqdm(total=events, unit=" events", disable=None if verbosity else True) as bar:
            loaded = load(recipe, bar.update)
        story = recipe.story
        self.stdout.write(
            f"Demo company: {loaded.accepted} events loaded, {loaded.duplicates} there already; "
            f"{story.first} to {story.day(days - 1)}."
        )
        for day, line in story.lines():
            self.stdout.write(f"  {day}  {line}")


def _until(days: int, events: int, seed: int) -> date | None:
    """Where the same demo was loaded before: it stays where it is."""
    same = [
        recipe.until
        for recipe in loaded_before()
        if (recipe.days, recipe.events, recipe.seed) == (days, events, seed)
    ]
    return same[-1] if same else None


def _whole(least: int, most: int) -> Any:  # Any: argparse wants a callable with a name
    def whole(text: str) -> int:
        if not text.isdigit() or not least <= int(text) <= most:
            raise ArgumentTypeError(f"must be a whole number from {least} to {most}, not {text!r}")
        return int(text)

    return whole
