"""Seconds to correct the prices of one model, preview included."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.instance import Server
from bench.results import Row
from bench.scales import Scale

_AGAINST = "the same calls priced one by one by genai-prices, extrapolated"


def measure(server: Server, scale: Scale) -> Iterator[Row]:
    """The most used model over everything that is booked, against pricing its calls again one by one.

    ``rerating`` has all its prices corrected, ``rerating_divided`` those from the middle of the booked
    days on: half of its calls go to other price slots.
    """
    answer = server.probe("rerating", str(scale.rated_singly), str(scale.rounds))
    singly = median(answer["singly"])
    seconds = median(one["seconds"] for one in answer["whole"])
    reference = answer["whole"][0]["calls"] / singly
    yield Row(
        name="rerating", value=seconds, unit="s", reference=reference, ratio=reference / seconds,
        against=_AGAINST, target=">= 1000",
    )  # fmt: skip
    divided = answer["divided"]
    reference = divided["calls"] / singly
    yield Row(
        name="rerating_divided", value=divided["seconds"], unit="s", reference=reference,
        ratio=reference / divided["seconds"], against=_AGAINST, target="none",
    )  # fmt: skip
