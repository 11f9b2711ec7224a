"""How much work each size of the benchmarks does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Amounts for one run. ``rounds`` are interleaved with their references; medians are reported."""

    name: str
    rounds: int
    ingest_events: int  # a round
    drf_events: int  # a round
    singles: int  # requests a round
    rated: int  # calls rated in bulk a round
    rated_singly: int  # calls of the reference a round
    freshness_rate: int  # events a second
    freshness_seconds: int
    query_events: int
    query_repeats: int
    demo_events: int
    page_views: int


SCALES = {
    scale.name: scale
    for scale in (
        # Only shows that every benchmark runs: its figures mean nothing.
        Scale("smoke", 1, 3_000, 200, 60, 5_000, 50, 1_000, 2, 3_000, 2, 1_000, 2),
        Scale("small", 3, 100_000, 4_000, 2_000, 500_000, 2_000, 20_000, 10, 1_000_000, 20, 100_000, 20),
        Scale("full", 3, 400_000, 10_000, 6_000, 1_000_000, 5_000, 20_000, 30, 10_000_000, 40, 300_000, 40),
    )
}
