"""Correcting the price of the most used model: ``python -m bench.probes.rerating CALLS_SINGLY ROUNDS``.

First all of its prices, round by round; at last once more, from the middle of the booked days on, so that
slots are divided.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal

import django

django.setup()

from django.db import connection  # noqa: E402

from attribution import reratings  # noqa: E402
from bench import traffic  # noqa: E402
from bench.probes.rating import singly  # noqa: E402
from pricing import drafts  # noqa: E402
from pricing.changes import Changes  # noqa: E402
from pricing.models import BookVersion, Price, Rate  # noqa: E402

BY = "bench@bench.example"
_DAYS = 90
_MOST_USED = """
SELECT s.provider, s.model, min(u.day), max(u.day)
FROM usage_day u JOIN price_slot s ON s.id = u.slot_id
WHERE EXISTS (SELECT FROM slot_rate r WHERE r.slot_id = s.id AND r.known_to IS NULL)
GROUP BY 1, 2 ORDER BY sum(u.calls) DESC LIMIT 1"""
_PRICED_BY = """
SELECT DISTINCT r.price_id FROM slot_rate r JOIN price_slot s ON s.id = r.slot_id
JOIN pricing_price p ON p.id = r.price_id
WHERE r.known_to IS NULL AND p.kind = 'rates' AND s.provider = %s AND s.model = %s"""


def most_used() -> tuple[str, str, date, date]:
    """Provider and model, first and last day."""
    with connection.cursor() as cursor:
        cursor.execute(_MOST_USED)
        provider, model, first, last = cursor.fetchone()
    return provider, model, first, last


def correction(provider: str, model: str, factor: Decimal, since: datetime | None = None) -> BookVersion:
    """A reviewed version in which everything about the model costs so much more, from an instant on."""
    with connection.cursor() as cursor:
        cursor.execute(_PRICED_BY, [provider, model])
        ids = [number for (number,) in cursor.fetchall()]
    rows, ended = [], []
    for price in Price.objects.filter(pk__in=ids, superseded_by=None).prefetch_related("rates"):
        within = since and (price.effective_from is None or price.effective_from < since)
        if since and price.effective_to is not None and price.effective_to <= since:
            continue
        ended.append(price.pk)
        if within:
            rows.append(_changed(price, Decimal(1), effective_to=since))
        rows.append(_changed(price, factor, **({"effective_from": since} if within else {})))
    version = drafts.start(label=f"bench {factor}", by=BY)
    drafts.write(version, Changes(prices=rows, ended={Price: ended}), by=BY)
    for block in version.blocks.filter(acknowledged_at=None):
        drafts.acknowledge(version, block.pk, reason="a benchmark", by=BY)
    return drafts.review(version, by=BY)


def _changed(price: Price, factor: Decimal, **fields: datetime | None) -> tuple[Price, list[Rate]]:
    said = {field.attname: getattr(price, field.attname) for field in Price._meta.concrete_fields}
    row = Price(**{**said, "id": None, "version_id": None, **fields})
    rates = [
        Rate(meter=rate.meter, unit_price=rate.unit_price * factor, per=rate.per, minimum=rate.minimum)
        for rate in price.rates.all()
    ]
    return row, rates


def timed(version: BookVersion) -> dict[str, float]:
    """Seconds of preview and approval, and how many calls cost something else for it."""
    started = time.perf_counter()
    shown = reratings.preview(version, by=BY)
    previewed = time.perf_counter()
    done = reratings.approve(shown, BY)
    ended = time.perf_counter()
    if done.difference == 0 or done.posted_after != shown.after:
        raise RuntimeError("what was posted is not what was shown")
    return {
        "preview": previewed - started,
        "seconds": ended - started,
        "calls": done.calls,
        "moved": done.calls_moved,
    }


def main(one_by_one: int, rounds: int) -> dict[str, object]:
    """Rounds of both, taking turns; then the divided one."""
    provider, model, first, last = most_used()
    whole, single = [], []
    for number in range(rounds):
        single.append(singly(traffic.calls(one_by_one, seed=number, days=_DAYS)))
        whole.append(timed(correction(provider, model, Decimal(number + 2))))
    middle = datetime.combine(first + (last - first) / 2, clock(), UTC) + timedelta(hours=12)
    return {
        "whole": whole,
        "singly": single,
        "divided": timed(correction(provider, model, Decimal("1.5"), middle)),
    }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:3]))))
