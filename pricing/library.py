"""The open price list of the package ``genai-prices``, where it is installed.

Only read: nothing of it reaches the book but through a draft. What it says by the hour of the day, by
page, by picture or by request has no counterpart in the book and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pricing.conditions import Span
from pricing.models import Rate

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

PACKAGE = "genai-prices"
# Their names of providers, where ours differ.
_PROVIDERS = {"x-ai": "xai"}
# Their prices: our meter, and for how many units.
_METERS = {
    "input_mtok": ("input", 1_000_000),
    "cache_read_mtok": ("cache_read", 1_000_000),
    "cache_write_mtok": ("cache_write", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h", 1_000_000),
    "output_mtok": ("output", 1_000_000),
    "output_reasoning_mtok": ("reasoning", 1_000_000),
    "input_audio_mtok": ("audio_input", 1_000_000),
    "cache_audio_read_mtok": ("audio_cached", 1_000_000),
    "output_audio_mtok": ("audio_output", 1_000_000),
    "input_image_mtok": ("image_input", 1_000_000),
    "cache_image_read_mtok": ("image_cached", 1_000_000),
    "output_image_mtok": ("image_output", 1_000_000),
    "output_citation_mtok": ("citation_tokens", 1_000_000),
    "input_mchars": ("characters", 1_000_000),
    "audio_hours": ("audio_seconds", 3_600),
    "input_audio_hours": ("audio_seconds", 3_600),
}
# Fees that the book states for a provider as a whole.
_FEES = frozenset({"web_searches_kcount", "storage_searches_kcount"})


@dataclass(frozen=True, slots=True)
class Listed:
    """What the library says of one model during one interval: rates by prompt size (exclusive bound)."""

    provider: str
    model: str
    span: Span
    bands: Mapping[int, Mapping[str, Rate]]


def is_installed() -> bool:
    """Whether the optional package is there."""
    return _version() != ""


def name() -> str:
    """The package and its version, as a source is named; empty where it is not installed."""
    return f"{PACKAGE} {_version()}" if is_installed() else ""


def listed(providers: set[str]) -> Iterator[Listed]:
    """Every readable price of these providers (our names)."""
    for provider in _providers():
        ours = _PROVIDERS.get(provider.id, provider.id)
        if ours in providers:
            for model in provider.models:
                for span, bands in _intervals(model):
                    yield Listed(ours, model.id, span, bands)


def knows(provider: str, model: str) -> bool:
    """Whether the library lists a model, by any of the names it gives it."""
    return any(_is(one, provider) and one.find_model(model) is not None for one in _providers())


def rates_of(provider: str, model: str, *, at: datetime, prompt: int) -> Mapping[str, Rate]:
    """What the library charges for a model, by meter; empty where it says nothing."""
    for one in _providers():
        found = one.find_model(model) if _is(one, provider) else None
        if found is None:
            continue
        for (start, end), bands in _intervals(found):
            if (start is None or start <= at) and (end is None or at < end):
                return bands[max(over for over in bands if prompt > over or over == 0)]
    return {}


def _is(one: Provider, provider: str) -> bool:
    return _PROVIDERS.get(one.id, one.id) == provider


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return ""


def _providers() -> Sequence[Provider]:
    if not is_installed():
        return ()
    from genai_prices.data import providers  # noqa: PLC0415 - optional, and slow to import

    return providers


def _intervals(model: ModelInfo) -> list[tuple[Span, Mapping[int, Mapping[str, Rate]]]]:
    """Its prices one after the other; none where one of them cannot be read."""
    from genai_prices.types import StartDateConstraint  # noqa: PLC0415 - as above

    stated = model.prices if isinstance(model.prices, list) else [None]
    starts: list[tuple[datetime | None, ModelPrice]] = []
    for one in stated:
        constraint = one.constraint if one is not None else None
        if constraint is not None and not isinstance(constraint, StartDateConstraint):
            return []
        start = datetime.combine(constraint.start_date, time(), UTC) if constraint else None
        prices: Any = one.prices if one is not None else model.prices
        starts.append((start, prices))
    starts.sort(key=lambda pair: pair[0] or datetime.min.replace(tzinfo=UTC))
    ends = [start for start, _ in starts[1:]] + [None]
    found = []
    for (start, prices), end in zip(starts, ends, strict=True):
        bands = _bands(prices)
        if not bands:
            return []
        found.append(((start, end), bands))
    return found


def _bands(prices: ModelPrice) -> Mapping[int, Mapping[str, Rate]]:
    stated = {key: value for key, value in vars(prices).items() if value is not None and key not in _FEES}
    if not stated or stated.keys() - _METERS.keys():
        return {}
    bounds = {0} | {tier.start for value in stated.values() for tier in getattr(value, "tiers", ())}
    return {over: _rates(stated, over) for over in sorted(bounds)}


def _rates(stated: Mapping[str, Any], over: int) -> Mapping[str, Rate]:  # Any: Decimal, or tiers of it
    rates = {}
    for key, value in stated.items():
        meter, units = _METERS[key]
        amount = getattr(value, "base", value)
        for tier in getattr(value, "tiers", ()):
            amount = tier.price if tier.start <= over else amount
        rates[meter] = Rate(meter=meter, unit_price=amount, per=units)
    return rates
