"""Reads the vendored list prices (``pricing/data``) into unsaved rows of the book.

One row a price, interval and set of conditions. Token rates are dollars per million tokens; per-call
units are written ``name=price/per``, with ``:least`` after it where a call is charged at least so much.
"""

from __future__ import annotations

import csv
import hashlib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from finops.core.meters import Meter
from pricing.models import ContextOperator, ModelAlias, Multiplier, Price, PriceKind, Rate

Built = TypeVar("Built")

DATA = Path(__file__).parent / "data"
LABEL = "list prices"
_FILES = ("prices.csv", "fees.csv", "multipliers.csv", "aliases.csv", "schedules.toml", "sources.toml")
_CONTEXT = {">=": ContextOperator.AT_LEAST, ">": ContextOperator.GREATER}
_TOKEN_METERS = tuple(meter.label for meter in Meter)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The content of a price list: prices with their rates, and what goes with them."""

    prices: list[tuple[Price, list[Rate]]]
    multipliers: list[Multiplier]
    aliases: list[ModelAlias]


def content_hash(folder: Path = DATA) -> str:
    """SHA-256 over the files of the list: the same hash is the same list."""
    digest = hashlib.sha256()
    for name in _FILES:
        digest.update(name.encode() + b"\0" + (folder / name).read_bytes() + b"\0")
    return digest.hexdigest()


def read_catalogue(folder: Path = DATA) -> Catalogue:
    """The list as unsaved rows.

    Raises ValueError naming the file and line of the first cell that cannot be read.
    """
    schedules = tomllib.loads((folder / "schedules.toml").read_text())
    sources = tomllib.loads((folder / "sources.toml").read_text())
    read = _Reader(folder, schedules, sources)
    return Catalogue(
        prices=read.all("prices.csv", read.price) + read.all("fees.csv", read.fees),
        multipliers=read.all("multipliers.csv", read.multiplier),
        aliases=read.all("aliases.csv", read.alias),
    )


class _Reader:
    """Knows the folder while its files are read, and which line a mistake is on."""

    def __init__(self, folder: Path, schedules: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        self.folder, self.schedules, self.sources = folder, schedules, sources

    def all(self, name: str, build: Callable[[Mapping[str, str]], Built]) -> list[Built]:
        built = []
        with (self.folder / name).open(newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines), start=2):
                try:
                    built.append(build(row))
                except (KeyError, ValueError, ArithmeticError) as mistake:
                    raise ValueError(f"{name}, line {number}: {mistake}") from mistake
        return built

    def price(self, row: Mapping[str, str]) -> tuple[Price, list[Rate]]:
        operator, threshold = _context(row["context"])
        price = Price(
            kind=PriceKind.RATES,
            provider=row["provider"],
            model=row["model"],
            service_tier=row["service_tier"],
            processing=row["processing"],
            speed=row["speed"],
            region=row["region"],
            context_threshold=threshold,
            context_operator=operator,
            schedule=self.schedules[row["schedule"]] if row["schedule"] else None,
            evidence=row["evidence"],
            **self._versioned(row),
        )
        tokens = [Rate(meter=meter, unit_price=Decimal(row[meter])) for meter in _TOKEN_METERS if row[meter]]
        return price, tokens + list(_units(row["units"]))

    def fees(self, row: Mapping[str, str]) -> tuple[Price, list[Rate]]:
        price = Price(
            kind=PriceKind.FEES,
            provider=row["provider"],
            model=row["model"],
            service_tier="",
            processing="",
            speed="",
            evidence=row["evidence"],
            **self._versioned(row),
        )
        return price, list(_units(row["units"]))

    def multiplier(self, row: Mapping[str, str]) -> Multiplier:
        return Multiplier(
            provider=row["provider"],
            model=row["model"],
            region=row["region"],
            factor=Decimal(row["factor"]) if row["factor"] else None,
            evidence=row["evidence"],
            **self._versioned(row),
        )

    def alias(self, row: Mapping[str, str]) -> ModelAlias:
        names = ("provider", "host", "model", "target_provider", "target_model")
        return ModelAlias(**{name: row[name] for name in names}, **self._versioned(row))

    def _versioned(self, row: Mapping[str, str]) -> dict[str, Any]:
        return {
            "effective_from": _instant(row["from"]),
            "effective_to": _instant(row["to"]),
            "source": "; ".join(self.sources[key] for key in row["source"].split()),
            "note": row["note"],
        }


def _context(cell: str) -> tuple[str, int | None]:
    for sign, operator in _CONTEXT.items():
        if cell.startswith(sign):
            return operator, int(cell.removeprefix(sign))
    if cell:
        raise ValueError(f"context {cell!r} must start with > or >=")
    return "", None


def _units(cell: str) -> Iterator[Rate]:
    for part in cell.split():
        name, _, price = part.partition("=")
        price, _, least = price.partition(":")
        amount, _, per = price.partition("/")
        yield Rate(
            meter=name, unit_price=Decimal(amount), per=int(per), minimum=Decimal(least) if least else None
        )


def _instant(cell: str) -> datetime | None:
    """A date is its first instant in UTC; empty leaves the interval open."""
    if not cell:
        return None
    return datetime.fromisoformat(cell if "T" in cell else f"{cell}T00:00:00Z").astimezone(UTC)
