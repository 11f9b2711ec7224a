"""Rates of exchange as they are entered: one, a list, the lines of a CSV file. All are read here."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any, ClassVar

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from finops.core.errors import FieldProblem, FinopsError, InvalidInput
from finops.core.problems import field_problems
from pricing import fx
from pricing.models import FxRate
from pricing.shapes import Strict

MOST_RATES = 1_000
COLUMNS = ("currency", "month", "rate", "source")


@extend_schema_field(OpenApiTypes.STR)
class MonthField(serializers.Field[date, Any, str, Any]):
    """A month as 2026-10; any day of it stands for it."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Give a month, such as 2026-10."}

    def to_internal_value(self, data: Any) -> date:
        try:
            return date.fromisoformat(data if len(data) > len("2026-10") else f"{data}-01").replace(day=1)
        except (TypeError, ValueError):
            self.fail("invalid")

    def to_representation(self, value: date) -> str:
        return f"{value:%Y-%m}"


class FxRateBody(Strict):
    """The rate of one month."""

    currency = serializers.CharField(help_text="A code of three letters; not USD.")
    month = MonthField(help_text="As 2026-10.")
    rate = serializers.DecimalField(
        max_digits=30, decimal_places=fx.RATE_PLACES, help_text="Units of the currency for one dollar."
    )
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=fx.LONGEST_SOURCE, default="", allow_blank=True, help_text="Whose rate it is."
    )


@dataclass(frozen=True, slots=True)
class SaidRate:
    """One rate to be booked."""

    currency: str
    month: date
    rate: Decimal
    source: str = ""


def read_rates(bodies: Sequence[object], places: Sequence[str]) -> list[SaidRate]:
    """The rates. Raises InvalidInput naming everything that is wrong, each under the place of its rate."""
    read, problems = [], []
    for body, place in zip(bodies, places, strict=True):
        if not isinstance(body, Mapping):
            problems.append(FieldProblem(place or "body", "invalid", "Expected a JSON object."))
            continue
        check = FxRateBody(data=dict(body))
        if check.is_valid():
            read.append(SaidRate(**check.validated_data))
        else:
            problems.extend(field_problems(check.errors, place))
    if problems:
        raise InvalidInput("; ".join(f"{one.field}: {one.message}" for one in problems[:3]), problems)
    return read


@transaction.atomic
def book_all(said: Sequence[SaidRate], places: Sequence[str], *, by: str) -> list[tuple[FxRate, bool]]:
    """Book all of these or none; what is refused is named under its place."""
    booked = []
    for one, place in zip(said, places, strict=True):
        try:
            booked.append(fx.book_rate(one.currency, one.month, one.rate, source=one.source, by=by))
        except FinopsError as refused:
            raise type(refused)(refused.detail, _under(place, refused.problems)) from refused
    return booked


def csv_bodies(text: str) -> tuple[list[dict[str, str]], list[str]]:
    """The lines of a CSV with the columns of ``COLUMNS`` (``source`` may be left out), and their places.

    The first line may name the columns, in any order. Raises InvalidInput.
    """
    lines = [cells for cells in csv.reader(StringIO(text.strip())) if any(cell.strip() for cell in cells)]
    if not lines:
        raise InvalidInput.field("csv", "required", "Paste at least one line.")
    if len(lines) > MOST_RATES:
        raise InvalidInput.field("csv", "too_many", f"At most {MOST_RATES:,} lines.")
    names: Sequence[str] = COLUMNS
    first = [cell.strip().lower() for cell in lines[0]]
    start = 1
    if "currency" in first:
        names, lines, start = first, lines[1:], 2
    if unknown := sorted(set(names) - set(COLUMNS)):
        raise InvalidInput.field("csv", "unknown", f"No such column: {', '.join(unknown)}.")
    places = [f"line {number}" for number in range(start, start + len(lines))]
    if too_long := [place for place, cells in zip(places, lines, strict=True) if len(cells) > len(names)]:
        raise InvalidInput.field("csv", "invalid", f"{too_long[0]} has more cells than {', '.join(names)}.")
    return [_body(names, cells) for cells in lines], places


def _body(names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    return {name: cell.strip() for name, cell in zip(names, cells, strict=False)}


def _under(place: str, problems: Iterable[FieldProblem]) -> list[FieldProblem]:
    if not place:
        return list(problems)
    return [FieldProblem(f"{place}.{one.field}", one.code, one.message) for one in problems]
