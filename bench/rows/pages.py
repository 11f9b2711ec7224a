"""How long the server needs for the Overview page, on demo data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.instance import Server
from bench.results import Row
from bench.scales import Scale

LIMIT_MS = 200.0
MOST_QUERIES = 12


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """p95 of the time in Django, templates included, and the number of queries."""
    answer = server.probe("pages", "/", str(scale.page_views))
    p95 = float(np.percentile(answer["seconds"], 95)) * 1000
    yield Row(
        name="overview_page", value=p95, unit="ms, p95", reference=LIMIT_MS, ratio=p95 / LIMIT_MS,
        against="the limit", target="<= 1",
    )  # fmt: skip
    queries = float(answer["queries"])
    yield Row(
        name="overview_queries", value=queries, unit="queries", reference=float(MOST_QUERIES),
        ratio=queries / MOST_QUERIES, against="the limit", target="<= 1",
    )  # fmt: skip
