"""The vendored list brought in with every rate changed: ``python -m bench.probes.catalogue ROUNDS``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from decimal import Decimal

import django

django.setup()

from django.db import transaction  # noqa: E402

from pricing import drafts  # noqa: E402
from pricing.models import BookVersion  # noqa: E402
from pricing.vendored import LABEL, Catalogue, read_catalogue  # noqa: E402

_DEARER = Decimal("1.01")


def dearer() -> Catalogue:
    """Every price of the list, a hundredth higher."""
    catalogue = read_catalogue()
    for _, rates in catalogue.prices:
        for rate in rates:
            rate.unit_price *= _DEARER
    return catalogue


def as_draft(catalogue: Catalogue) -> None:
    """What an import does: differences, findings for review, a draft."""
    drafts.draft(catalogue, label=LABEL, by="bench")


def row_by_row(catalogue: Catalogue) -> None:
    """The same rows and nothing else, saved one by one."""
    version = BookVersion.objects.create(label="row by row", content_hash="", created_by="bench")
    for price, rates in catalogue.prices:
        price.version = version
        price.save()
        for rate in rates:
            rate.price = price
            rate.save()
    for row in (*catalogue.multipliers, *catalogue.aliases):
        row.version = version
        row.save()


def seconds(work: Callable[[Catalogue], None]) -> float:
    """Time it, reading the files included; nothing of it stays."""
    started = time.perf_counter()
    with transaction.atomic():
        work(dearer())
        taken = time.perf_counter() - started
        transaction.set_rollback(True)
    return taken


if __name__ == "__main__":
    rounds = range(int(sys.argv[1]))
    answer = {
        "draft": [seconds(as_draft) for _ in rounds],
        "row_by_row": [seconds(row_by_row) for _ in rounds],
    }
    print(json.dumps(answer))
