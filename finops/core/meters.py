"""The meters: disjoint quantities that partition what a call used, so cost = sum of quantity x price.

On the wire totals are inclusive (input contains cache reads and writes, output contains reasoning);
stored meters are disjoint. A meter's name is its public name in price lines and explanations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Protocol, Self, TypeVar

from finops.core.errors import FieldProblem, InvalidInput


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


USAGE_FIELDS = tuple(field.name for field in fields(Usage))


class Splittable(Protocol):
    """Whole numbers, one or a column of them: everything that can be added and subtracted."""

    def __add__(self, other: Self, /) -> Self: ...
    def __sub__(self, other: Self, /) -> Self: ...


Tokens = TypeVar("Tokens", bound=Splittable)


def split(
    *,
    input_tokens: Tokens,
    cache_read_tokens: Tokens,
    cache_write_tokens: Tokens,
    cache_write_1h_tokens: Tokens,
    output_tokens: Tokens,
    reasoning_tokens: Tokens,
    audio_input_tokens: Tokens,
    audio_cached_tokens: Tokens,
    audio_output_tokens: Tokens,
    image_input_tokens: Tokens,
    image_cached_tokens: Tokens,
    image_output_tokens: Tokens,
) -> dict[Meter, Tokens]:
    """Inclusive totals to disjoint meters that sum to input plus output, for one call or for columns.

    A token read from a cache counts once, under its modality; what no subset explains is uncached text.
    A negative result means that a subset was larger than its total: see ``excess``.
    """
    audio = audio_input_tokens - audio_cached_tokens
    image = image_input_tokens - image_cached_tokens
    return {
        Meter.INPUT: input_tokens - cache_read_tokens - cache_write_tokens - audio - image,
        Meter.CACHE_READ: cache_read_tokens - audio_cached_tokens - image_cached_tokens,
        Meter.CACHE_WRITE: cache_write_tokens - cache_write_1h_tokens,
        Meter.CACHE_WRITE_1H: cache_write_1h_tokens,
        Meter.OUTPUT: output_tokens - reasoning_tokens - audio_output_tokens - image_output_tokens,
        Meter.REASONING: reasoning_tokens,
        Meter.AUDIO_INPUT: audio,
        Meter.AUDIO_CACHED: audio_cached_tokens,
        Meter.AUDIO_OUTPUT: audio_output_tokens,
        Meter.IMAGE_INPUT: image,
        Meter.IMAGE_CACHED: image_cached_tokens,
        Meter.IMAGE_OUTPUT: image_output_tokens,
    }


# Which field is too small when a meter comes out negative, and what is said to be part of it.
_CONTAINS = {
    Meter.CACHE_WRITE: ("cache_write_tokens", "cache_write_1h_tokens"),
    Meter.AUDIO_INPUT: ("audio_input_tokens", "audio_cached_tokens"),
    Meter.IMAGE_INPUT: ("image_input_tokens", "image_cached_tokens"),
    Meter.CACHE_READ: ("cache_read_tokens", "audio_cached_tokens and image_cached_tokens"),
    Meter.INPUT: ("input_tokens", "cached, written, audio and image tokens"),
    Meter.OUTPUT: ("output_tokens", "reasoning, audio and image tokens"),
}


def excess(meters: Mapping[Meter, int]) -> FieldProblem | None:
    """The first subset that is larger than its total, or None: impossible usage is never clamped."""
    for meter, (total, parts) in _CONTAINS.items():
        if meters[meter] < 0:
            message = f"{total} is smaller by {-meters[meter]} than the {parts} it should contain"
            return FieldProblem(total, "subset_exceeds_total", message)
    return None


def partition(usage: Usage) -> dict[Meter, int]:
    """The disjoint meters of one call, none negative.

    Raises InvalidInput when a subset is larger than its total.
    """
    meters = split(**{name: getattr(usage, name) for name in USAGE_FIELDS})
    if problem := excess(meters):
        raise InvalidInput(problem.message, [problem])
    return meters


def inclusive(usage: Usage) -> Usage:
    """Usage whose input leaves out cache reads and writes (``anthropic`` semantics), made inclusive."""
    total = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return replace(usage, input_tokens=total)
