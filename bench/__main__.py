"""Runs the benchmarks: ``python -m bench [--scale smoke|small|full] [--only NAME ...]``.

Every figure is printed as one line of JSON as soon as it is known; all of them are written to
``bench/results.json``. Each group runs on a throw-away instance of its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import instance, results
from bench.instance import Server
from bench.results import Row
from bench.rows import (
    catalogue,
    formats,
    freshness,
    ingest,
    pages,
    queries,
    rating,
    rerating,
    singles,
    spool,
    storage,
)
from bench.scales import SCALES, Scale

GROUPS = ("pages", "rating", "ingest", "singles", "formats", "spool", "freshness", "queries")


def main() -> int:
    """Measure what was asked for; returns the exit status."""
    arguments = _arguments()
    # An orderly end: the instance is stopped and its data removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    scale = SCALES[arguments.scale]
    if arguments.query_events:
        scale = replace(scale, query_events=arguments.query_events)
    rows: list[Row] = []
    for row in _rows(scale, arguments.only or list(GROUPS), arguments.port):
        print(row.text(), flush=True)
        rows.append(row)
    results.write(rows, scale=scale.name, path=arguments.output)
    return 0


def _rows(scale: Scale, groups: list[str], port: int) -> Iterator[Row]:
    # Queries on an instance of their own: its books hold exactly the events of the questions.
    apart = [["queries"]] if "queries" in groups else []
    together = [group for group in groups if group != "queries"]
    each = [together, *apart] if together else apart
    for number, some in enumerate([groups] if scale.name == "smoke" else each):
        with instance.running(port + number) as server:
            yield from _on(server, scale, some)


def _on(server: Server, scale: Scale, groups: list[str]) -> Iterator[Row]:
    if "pages" in groups:
        server.command("demo", "--events", str(scale.demo_events))
        yield from pages.measure(server, scale)
    if "rating" in groups:
        yield from rating.measure(server, scale)
        yield from catalogue.measure(server, scale)
    if "ingest" in groups:
        yield from ingest.measure(server, scale)
    if "singles" in groups:
        yield from singles.measure(server, scale)
    if "formats" in groups:
        yield from formats.measure(server, scale)
    if "spool" in groups:
        yield from spool.measure(server, scale)
    if "freshness" in groups:
        yield from freshness.measure(server, scale)
    if "queries" in groups:
        server.load_in_bulk(scale.query_events)
        yield from queries.measure(server, scale)
        yield from storage.measure(server)
        # The last: it changes what everything costs.
        yield from rerating.measure(server, scale)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures the product against references.")
    parser.add_argument("--scale", choices=sorted(SCALES), default=os.environ.get("BENCH_SCALE", "small"))
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--query-events", type=int, help="events under the queries, if not the scale's own")
    parser.add_argument("--port", type=int, default=8590, help="first of two ports (default 8590)")
    parser.add_argument("--output", type=Path, default=results.RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
