"""Cost explorer: where did the money go, and what changed?"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponseBase

from attribution.views import asking, lines
from attribution.views.answering import EXPLORER, Answer, about, ask, headline
from attribution.views.lines import Line
from attribution.views.what_changed import what_changed
from finops.ui import exports
from finops.ui.exports import Cell, Column, Export, Format, Kind
from finops.ui.filters import COSTS, View
from finops.ui.screens import Asked, opens

OFFERS = ("period", "compare", "group", "split", "cost", "grain")
# With a split there are rows of rows: fewer of each, so that the page stays small.
MOST_ROWS_WITH_SPLIT, MOST_CHILDREN = 40, 90


@opens(EXPLORER)
def explorer(asked: Asked) -> HttpResponseBase:
    """The report as chart and table, or what changed since the period before."""
    view = asked.view
    answer = ask(asked, view.group, view.split)
    table = answer.table(view.sort, most=MOST_ROWS_WITH_SPLIT if view.split else lines.MOST_LINES)
    if view.split:
        table = lines.with_fewer_children(table, MOST_CHILDREN)
    context = {
        "bar": asked.bar(*OFFERS),
        "exports": asked.exports(),
        "table": table,
        "heading": headline(view, table.total),
        "fresh": asking.freshness(answer.report.coverage),
        "too_fine": asking.too_fine(asked),
        "group_label": view.screen.dimension(view.group).label,
        "tabs": _tabs(view),
    }
    if view.tab == "changes":
        context["changes"] = what_changed(asked, view.group)
    else:
        context["chart"] = answer.trend(table, table_id="costs-table")
    return asked.answer("attribution/explorer.html", context)


@opens(EXPLORER, file=True)
def explorer_export(asked: Asked, wanted: str) -> HttpResponseBase:
    """The rows of the screen, all of them, as a file."""
    view = asked.view
    answer = ask(asked, view.group, view.split)
    measured = f"{COSTS[view.cost]} ({settings.REPORTING_CURRENCY})"
    dimensions = [view.screen.dimension(name) for name in answer.report.query.group_by]
    columns = [Column(dimension.label) for dimension in dimensions]
    columns += [Column(measured, Kind.MONEY), Column("Calls", Kind.COUNT), Column("Tokens", Kind.COUNT)]
    if answer.before is not None:
        columns.append(Column(f"{measured}, {asked.bar().compared_days}", Kind.MONEY))
    blanks: list[Cell] = [None] * (len(dimensions) - 1)
    export = Export(
        name=f"costs-{view.span.so_far.first}-{view.span.so_far.end}",
        columns=columns,
        rows=(row for line in lines.in_order(answer.rows, view.sort) for row in _rows(line, answer)),
        total=["Total", *blanks, *_figures(answer.total, answer)],
        about=about(asked, answer.report),
    )
    return exports.respond(export, Format(wanted))


def _tabs(view: View) -> list[tuple[str, str, bool]]:
    labels = {"table": "Costs", "changes": "What changed"}
    return [(labels[tab], view.with_(tab=tab).url, tab == view.tab) for tab in view.screen.tabs]


def _rows(line: Line, answer: Answer) -> list[list[Cell]]:
    if not answer.base.split:
        return [[line.name, *_figures(line, answer)]]
    return [[line.name, child.name, *_figures(child, answer)] for child in line.children]


def _figures(line: Line, answer: Answer) -> list[Cell]:
    figures: list[Cell] = [line.cost, line.calls, line.tokens]
    return [*figures, line.before] if answer.before is not None else figures
