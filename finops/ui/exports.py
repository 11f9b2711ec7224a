"""Downloads: one generator of rows, rendered as CSV or as XLSX, that is what the screen shows.

Columns and rows come from the screen's own report, so an export can only differ from the page by its
format: decimals are exact, times are ISO 8601 with offset, the minus is ASCII.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import IO

import xlsxwriter
from django.http import FileResponse, HttpResponseBase, StreamingHttpResponse

from finops.core.money import as_text

Cell = str | int | Decimal | date | datetime | None
BOM = "\ufeff"
# What a spreadsheet would run as a formula when a cell starts with it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ROWS_A_CHUNK = 500
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"


class Kind(StrEnum):
    """How a column's numbers look in a spreadsheet."""

    TEXT = "text"
    MONEY = "money"
    UNIT_PRICE = "unit_price"
    COUNT = "count"
    SHARE = "share"  # per cent, 0 to 100
    DAY = "day"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in the head, and what kind of thing is in it."""

    title: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Export:
    """A table to download. ``about`` says what it is: filters, period, zone, currency, total to check.

    ``rows`` is consumed once. ``total`` is an optional last row, set apart.
    """

    name: str  # of the file, without its ending
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]
    total: Sequence[Cell] | None = None
    about: Sequence[tuple[str, Cell]] = field(default_factory=tuple)


def respond(export: Export, wanted: Format) -> HttpResponseBase:
    """The download. CSV is streamed while rows come; XLSX is a zip and is sent once it is complete."""
    if wanted == Format.XLSX:
        return FileResponse(
            as_xlsx(export), as_attachment=True, filename=f"{export.name}.xlsx", content_type=XLSX_TYPE
        )
    response = StreamingHttpResponse(as_csv(export), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{export.name}.csv"'
    return response


def as_csv(export: Export) -> Iterator[str]:
    """Chunks of a CSV file that Excel opens as UTF-8; text that would run as a formula is quoted."""
    buffer = io.StringIO()
    buffer.write(BOM)
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([column.title for column in export.columns])
    for number, row in enumerate(_all_rows(export), 1):
        writer.writerow([_csv_text(cell) for cell in row])
        if number % _ROWS_A_CHUNK == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def as_xlsx(export: Export) -> IO[bytes]:
    """A workbook in a temporary file, open at its start: the rows, and a sheet About.

    Written row by row in constant memory. Numbers are numbers, with the digits that a spreadsheet
    keeps (15); every digit of a total stands on About. Instants are written in UTC.
    """
    # The answer that is sent from it closes the file, which removes it.
    target = tempfile.TemporaryFile()  # noqa: SIM115
    options = {"constant_memory": True, "default_date_format": "yyyy-mm-dd", "remove_timezone": True}
    with xlsxwriter.Workbook(target, options) as book:
        bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        plain = {kind: book.add_format(_XLSX_FORMAT.get(kind, {})) for kind in Kind}
        weight = {"bold": True, "top": 1}
        heavy = {kind: book.add_format({**_XLSX_FORMAT.get(kind, {}), **weight}) for kind in Kind}
        sheet = book.add_worksheet("Data")
        sheet.freeze_panes(1, 1)
        for index, column in enumerate(export.columns):
            sheet.set_column(index, index, _XLSX_WIDTH.get(column.kind, 16))
        _write(sheet, 0, [column.title for column in export.columns], [bold] * len(export.columns))
        line = 0
        for line, row in enumerate(export.rows, 1):
            _write(sheet, line, row, [plain[column.kind] for column in export.columns])
        sheet.autofilter(0, 0, line, len(export.columns) - 1)
        if export.total is not None:
            _write(sheet, line + 1, export.total, [heavy[column.kind] for column in export.columns])
        about = book.add_worksheet("About")
        about.set_column(0, 0, 24)
        about.set_column(1, 1, 80)
        for line, (label, value) in enumerate(export.about):
            about.write_string(line, 0, label, heavy[Kind.TEXT])
            about.write_string(line, 1, _text(value))
    target.seek(0)
    return target


def _all_rows(export: Export) -> Iterator[Sequence[Cell]]:
    yield from export.rows
    if export.total is not None:
        yield export.total


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _csv_text(cell: Cell) -> str:
    text = _text(cell)
    return f"'{text}" if isinstance(cell, str) and text.startswith(_FORMULA) else text


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return as_text(cell)
    return cell.isoformat() if isinstance(cell, date) else str(cell)


_XLSX_FORMAT = {
    Kind.MONEY: {"num_format": "#,##0.00"},
    Kind.UNIT_PRICE: {"num_format": "#,##0.00####"},
    Kind.COUNT: {"num_format": "#,##0"},
    Kind.SHARE: {"num_format": '0.0"%"'},
    Kind.DAY: {"num_format": "yyyy-mm-dd"},
    Kind.MOMENT: {"num_format": "yyyy-mm-dd hh:mm:ss"},
}
_XLSX_WIDTH = {Kind.TEXT: 28, Kind.MOMENT: 20, Kind.DAY: 12, Kind.SHARE: 10}


def _write(
    sheet: xlsxwriter.worksheet.Worksheet,
    line: int,
    row: Sequence[Cell],
    formats: Sequence[xlsxwriter.format.Format],
) -> None:
    for index, (cell, style) in enumerate(zip(row, formats, strict=True)):
        if cell is None:
            sheet.write_blank(line, index, None, style)
        elif isinstance(cell, str):
            sheet.write_string(line, index, cell, style)
        elif isinstance(cell, datetime):
            sheet.write_datetime(line, index, cell.astimezone(UTC), style)
        elif isinstance(cell, date):
            sheet.write_datetime(line, index, cell, style)
        else:
            sheet.write_number(line, index, float(cell), style)
