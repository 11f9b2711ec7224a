"""Downloads: exact, safe to open, with a sheet that says what they are."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
from django.http import StreamingHttpResponse

from finops.ui.exports import Column, Export, Format, Kind, as_csv, as_xlsx, respond

COLUMNS = [
    Column("Team"),
    Column("Effective cost (USD)", Kind.MONEY),
    Column("Calls", Kind.COUNT),
    Column("Day", Kind.DAY),
    Column("At", Kind.MOMENT),
]
AT = datetime(2026, 10, 3, 4, 5, 6, tzinfo=UTC)


def export() -> Export:
    return Export(
        name="showback-2026-10",
        columns=COLUMNS,
        rows=iter(
            [
                ("=HYPERLINK(1)", Decimal("1.230000000001"), 3, date(2026, 10, 3), AT),
                ("naïve, “quoted”", Decimal("-0.50"), 4, None, None),
            ]
        ),
        total=("Total", Decimal("0.730000000001"), 7, None, None),
        about=[("Period", "October 2026"), ("Total to check", Decimal("0.730000000001"))],
    )


def test_csv_is_exact_utf8_and_runs_no_formula() -> None:
    text = "".join(as_csv(export()))

    assert text.startswith("\ufeff")
    assert list(csv.reader(io.StringIO(text.removeprefix("\ufeff")))) == [
        ["Team", "Effective cost (USD)", "Calls", "Day", "At"],
        ["'=HYPERLINK(1)", "1.230000000001", "3", "2026-10-03", "2026-10-03T04:05:06+00:00"],
        ["naïve, “quoted”", "-0.5", "4", "", ""],
        ["Total", "0.730000000001", "7", "", ""],
    ]


def test_csv_is_streamed_while_rows_come() -> None:
    taken = []

    def rows() -> object:
        for number in range(1200):
            taken.append(number)
            yield (number,)

    chunks = as_csv(Export(name="x", columns=[Column("n", Kind.COUNT)], rows=rows()))  # type: ignore[arg-type]
    next(iter(chunks))

    assert len(taken) == 500


def test_xlsx_has_real_numbers_a_frozen_head_and_an_about_sheet() -> None:
    book = openpyxl.load_workbook(as_xlsx(export()))

    data, about = book["Data"], book["About"]
    assert data.freeze_panes == "B2"
    text, money, calls, day, at = [cell.value for cell in data[2]]
    assert (text, money, calls) == ("=HYPERLINK(1)", 1.230000000001, 3)
    assert (day.date(), at) == (AT.date(), AT.replace(tzinfo=None))
    assert data["A2"].data_type == "s"
    assert data["B2"].number_format == "#,##0.00"
    assert [cell.value for cell in data[4]][:3] == ["Total", 0.730000000001, 7]
    assert [[cell.value for cell in row] for row in about.rows] == [
        ["Period", "October 2026"],
        ["Total to check", "0.730000000001"],
    ]


def test_the_answer_is_a_download_under_its_name() -> None:
    answer = respond(export(), Format.CSV)

    assert isinstance(answer, StreamingHttpResponse)
    assert answer["Content-Disposition"] == 'attachment; filename="showback-2026-10.csv"'
