"""Calls priced a second, in bulk."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.instance import Server
from bench.results import Row
from bench.scales import Scale


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """Slots, sums and exact arithmetic over columns, against genai-prices call by call."""
    answer = server.probe("rating", str(scale.rated), str(scale.rated_singly), str(scale.rounds))
    bulk, singly = median(answer["bulk"]), median(answer["singly"])
    yield Row(
        name="rating", value=bulk, unit="calls/s", reference=singly, ratio=bulk / singly,
        against="genai-prices, one call at a time", target=">= 200",
    )  # fmt: skip
