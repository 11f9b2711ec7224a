"""Cost explorer: where did the money go, and what changed?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.conf import settings
from django.http import HttpResponseBase

from attribution.reports import CostReport, costs
from attribution.views import asking, lines
from attribution.views.lines import Line, Table
from attribution.views.names import Names, names_of
from attribution.views.what_changed import Changes, what_changed
from finops.ui import charts, exports, formats
from finops.ui.charts import Buckets, Chart
from finops.ui.exports import Cell, Column, Export, Format, Kind
from finops.ui.filters import COSTS, Screen, View
from finops.ui.formats import Change, Currency
from finops.ui.screens import Asked, opens

EXPLORER = Screen(
    path="/costs/",
    dimensions=asking.DIMENSIONS,
    group="team",
    sorts=lines.SORTS,
    tabs=("table", "changes"),
)
OFFERS = ("period", "compare", "group", "split", "cost", "grain")
# What a row leads to: the next question one usually has.
NEXT_GROUP = {
    "business_unit": "cost_centre",
    "cost_centre": "team",
    "team": "feature",
    "feature": "model",
    "tier": "feature",
    "provider": "model",
    "model": "service_tier",
    "customer": "feature",
    "workflow": "step",
    "environment": "team",
    "source": "api_key",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One report with the one it is compared with, as lines with names and links."""

    asked: Asked
    report: CostReport
    before: CostReport | None
    names: Names
    axis: Sequence[tuple[lines.Start, str]]

    @property
    def table(self) -> Table:
        starts = [start for start, _ in self.axis]
        rows = lines.by_name(self.report, self.before, label=self.label, axis=starts)
        rows = [self._linked(line) for line in rows]
        total = lines.total_line(self.report, self.before, starts)
        return lines.table(rows, total, self.asked.view.sort)

    def label(self, position: int, value: str | None) -> str:
        """The name of a value of the report's n-th dimension."""
        return self.names.label(self.report.query.group_by[position], value)

    def _linked(self, line: Line) -> Line:
        view = self.asked.view
        narrowed = view.narrowed(view.group, line.value)
        deeper = narrowed.with_(group=NEXT_GROUP.get(view.group, "model"), split="", tab="table")
        children = [
            replace(child, calls_url=calls_url(narrowed.narrowed(view.split, child.value)))
            for child in line.children
            if view.split
        ]
        return replace(line, url=deeper.url, calls_url=calls_url(narrowed), children=children)


@opens(EXPLORER)
def explorer(asked: Asked) -> HttpResponseBase:
    """The report as chart and table, or what changed since the period before."""
    answer = ask(asked)
    table = answer.table
    context = {
        "bar": asked.bar(*OFFERS),
        "exports": asked.exports(),
        "answer": answer,
        "table": table,
        "heading": headline(asked.view, table.total),
        "fresh": asking.freshness(answer.report.coverage),
        "too_fine": asking.too_fine(asked),
        "group_label": asked.view.screen.dimension(asked.view.group).label,
        "tabs": _tabs(asked.view),
    }
    if asked.view.tab == "changes":
        context["changes"] = _changes(asked)
    else:
        context["chart"] = trend_chart(answer, table, "costs-table")
    return asked.answer("attribution/explorer.html", context)


@opens(EXPLORER, file=True)
def explorer_export(asked: Asked, wanted: str) -> HttpResponseBase:
    """The rows of the screen, all of them, as a file."""
    view, answer = asked.view, ask(asked)
    measured = f"{COSTS[view.cost]} ({settings.REPORTING_CURRENCY})"
    dimensions = [view.screen.dimension(name) for name in answer.report.query.group_by]
    columns = [Column(dimension.label) for dimension in dimensions]
    columns += [Column(measured, Kind.MONEY), Column("Calls", Kind.COUNT), Column("Tokens", Kind.COUNT)]
    if answer.before is not None:
        columns.append(Column(f"{measured}, {asked.bar().compared_days}", Kind.MONEY))
    starts = [start for start, _ in answer.axis]
    unlinked = lines.by_name(answer.report, answer.before, label=answer.label, axis=starts)
    ordered = lines.in_order(unlinked, view.sort)
    total = lines.total_line(answer.report, answer.before)
    blanks: list[Cell] = [None] * (len(dimensions) - 1)
    export = Export(
        name=f"costs-{view.span.so_far.first}-{view.span.so_far.end}",
        columns=columns,
        rows=(row for line in ordered for row in _rows(line, answer)),
        total=["Total", *blanks, *_figures(total, answer)],
        about=about(asked, answer.report),
    )
    return exports.respond(export, Format(wanted))


def ask(asked: Asked) -> Answer:
    """The reports behind a view: two statements, and two more when something is compared."""
    view = asked.view
    group_by = (view.group, view.split) if view.split else (view.group,)
    report = costs(asking.question(asked, *group_by, granularity=asking.granularity_of(asked)))
    before = None
    if view.compared is not None:
        before = costs(asking.question(asked, *group_by, period=view.compared, measures=()))
    return Answer(asked, report, before, names_of(group_by), asking.axis_of(report))


def headline(view: View, total: Line) -> str:
    """The answer in one line: "October 2026: $48,213, ▲ $6,104 (+14.5%) on September 2026"."""
    currency = Currency(settings.REPORTING_CURRENCY)
    span = view.span
    text = (
        f"{formats.days(span.whole.first, span.so_far.end)}: {formats.tile_money(total.known_cost, currency)}"
    )
    if total.before is None or view.compared is None:
        return text
    moved = formats.change_in_tile(Change(total.before, total.known_cost), currency)
    return f"{text}, {moved} on {formats.days(view.compared.first, view.compared.end)}"


def trend_chart(answer: Answer, table: Table, table_id: str, name: str = "trend") -> Chart:
    """Stacked bars of the lines of a table over time; a click leads to that bar's costs."""
    asked, view = answer.asked, answer.asked.view
    rows, links, pages = {}, {}, {}
    for line in table.lines:
        rows[line.name] = list(line.trend)
        pages[line.name] = line.url
        links[line.name] = view.narrowed(view.group, line.value).bucket_link if line.url else ""
    grain = answer.report.query.granularity.value
    series = charts.ranked(rows, links, pages)
    buckets = Buckets(
        [label for _, label in answer.axis],
        view.span.so_far.end.isoformat(),
        grain,
        running=view.span.is_running and grain != "hour",
    )
    currency = Currency(settings.REPORTING_CURRENCY)
    dimension = asked.view.screen.dimension(view.group)
    return Chart(
        name=name,
        heading=f"{COSTS[view.cost]} by {dimension.label.lower()}, {_EACH[grain]}",
        sentence=charts.trend_sentence(series, buckets, currency),
        figure=charts.stacked_bars(series, buckets, currency),
        table=table_id,
        series=series,
    )


def calls_url(view: View) -> str:
    """The calls behind a view: the same period and conditions on the screen of usage events."""
    screen = replace(view.screen, path="/usage/", group="", sorts=("",), tabs=())
    plain = View(screen=screen, today=view.today, period=view.period, custom=view.custom)
    return plain.with_(filters=view.filters).url


def about(asked: Asked, report: CostReport) -> list[tuple[str, Cell]]:
    """The sheet that says what a download is."""
    view, bar = asked.view, asked.bar()
    conditions = "; ".join(chip.text for chip in view.chips) or "none"
    total = lines.cost_of(report.total, report.query.measures[0])
    return [
        ("Period", bar.days),
        ("From (included)", report.query.period.first),
        ("To (not included)", report.query.period.end),
        ("Time zone", str(settings.REPORTING_TIME_ZONE)),
        ("Compared with", bar.compared_days or "nothing"),
        ("Filters", conditions),
        ("Cost", COSTS[view.cost]),
        ("Currency", settings.REPORTING_CURRENCY),
        ("Completeness", asking.freshness(report.coverage)),
        ("Total to check", total if total is not None else Decimal(0)),
        ("View", asked.request.build_absolute_uri(view.pinned().url)),
    ]


_EACH = {"hour": "hour by hour", "day": "day by day", "month": "month by month", "total": "in all"}


def _tabs(view: View) -> list[tuple[str, str, bool]]:
    labels = {"table": "Costs", "changes": "What changed"}
    return [(labels[tab], view.with_(tab=tab).url, tab == view.tab) for tab in view.screen.tabs]


def _changes(asked: Asked) -> Changes | None:
    return what_changed(asked, asked.view.group) if asked.view.compared is not None else None


def _rows(line: Line, answer: Answer) -> list[list[Cell]]:
    if not answer.asked.view.split:
        return [[line.name, *_figures(line, answer)]]
    return [[line.name, child.name, *_figures(child, answer)] for child in line.children]


def _figures(line: Line, answer: Answer) -> list[Cell]:
    figures: list[Cell] = [line.cost, line.calls, line.tokens]
    return [*figures, line.before] if answer.before is not None else figures
