"""``manage.py load_prices``: publish the vendored list prices, if they are new."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from pricing.publishing import load_vendored


class Command(BaseCommand):
    help = "Publishes the vendored list prices as a new version of the book, unless they are known already."

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature
        done = load_vendored()
        if done.version is None:
            self.stdout.write("The list prices are up to date.")
            return
        self.stdout.write(
            f"Published version {done.version.pk}: {done.added} rows added, {done.superseded} superseded, "
            f"{done.slots_rerated} slots re-rated, {done.slots_to_split} slots left as they were because a "
            "price now changes within them."
        )
