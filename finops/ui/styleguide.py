"""Every component on one page, in both themes; only while developing (DEBUG)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from finops.ui import charts
from finops.ui.charts import Buckets, Chart
from finops.ui.filter_bar import Bar
from finops.ui.filters import Condition, Dimension, Screen, View
from finops.ui.formats import Currency

_FIRST = date(2026, 11, 1)
_DIMENSIONS = (Dimension("team", "Team"), Dimension("feature", "Feature"), Dimension("model", "Model"))


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """Tiles, tables, chips, states, forms and charts with made-up figures."""
    screen = Screen(path="/styleguide/", dimensions=_DIMENSIONS, group="team", tabs=("table", "changes"))
    view = View(
        screen=screen,
        today=_FIRST + timedelta(days=20),
        period="this-month",
        group="team",
        filters={"team": Condition(("search", "support"), negated=True)},
    )
    names = [f"series {number}" for number in range(1, 12)]
    rows = {
        name: [Decimal(50 + 7 * ((n * (place + 3)) % 9)) / (place + 1) for n in range(21)]
        for place, name in enumerate(names)
    }
    days = [(_FIRST + timedelta(days=n)).isoformat() for n in range(21)]
    buckets = Buckets(days, (_FIRST + timedelta(days=21)).isoformat(), running=True)
    currency = Currency(settings.REPORTING_CURRENCY)
    series = charts.ranked(rows)
    ranking = [
        ("gpt-x", Decimal(420), ""),
        ("qwen3-32b", Decimal(-180), ""),
        ("claude-sonnet-5", Decimal(35), ""),
    ]
    context = {
        "view": view,
        "bar": Bar(view, ("period", "compare", "group", "split", "cost", "grain")),
        "heading": "Styleguide",
        "aside": "every component",
        "exports": [("CSV", "#"), ("Excel workbook", "#")],
        "tabs": [("Costs", "#", True), ("What changed", "#", False)],
        "chart": Chart(
            "stacked",
            "Stacked bars",
            charts.trend_sentence(series, buckets, currency),
            charts.stacked_bars(series, buckets, currency),
            "figures",
            series,
        ),
        "ranking": Chart(
            "ranking", "Horizontal bars", "A sign is a side.", charts.ranking_bars(ranking, currency)
        ),
        "amounts": [Decimal(text) for text in ("48213.004", "999.5", "0.0042", "0", "-744.6")],
        "tokens": [7_900_000_000, 1_234, 12],
        "before": Decimal(42109),
        "trend": rows["series 1"],
        "part": Decimal(81),
        "whole": Decimal(100),
        "statuses": ["ok", "risk", "over", "bad", "warn"],
        "levels": ["info", "success", "warning", "error"],
    }
    return render(request, "styleguide.html", context)
