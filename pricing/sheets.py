"""Reads price sheets: CSV with one price a row, or JSON as ``POST /api/v1/prices`` takes it.

The columns are those of the book's own list (``pricing/data/prices.csv``) and of its export; README.md
lists them. Token rates are dollars per million tokens, per-call units ``name=price/per``.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from finops.core.errors import FieldProblem, InvalidInput
from finops.core.meters import Meter
from pricing.placing import Priced
from pricing.price_bodies import read_price

MOST_BYTES = 5 * 1024 * 1024
MOST_PROBLEMS = 50
TOKEN_COLUMNS = tuple(meter.label for meter in Meter)
_PLAIN = ("provider", "model", "service_tier", "processing", "speed", "region", "host", "kind", "mode")
_TEXT = ("source", "evidence", "note")
COLUMNS = (*_PLAIN, "context", "schedule", "from", "to", *TOKEN_COLUMNS, "units", *_TEXT)
# What a row is called in the body of a price, and in a sheet.
_COLUMN_OF = {"effective_from": "from", "effective_to": "to", "context_threshold": "context"}


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One price of a sheet, and where it stands there."""

    place: str
    priced: Priced
    is_dated: bool  # whether the sheet says from when it holds


def read_sheet(content: bytes, *, is_json: bool) -> list[SheetRow]:
    """Every price of a sheet. Raises InvalidInput with all that is wrong, row by row."""
    if len(content) > MOST_BYTES:
        raise InvalidInput.field("file", "too_large", f"A sheet has at most {MOST_BYTES:,} bytes.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput.field("file", "encoding", "The sheet is not UTF-8.") from None
    rows = list(_json_rows(text) if is_json else _csv_rows(text))
    if not rows:
        raise InvalidInput.field("file", "empty", "The sheet has no prices.")
    found: list[SheetRow] = []
    problems: list[FieldProblem] = []
    for place, body in rows:
        priced, wrong = (None, body) if isinstance(body, list) else read_price(body, place)
        problems += wrong if is_json else [as_of_sheet(problem, body) for problem in wrong]
        if priced is not None:
            found.append(SheetRow(place, priced, priced[0].effective_from is not None))
    if problems:
        raise InvalidInput(f"{problems[0].field}: {problems[0].message}", problems[:MOST_PROBLEMS])
    return found


def _json_rows(text: str) -> Iterator[tuple[str, object]]:
    try:
        # Decimals as they are written, not as floats.
        told = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise InvalidInput.field("file", "invalid", f"This is not JSON: {error}.") from None
    listed = told.get("prices") if isinstance(told, dict) else told
    if not isinstance(listed, list):
        raise InvalidInput.field("file", "invalid", 'Expected a list of prices, or {"prices": [...]}.')
    for number, body in enumerate(listed):
        yield f"prices.{number}", body


def _csv_rows(text: str) -> Iterator[tuple[str, dict[str, Any] | list[FieldProblem]]]:
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        columns = [column.strip() for column in reader.fieldnames or ()]
        if unknown := sorted(set(columns) - set(COLUMNS)):
            message = f"Unknown columns: {', '.join(unknown)}. Known: {', '.join(COLUMNS)}."
            raise InvalidInput.field("file", "unknown_column", message)
        if missing := [name for name in ("provider", "model") if name not in columns]:
            raise InvalidInput.field("file", "missing_column", f"Missing columns: {', '.join(missing)}.")
        reader.fieldnames = columns
        for row in reader:
            place = f"line {reader.line_num}"
            if None in row or None in row.values():
                yield place, [FieldProblem(place, "columns", "It has more or fewer cells than the head.")]
                continue
            yield place, body_of({name: cell.strip() for name, cell in row.items()}, place)
    except csv.Error as error:
        raise InvalidInput.field("file", "invalid", f"This is not CSV: {error}.") from None


def body_of(row: Mapping[str, str], place: str) -> dict[str, Any] | list[FieldProblem]:
    """A row's cells by their columns as the API would be told of them; or what cannot be read."""
    body: dict[str, Any] = {name: row[name] for name in (*_PLAIN, *_TEXT) if row.get(name)}
    problems = []
    body["rates"] = [{"meter": meter, "unit_price": row[meter]} for meter in TOKEN_COLUMNS if row.get(meter)]
    for name, read in (("units", _units), ("context", _context), ("schedule", _schedule)):
        try:
            more = read(row.get(name, ""))
        except (ValueError, InvalidOperation) as error:
            problems.append(FieldProblem(f"{place}.{name}", "invalid", str(error)))
            continue
        body["rates"] += more.pop("rates", [])
        body |= more
    for name, column in (("effective_from", "from"), ("effective_to", "to")):
        if cell := row.get(column):
            body[name] = cell if "T" in cell or " " in cell else f"{cell}T00:00:00Z"
    return problems or body


def _units(cell: str) -> dict[str, Any]:
    rates = []
    for part in cell.split():
        name, equals, price = part.partition("=")
        price, _, least = price.partition(":")
        amount, slash, per = price.partition("/")
        if not (name and equals and amount and slash and per.isdecimal()):
            raise ValueError(f"{part!r} is not name=price/per, such as web_search_calls=10/1000.")
        rates.append({"meter": name, "unit_price": amount, "per": int(per), "minimum": least or None})
    return {"rates": rates}


def _context(cell: str) -> dict[str, Any]:
    for sign, operator in ((">=", "ge"), (">", "gt")):
        if cell.startswith(sign) and cell.removeprefix(sign).strip().isdecimal():
            return {"context_threshold": int(cell.removeprefix(sign)), "context_operator": operator}
    if cell:
        raise ValueError(f"{cell!r} is not >200000 or >=200000.")
    return {}


def _schedule(cell: str) -> dict[str, Any]:
    if not cell:
        return {}
    try:
        return {"schedule": json.loads(cell)}
    except ValueError:
        raise ValueError("A schedule is JSON with name and windows.") from None


def as_of_sheet(problem: FieldProblem, body: object) -> FieldProblem:
    """The problem under the line and the column that it is about."""
    place, _, name = problem.field.partition(".")
    rate = re.match(r"rates\.(\d+)", name)
    if rate and isinstance(body, dict):
        meter = body["rates"][int(rate[1])]["meter"]
        name = meter if meter in TOKEN_COLUMNS else "units"
    name = _COLUMN_OF.get(name, name)
    return FieldProblem(f"{place}, {name}" if name else place, problem.code, problem.message)
