"""The meters: disjoint quantities that partition what a call used, so cost = sum of quantity x price.

On the wire totals are inclusive (input contains cache reads and writes, output contains reasoning);
stored meters are disjoint. A meter's name is its public name in price lines and explanations.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Meter(IntEnum):
    """Every token meter. The number is what the database stores and never changes."""

    INPUT = 1  # text, neither read from nor written to a cache
    CACHE_READ = 2
    CACHE_WRITE = 3  # five-minute, or the provider's only kind
    CACHE_WRITE_1H = 4
    OUTPUT = 5  # text, without reasoning
    REASONING = 6
    AUDIO_INPUT = 7  # not read from a cache
    AUDIO_CACHED = 8
    AUDIO_OUTPUT = 9
    IMAGE_INPUT = 10
    IMAGE_CACHED = 11
    IMAGE_OUTPUT = 12

    @property
    def label(self) -> str:
        return self.name.lower()


# The six that nearly every call has are columns of a call; all others are rows of their own
# (attribution.CallUnit), together with the per-call units such as ``web_search_calls``.
HOT_METERS = (
    Meter.INPUT,
    Meter.CACHE_READ,
    Meter.CACHE_WRITE,
    Meter.CACHE_WRITE_1H,
    Meter.OUTPUT,
    Meter.REASONING,
)
SPARSE_TOKEN_METERS = tuple(meter for meter in Meter if meter not in HOT_METERS)
INPUT_METERS = frozenset(
    {
        Meter.INPUT,
        Meter.CACHE_READ,
        Meter.CACHE_WRITE,
        Meter.CACHE_WRITE_1H,
        Meter.AUDIO_INPUT,
        Meter.AUDIO_CACHED,
        Meter.IMAGE_INPUT,
        Meter.IMAGE_CACHED,
    }
)
# Per-call units (searches, seconds, characters, ...) are numbered from here, in order of first use.
FIRST_UNIT_METER = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call under their wire names and meanings: totals inclusive, the rest subsets."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_cached_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_cached_tokens: int = 0
    image_output_tokens: int = 0
