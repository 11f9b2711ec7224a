"""What a chart shows, as a description that ``static/js/charts.js`` draws in the colours of the theme.

Descriptions are plain dicts in plotly's schema, checked against ``plotly.graph_objects`` by the tests:
building them with that library would cost every web process 28 MB. Amounts become floats here, and
only here, because a picture needs no more; nothing computed from them is ever written back.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from finops.ui import formats
from finops.ui.formats import Currency

COLOURS = 9  # tokens series-1 to series-9
OTHER, OTHER_TOKEN = "Other", "series-other"
COLOUR_OF_RANKINGS = "series-1"
ZERO = Decimal(0)
_MARGIN = {"t": 8, "r": 8, "b": 32, "l": 60}
Figure = dict[str, Any]  # Any: plotly's schema


@dataclass(frozen=True, slots=True)
class Series:
    """One name's amounts, bucket by bucket; ``link`` leads to it, ``{from}`` and ``{to}`` to a bucket."""

    name: str
    amounts: Sequence[Decimal]
    token: str = OTHER_TOKEN
    link: str = ""
    page: str = ""  # where its name in the legend leads

    @property
    def total(self) -> Decimal:
        return sum(self.amounts, ZERO)


@dataclass(frozen=True, slots=True)
class Buckets:
    """The time axis: first day or instant of each bucket, the end of the last, and which one runs."""

    starts: Sequence[str]
    end: str
    grain: str = "day"
    running: bool = False  # the last bucket is not over: it is hatched


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with what makes it readable without eyes: heading, sentence, the table it shows."""

    name: str
    heading: str
    sentence: str
    figure: Figure
    table: str = ""  # id of the table on the page with the same figures
    series: Sequence[Series] = field(default_factory=tuple)

    @property
    def island(self) -> str:
        return f"{self.name}-data"


def ranked(
    rows: Mapping[str, Sequence[Decimal]],
    links: Mapping[str, str] | None = None,
    pages: Mapping[str, str] | None = None,
) -> list[Series]:
    """The nine largest by their total over the period, then the rest as Other.

    A name keeps its colour from view to view as far as no larger name has taken it.
    """
    by_total = sorted(rows, key=lambda name: (-sum(rows[name], ZERO), name))
    kept, rest = by_total[:COLOURS], by_total[COLOURS:]
    tokens = colours(kept)
    series = [
        Series(name, rows[name], tokens[name], (links or {}).get(name, ""), (pages or {}).get(name, ""))
        for name in kept
    ]
    if rest:
        sums = [sum(column, ZERO) for column in zip(*(rows[name] for name in rest), strict=True)]
        series.append(Series(f"{OTHER} ({len(rest)})", sums))
    return series


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour token for each name: the one its name hashes to, else the next one free."""
    taken: dict[int, str] = {}
    for name in names:
        start = zlib.crc32(name.encode()) % COLOURS
        free = [(start + n) % COLOURS for n in range(COLOURS) if (start + n) % COLOURS not in taken]
        taken[free[0] if free else COLOURS + len(taken)] = name
    return {name: f"series-{index + 1}" if index < COLOURS else OTHER_TOKEN for index, name in taken.items()}


def stacked_bars(series: Sequence[Series], buckets: Buckets, currency: Currency) -> Figure:
    """Cost per bucket, one colour a series, the largest at the bottom."""
    pattern = [""] * (len(buckets.starts) - 1) + ["/"] if buckets.running else None
    traces = []
    for one in series:
        trace: Figure = {
            "type": "bar",
            "name": one.name,
            "x": list(buckets.starts),
            "y": _floats(one.amounts),
            "hovertemplate": f"%{{x|{_HOVER[buckets.grain]}}}: {currency.symbol}%{{y:,.2f}}",
            "meta": {"token": one.token, "link": one.link},
        }
        if pattern:
            trace["marker"] = {"pattern": {"shape": pattern, "fillmode": "overlay"}}
        traces.append(trace)
    axis: Figure = {"type": "date", "tickformat": _TICK[buckets.grain], "showgrid": False}
    if buckets.grain == "day" and len(buckets.starts) <= 10:
        axis["dtick"] = 86_400_000
    if buckets.grain == "month":
        axis["dtick"] = "M1"
    layout: Figure = {
        "barmode": "relative",
        "bargap": 0.2,
        "hovermode": "closest",
        "margin": _MARGIN,
        "showlegend": False,  # the page has a legend of its own
        "xaxis": axis,
        "yaxis": {
            "tickprefix": currency.symbol,
            "tickformat": _ticks([sum(column) for column in zip(*(t["y"] for t in traces), strict=True)]),
            "rangemode": "tozero",
        },
        "meta": {"ends": [*buckets.starts[1:], buckets.end]},
    }
    return {"data": traces, "layout": layout}


def ranking_bars(rows: Sequence[tuple[str, Decimal, str]], currency: Currency) -> Figure:
    """Horizontal bars of (name, amount, link) in the order given, first at the top; a sign is a side."""
    names = [formats.middle(name, 28) for name, _, _ in rows]
    trace: Figure = {
        "type": "bar",
        "orientation": "h",
        "x": _floats([amount for _, amount, _ in rows]),
        "y": list(range(len(rows))),
        "text": [formats.money(amount, currency) for _, amount, _ in rows],
        "textposition": "outside",
        "textfont": {"size": 12},
        "cliponaxis": False,
        "hoverinfo": "text",
        "hovertext": [f"{name}: {formats.money(amount, currency)}" for name, amount, _ in rows],
        "customdata": [link for _, _, link in rows],
        "meta": {"token": COLOUR_OF_RANKINGS},
    }
    layout: Figure = {
        "bargap": 0.3,
        "hovermode": "closest",
        "margin": {**_MARGIN, "l": 8},
        "showlegend": False,
        "xaxis": {
            "tickprefix": currency.symbol,
            "tickformat": _ticks(trace["x"]),
            "range": _with_room(trace["x"]),
        },
        "yaxis": {
            "tickmode": "array",
            "tickvals": list(range(len(rows))),
            "ticktext": names,
            "autorange": "reversed",
            "automargin": True,
            "showgrid": False,
            "zeroline": False,
        },
    }
    return {"data": [trace], "layout": layout}


def trend_sentence(series: Sequence[Series], buckets: Buckets, currency: Currency) -> str:
    """The chart in words: the highest and the lowest bucket, and what leads the highest."""
    totals = [sum(column, ZERO) for column in zip(*(one.amounts for one in series), strict=True)]
    whole = totals[:-1] if buckets.running and len(totals) > 1 else totals
    if not whole or not any(totals):
        return "Nothing was used in these days."
    high, low = max(range(len(whole)), key=whole.__getitem__), min(range(len(whole)), key=whole.__getitem__)
    top = max(series, key=lambda one: one.amounts[high])
    lead = f", of it {top.name} {formats.tile_money(top.amounts[high], currency)}" if len(series) > 1 else ""
    text = f"Highest {_when(buckets, high)} with {formats.tile_money(whole[high], currency)}{lead}"
    if high != low:
        text += f"; lowest {_when(buckets, low)} with {formats.tile_money(whole[low], currency)}"
    return f"{text}. The last bar, hatched, is not over." if buckets.running else f"{text}."


def spark_points(values: Sequence[Decimal | int | float]) -> tuple[str, int]:
    """A sparkline as SVG points, one unit apart in a box 30 high, and its width; "" for fewer than two."""
    if len(values) < 2:
        return "", 0
    numbers = [float(value) for value in values]
    top, bottom = max(*numbers, 0.0), min(*numbers, 0.0)
    height = (top - bottom) or 1.0
    points = [f"{n},{29 - 28 * (value - bottom) / height:.0f}" for n, value in enumerate(numbers)]
    return " ".join(points), len(numbers) - 1


_TICK = {"hour": "%-d %b %H:%M", "day": "%-d %b", "month": "%b %Y"}
_HOVER = {"hour": "%-d %b, %H:%M", "day": "%a %-d %b", "month": "%B %Y"}


def _ticks(amounts: Sequence[float]) -> str:
    """How an axis writes amounts: 1.5k from thousands on, else plain digits, never thousandths as "m"."""
    largest = max((abs(amount) for amount in amounts), default=0.0)
    if largest >= 1000:
        return "~s"
    return ",.2~f" if largest >= 1 else ",.2~r"


def _with_room(lengths: Sequence[float]) -> list[float]:
    """An axis that leaves room for the amounts written beside the bars."""
    low, high = min(0.0, *lengths), max(0.0, *lengths)
    room = (high - low or 1.0) * 0.15
    return [low - room if low < 0 else low, high + room if high > 0 else high]


def _floats(amounts: Sequence[Decimal]) -> list[float]:
    return [round(float(amount), 4) for amount in amounts]


def _when(buckets: Buckets, index: int) -> str:
    text = buckets.starts[index]
    if buckets.grain == "hour":
        return f"at {text[:16].replace('T', ' ')}"
    start = date.fromisoformat(text[:10])
    return f"in {start:%B}" if buckets.grain == "month" else f"on {start.day} {start:%b}"
