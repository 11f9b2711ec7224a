"""Loads many events of the last 90 days: ``python -m bench.probes.bulk EVENTS PART PARTS``.

Through the ingest's own functions, without HTTP, in order of time. Each part takes every so-manieth
nine days; run the parts side by side.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import django

django.setup()

from attribution.ingest.intake import Sender, take_in  # noqa: E402
from attribution.ingest.native import parse  # noqa: E402
from bench import traffic  # noqa: E402
from finops.demo.calls import generate  # noqa: E402
from finops.demo.events import bodies  # noqa: E402
from finops.demo.story import Story  # noqa: E402

DAYS = 90
_WINDOW = 9


def main(events: int, part: int, parts: int) -> int:
    """The number of events accepted."""
    accepted = 0
    sender = Sender(source="bench", api_key="bench")
    windows = DAYS // _WINDOW
    for number in range(part, windows, parts):
        until = traffic.today() - timedelta(days=DAYS - _WINDOW * (number + 1))
        count = events * (number + 1) // windows - events * number // windows
        calls = generate(until=until, days=_WINDOW, events=count, seed=number, zone=traffic.ZONE)
        first = Story.before(until, _WINDOW).first
        for body in bodies(calls, prefix=f"bulk-{number}", first=first):
            accepted += take_in(parse(body, "application/json"), sender).accepted
    return accepted


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:4]))))
