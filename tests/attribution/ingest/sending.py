"""Run as a program: takes in one batch again and again until it is told to stop, and says what it was told.

    python -m tests.attribution.ingest.sending NAME BATCHES SIZE MILLISECONDS

Events are NAME-batch-number, all at the same instant. A batch that could not be made durable is sent
again, as a client does. Each line of the output: batch, accepted, duplicates.
"""

from __future__ import annotations

import sys
import time

import django

django.setup()

from attribution.ingest.intake import Sender, take_in  # noqa: E402
from attribution.ingest.native import from_records  # noqa: E402
from finops.core.errors import Unavailable  # noqa: E402


def main(name: str, batches: int, size: int, milliseconds: int) -> None:
    """Send every batch until it is acknowledged."""
    for batch in range(batches):
        records = [
            {
                "event_id": f"{name}-{batch}-{number}",
                "occurred_at": milliseconds,
                "provider": "openai",
                "model": "gpt-4o",
                "usage": {"input_tokens": number, "output_tokens": 1},
            }
            for number in range(size)
        ]
        while True:
            try:
                outcome = take_in(from_records(records), Sender("app"))
            except Unavailable:
                time.sleep(0.1)
                continue
            print(batch, outcome.accepted, outcome.duplicates, flush=True)
            break


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
