"""Seconds to import a whole price list as a draft."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.instance import Server
from bench.results import Row
from bench.scales import Scale


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """The vendored list with every rate changed, against saving its rows one by one without any check."""
    answer = server.probe("catalogue", str(scale.rounds))
    seconds, singly = median(answer["draft"]), median(answer["row_by_row"])
    yield Row(
        name="catalogue_import", value=seconds, unit="s", reference=singly, ratio=singly / seconds,
        against="the same rows saved one by one, without differences and findings", target="none",
    )  # fmt: skip
