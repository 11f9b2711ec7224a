"""Chart descriptions: valid in plotly's own schema, adding up, told in words."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal

import plotly.graph_objects as go

from finops.ui import charts
from finops.ui.charts import Buckets, Series
from finops.ui.formats import Currency

USD = Currency("USD")
DAYS = Buckets(["2026-11-22", "2026-11-23", "2026-11-24"], "2026-11-25", running=True)


def amounts(*values: str) -> list[Decimal]:
    return [Decimal(value) for value in values]


def test_the_nine_largest_stand_alone_and_the_rest_is_other() -> None:
    rows = {f"team {n:02}": amounts(str(n), "1") for n in range(12)}

    series = charts.ranked(rows)

    assert [one.name for one in series[:9]] == [f"team {n:02}" for n in range(11, 2, -1)]
    assert (series[9].name, series[9].amounts) == ("Other (3)", amounts("3", "3"))
    assert len({one.token for one in series}) == 10


def test_a_name_keeps_its_colour_when_smaller_ones_come_and_go() -> None:
    alone = charts.colours(["search"])

    among_others = charts.colours(["search", "support", "ads", "platform"])

    assert among_others["search"] == alone["search"]


def test_stacked_bars_are_a_valid_figure_with_the_running_day_hatched() -> None:
    series = charts.ranked({"search": amounts("1", "2", "3"), "ads": amounts("0", "0.5", "1")})

    figure = charts.stacked_bars(series, DAYS, USD)

    go.Figure(figure, skip_invalid=False)
    assert figure["data"][0]["marker"]["pattern"]["shape"] == ["", "", "/"]
    assert figure["layout"]["meta"]["ends"] == ["2026-11-23", "2026-11-24", "2026-11-25"]
    assert [trace["y"] for trace in figure["data"]] == [[1.0, 2.0, 3.0], [0.0, 0.5, 1.0]]


def test_ranking_bars_are_a_valid_figure_in_the_order_given() -> None:
    figure = charts.ranking_bars([("a", Decimal(-3), "/a"), ("b", Decimal(2), "/b")], USD)

    go.Figure(figure, skip_invalid=False)
    assert figure["data"][0]["x"] == [-3.0, 2.0]
    assert figure["data"][0]["customdata"] == ["/a", "/b"]


def test_a_quarter_of_ten_series_stays_small() -> None:
    starts = [(date(2026, 8, 1) + timedelta(days=n)).isoformat() for n in range(92)]
    rows = {f"team {n}": [Decimal("1234.5678") * (n + 1)] * 92 for n in range(12)}

    figure = charts.stacked_bars(charts.ranked(rows), Buckets(starts, "2026-11-01"), USD)

    assert len(json.dumps(figure, separators=(",", ":"))) < 35_000


def test_the_sentence_names_the_extremes_without_the_running_day() -> None:
    series = [Series("search", amounts("10", "2000", "1")), Series("ads", amounts("5", "30", "1"))]

    sentence = charts.trend_sentence(series, DAYS, USD)

    assert sentence == (
        "Highest on 23 Nov with $2,030, of it search $2,000; lowest on 22 Nov with $15.00. "
        "The last bar, hatched, is not over."
    )


def test_the_sentence_says_when_there_is_nothing() -> None:
    assert charts.trend_sentence([], DAYS, USD) == "Nothing was used in these days."


def test_a_sparkline_spans_its_box() -> None:
    assert charts.spark_points(amounts("0", "5", "10")) == ("0,29 1,15 2,1", 2)
    assert charts.spark_points(amounts("3")) == ("", 0)
