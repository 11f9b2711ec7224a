"""A report with the one it is compared with, as lines with names, links and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.conf import settings

from attribution.reports import CostReport, Granularity, costs
from attribution.views import asking, lines
from attribution.views.lines import Line, Table
from attribution.views.names import Names, names_of
from finops.ui import charts, formats
from finops.ui.charts import Buckets, Chart
from finops.ui.exports import Cell
from finops.ui.filters import COSTS, Condition, Dimension, Screen, View
from finops.ui.formats import Change, Currency
from finops.ui.screens import Asked

EXPLORER = Screen(
    path="/costs/",
    dimensions=asking.DIMENSIONS,
    more=asking.tag_dimensions,
    group="team",
    sorts=lines.SORTS,
    tabs=("table", "changes"),
)
ARITHMETIC_PATH = "/costs/arithmetic/"
# Dimensions whose values have a page of their own.
PAGES = {"team": "/teams/", "feature": "/features/", "tier": "/tiers/"}
# What a row leads to otherwise: the next question one usually has.
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
    "charge_kind": "team",
}
_EACH = {"hour": "hour by hour", "day": "day by day", "month": "month by month", "total": "in all"}


@dataclass(frozen=True, slots=True)
class Answer:
    """``base`` is the same question in the cost explorer; links lead on from there."""

    base: View
    report: CostReport
    before: CostReport | None
    names: Names
    axis: Sequence[tuple[lines.Start, str]]

    @property
    def rows(self) -> list[Line]:
        rows = lines.by_name(
            self.report, self.before, label=self.label, axis=[start for start, _ in self.axis]
        )
        return [self._linked(line) for line in rows]

    @property
    def total(self) -> Line:
        total = lines.total_line(self.report, self.before, [start for start, _ in self.axis])
        return replace(total, sums_url=sums_url(self.base))

    def table(self, sort: str = "-cost", *, most: int = lines.MOST_LINES) -> Table:
        return lines.table(self.rows, self.total, sort, most=most)

    def label(self, position: int, value: str | None) -> str:
        """The name of a value of the report's n-th dimension."""
        return self.names.label(self.report.query.group_by[position], value)

    def trend(self, table: Table, *, table_id: str, name: str = "trend") -> Chart:
        """Stacked bars of the lines of a table over time; a click leads to that bar's costs."""
        base, span = self.base, self.base.span
        rows, links, pages = {}, {}, {}
        for line in table.lines:
            rows[line.name] = list(line.trend)
            pages[line.name] = line.url
            links[line.name] = base.narrowed(base.group, line.value).bucket_link if line.url else ""
        grain = self.report.query.granularity.value
        series = charts.ranked(rows, links, pages)
        buckets = Buckets(
            [label for _, label in self.axis],
            span.so_far.end.isoformat(),
            grain,
            running=span.is_running and grain != "hour",
        )
        currency = Currency(settings.REPORTING_CURRENCY)
        group = base.screen.dimension(base.group).label.lower()
        return Chart(
            name=name,
            heading=f"{COSTS[base.cost]} by {group}, {_EACH[grain]}",
            sentence=charts.trend_sentence(series, buckets, currency),
            figure=charts.stacked_bars(series, buckets, currency),
            table=table_id,
            series=series,
        )

    def _linked(self, line: Line) -> Line:
        base = self.base
        narrowed = base.narrowed(base.group, line.value)
        deeper = narrowed.with_(group=NEXT_GROUP.get(base.group, "model"), split="").url
        if base.group in PAGES and line.value is not None and not base.filters:
            query = base.with_(group=base.screen.group, split="", sort=base.screen.sorts[0]).url
            deeper = f"{PAGES[base.group]}{line.value}/{query.removeprefix(base.screen.path)}"
        children = [
            _with_evidence(child, narrowed.narrowed(base.split, child.value))
            for child in line.children
            if base.split and child.value is not None
        ] or line.children
        return replace(_with_evidence(line, narrowed), url=deeper, children=children)


def _with_evidence(line: Line, view: View) -> Line:
    return replace(line, calls_url=calls_url(view), sums_url=sums_url(view))


def ask(
    asked: Asked,
    group: str,
    split: str = "",
    *,
    only: Mapping[str, str] | None = None,
    granularity: Granularity | None = None,
    measures: tuple[str, ...] = asking.MEASURES,
    by_kind: bool = False,
) -> Answer:
    """The report of this view by one or two dimensions, and the one it is compared with.

    ``by_kind``: with what its total is made of. Two queries a report, and one for the names of each
    registered dimension.
    """
    view = asked.view
    group_by = (group, split) if split else (group,)
    base = in_explorer(view, only).with_(group=group, split=split)
    fine = granularity or asking.granularity_of(asked)
    report = costs(
        asking.question(asked, *group_by, granularity=fine, measures=measures, only=only, by_kind=by_kind)
    )
    before = None
    if view.compared is not None:
        before = costs(asking.question(asked, *group_by, period=view.compared, measures=measures, only=only))
    axis = asking.axis_of(report) if fine != Granularity.TOTAL else []
    return Answer(base, report, before, names_of(group_by), axis)


def in_explorer(view: View, only: Mapping[str, str] | None = None) -> View:
    """The same question in the cost explorer, narrowed to what a page is about: links lead on from it."""
    return view.with_(
        screen=replace(EXPLORER, costs=view.screen.costs, dimensions=_all_dimensions(view)),
        filters={**view.filters, **{name: Condition((value,)) for name, value in (only or {}).items()}},
        sort=EXPLORER.sorts[0],
        tab=EXPLORER.tabs[0],
        others={},
    )


def _all_dimensions(view: View) -> tuple[Dimension, ...]:
    """Those of the explorer, with the tags that this view knows: its conditions lead on there."""
    known = dict.fromkeys((*EXPLORER.dimensions, *view.screen.dimensions))
    return tuple(known)


def headline(view: View, total: Line) -> str:
    """The answer in one line: "October 2026: $48,213, ▲ $6,104 (+14.5%) on September 2026"."""
    currency, span = Currency(settings.REPORTING_CURRENCY), view.span
    days = formats.days(span.whole.first, span.so_far.end)
    text = f"{days}: {formats.tile_money(total.known_cost, currency)}"
    if total.before is None or view.compared is None:
        return text
    moved = formats.change_in_tile(Change(total.before, total.known_cost), currency)
    return f"{text}, {moved} on {formats.days(view.compared.first, view.compared.end)}"


def calls_url(view: View) -> str:
    """The calls behind a view: the same period and conditions on the screen of usage events."""
    dimensions = tuple(one for one in view.screen.dimensions if one.name != "charge_kind")
    screen = Screen(path="/usage/", dimensions=dimensions, sorts=("",))
    plain = View(screen=screen, today=view.today, period=view.period, custom=view.custom)
    return plain.with_(filters=view.filters).url


def sums_url(view: View) -> str:
    """The arithmetic of a view's cost: the same period, conditions and cost on its own screen."""
    screen = Screen(path=ARITHMETIC_PATH, dimensions=view.screen.dimensions, costs=view.screen.costs)
    plain = View(screen=screen, today=view.today, period=view.period, custom=view.custom, cost=view.cost)
    return plain.with_(filters=view.filters).url


def about(asked: Asked, report: CostReport) -> list[tuple[str, Cell]]:
    """The sheet that says what a download is."""
    view, bar = asked.view, asked.bar()
    total = lines.cost_of(report.total, report.query.measures[0])
    return [
        ("Period", bar.days),
        ("From (included)", report.query.period.first),
        ("To (not included)", report.query.period.end),
        ("Time zone", str(settings.REPORTING_TIME_ZONE)),
        ("Compared with", bar.compared_days or "nothing"),
        ("Filters", "; ".join(chip.text for chip in view.chips) or "none"),
        ("Cost", COSTS[view.cost]),
        ("Currency", settings.REPORTING_CURRENCY),
        ("Completeness", asking.freshness(report.coverage)),
        ("Total to check", total if total is not None else Decimal(0)),
        ("View", asked.request.build_absolute_uri(view.pinned().url)),
    ]
