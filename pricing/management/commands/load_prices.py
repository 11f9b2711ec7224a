"""``manage.py load_prices``: publish the vendored list prices in an empty book, else propose what is new."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from pricing.models import BookVersion, VersionStatus
from pricing.proposals import propose_vendored
from pricing.publishing import load_vendored
from pricing.vendored import LABEL


class Command(BaseCommand):
    help = (
        "Publishes the vendored list prices where none were published yet. Later ones, of a new release, "
        "become a draft to be reviewed."
    )

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature
        if BookVersion.objects.filter(label=LABEL, status=VersionStatus.PUBLISHED).exists():
            proposed = propose_vendored()
            if proposed.version is None:
                self.stdout.write("The list prices are up to date.")
            else:
                self.stdout.write(f"Version {proposed.version.pk} of the price book waits for a review.")
            return
        done = load_vendored()
        if done.version is None:
            self.stdout.write("The list prices are up to date.")
            return
        self.stdout.write(
            f"Published version {done.version.pk}: {done.added} rows added, {done.superseded} superseded, "
            f"{done.slots_rerated} slots re-rated, {done.slots_to_split} slots left as they were because a "
            "price now changes within them."
        )
