"""The monthly showback: what each team's features cost by tier, with the month before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from attribution.reports import CostReport, Group, Key, costs
from attribution.views import asking, lines
from attribution.views.answering import about, headline
from attribution.views.names import Names, names_of
from finops.core.money import ZERO, apportion, round_to_total
from finops.core.periods import Period, local_day
from finops.ui import exports, formats, presets
from finops.ui.exports import Cell, Column, Export, Format, Kind
from finops.ui.filters import Screen, Unknown
from finops.ui.screens import Asked, opens

DIMENSIONS = ("cost_centre", "team", "feature", "tier")
SHOWBACK = Screen(path="/showback/{month}/", dimensions=asking.DIMENSIONS, period="{month}")
# Beyond so many lines a page shows teams and features; the files have every line.
MOST_DETAIL = 150


@dataclass(frozen=True, slots=True)
class ShowbackLine:
    """What one feature of one team cost for one tier. ``shown`` are cents that add up."""

    key: Key
    feature: str
    tier: str
    cost: Decimal  # exact
    before: Decimal  # exact
    shown: Decimal
    shown_before: Decimal
    calls: int
    tokens: int


@dataclass(frozen=True, slots=True)
class TeamPart:
    """One team in one cost centre, with its lines, the dearest first."""

    name: str
    team: str | None
    cost_centre: str
    lines: Sequence[ShowbackLine]
    shown: Decimal
    shown_before: Decimal

    @property
    def calls(self) -> int:
        return sum(line.calls for line in self.lines)

    @property
    def tokens(self) -> int:
        return sum(line.tokens for line in self.lines)


@dataclass(frozen=True, slots=True)
class Showback:
    """The document: parts sum to the totals to the cent, which are the books' own, rounded once."""

    report: CostReport
    before: CostReport
    parts: Sequence[TeamPart]
    shown: Decimal
    shown_before: Decimal

    @property
    def detail(self) -> bool:
        return sum(len(part.lines) for part in self.parts) <= MOST_DETAIL

    @property
    def calls(self) -> int:
        return sum(part.calls for part in self.parts)

    @property
    def tokens(self) -> int:
        return sum(part.tokens for part in self.parts)


def latest(request: HttpRequest) -> HttpResponse:
    """The last month that is over."""
    today = local_day(timezone.now(), settings.REPORTING_TIME_ZONE)
    month = presets.add_months(today.replace(day=1), -1)
    return HttpResponseRedirect(reverse("attribution:showback", args=[f"{month:%Y-%m}"]))


@opens(SHOWBACK)
def showback(asked: Asked, month: str) -> HttpResponseBase:
    """The month as a document to print, or to take along as a file."""
    document, span = _document(asked, month), asked.view.span
    before = presets.add_months(span.whole.first, -1)
    total = lines.total_line(document.report, document.before)
    context = {
        "bar": asked.bar("cost"),
        "exports": asked.exports(),
        "heading": f"Showback for {formats.days(span.whole.first, span.whole.end)}",
        "aside": "so far" if span.is_running else "",
        "summary": headline(asked.view, total),
        "fresh": asking.freshness(document.report.coverage),
        "coverage": document.report.coverage,
        "document": document,
        "before_name": f"{before:%B %Y}",
        "previous_url": _month_url(asked, before),
        "following_url": _following(asked),
        "printed_at": timezone.now(),
    }
    return asked.answer("attribution/showback.html", context)


@opens(SHOWBACK, file=True)
def showback_export(asked: Asked, month: str, wanted: str) -> HttpResponseBase:
    """Every line, exact and in the cents of the document."""
    document, currency = _document(asked, month), settings.REPORTING_CURRENCY
    columns = [
        *(Column(title) for title in ("Month", "Cost centre", "Team", "Feature", "Tier")),
        Column(f"Cost ({currency})", Kind.MONEY),
        Column(f"Exact cost ({currency})", Kind.UNIT_PRICE),
        Column(f"Month before ({currency})", Kind.MONEY),
        Column("Calls", Kind.COUNT),
        Column("Tokens", Kind.COUNT),
        Column(f"Per 1k requests ({currency})", Kind.UNIT_PRICE),
        Column(f"Per 1M tokens ({currency})", Kind.UNIT_PRICE),
    ]
    exact = lines.cost_of(document.report.total, document.report.query.measures[0]) or ZERO
    total: list[Cell] = ["Total", None, None, None, None, *_figures(exact, document)]
    export = Export(
        name=f"showback-{month}",
        columns=columns,
        rows=_rows(document, month),
        total=total,
        about=about(asked, document.report),
    )
    return exports.respond(export, Format(wanted))


def _document(asked: Asked, month: str) -> Showback:
    view = asked.view
    if presets.span(month, view.today) is None:
        raise Http404
    if view.period != month or view.compare != "previous" or view.group or view.split:
        raise Unknown("period", view.period, [month], f"/showback/{month}/")
    compared = view.span.before()
    report = costs(asking.question(asked, *DIMENSIONS))
    before = costs(asking.question(asked, *DIMENSIONS, period=compared))
    return draw_up(report, before, names_of(DIMENSIONS))


def draw_up(report: CostReport, before: CostReport, names: Names) -> Showback:
    """Round top down by largest remainder: the total once, teams within it, lines within teams."""
    now, earlier = _by_part(report), _by_part(before)
    shown_now, shown_before = _rounded(now), _rounded(earlier)
    parts = []
    for part in dict.fromkeys([*now, *earlier]):
        keys = dict.fromkeys([*now.get(part, {}), *earlier.get(part, {})])
        found = [
            ShowbackLine(
                key=key,
                feature=names.label("feature", key[2]),
                tier=names.label("tier", key[3]),
                cost=_cost(now.get(part, {}).get(key), report),
                before=_cost(earlier.get(part, {}).get(key), before),
                shown=shown_now.get(part, {}).get(key, ZERO),
                shown_before=shown_before.get(part, {}).get(key, ZERO),
                calls=_count(now.get(part, {}).get(key), "calls"),
                tokens=_count(now.get(part, {}).get(key), "input_tokens", "output_tokens"),
            )
            for key in keys
        ]
        of_feature = {line.feature: ZERO for line in found}
        for line in found:
            of_feature[line.feature] += line.cost
        found.sort(key=lambda line: (-of_feature[line.feature], line.feature, -line.cost, line.tier))
        parts.append(
            TeamPart(
                name=names.label("team", part[1]),
                team=part[1],
                cost_centre=names.label("cost_centre", part[0]),
                lines=found,
                shown=lines.added(line.shown for line in found),
                shown_before=lines.added(line.shown_before for line in found),
            )
        )
    parts.sort(key=lambda part: (part.team is None, -part.shown, part.name))
    return Showback(
        report,
        before,
        parts,
        shown=lines.added(part.shown for part in parts),
        shown_before=lines.added(part.shown_before for part in parts),
    )


Parts = Mapping[Key, Mapping[Key, Group]]


def _by_part(report: CostReport) -> dict[Key, dict[Key, Group]]:
    parts: dict[Key, dict[Key, Group]] = {}
    for group in report.groups:
        parts.setdefault(group.key[:2], {})[group.key] = group
    return parts


def _rounded(parts: Parts) -> dict[Key, dict[Key, Decimal]]:
    exact = {
        part: {
            key: lines.cost_of(group.total, next(iter(group.total))) or ZERO for key, group in groups.items()
        }
        for part, groups in parts.items()
    }
    totals = round_to_total({part: lines.added(amounts.values()) for part, amounts in exact.items()})
    return {part: apportion(totals[part], amounts) for part, amounts in exact.items()}


def _cost(group: Group | None, report: CostReport) -> Decimal:
    return ZERO if group is None else lines.cost_of(group.total, report.query.measures[0]) or ZERO


def _count(group: Group | None, *names: str) -> int:
    return 0 if group is None else sum(lines.whole(group.total, name) for name in names)


def _rows(document: Showback, month: str) -> Iterator[list[Cell]]:
    for part in document.parts:
        for line in part.lines:
            centre, team, _, _ = line.key
            yield [
                month,
                centre if centre is None else part.cost_centre,
                team if team is None else part.name,
                line.feature if line.key[2] is not None else None,
                line.tier if line.key[3] is not None else None,
                *_figures(line.cost, line),
            ]


def _figures(exact: Decimal, line: ShowbackLine | Showback) -> list[Cell]:
    return [
        line.shown,
        exact,
        line.shown_before,
        line.calls,
        line.tokens,
        _short(formats.per_thousand(exact, line.calls)),
        _short(formats.per_million(exact, line.tokens)),
    ]


def _short(price: Decimal | None) -> Decimal | None:
    return None if price is None else round(price, 12)


def _month_url(asked: Asked, first: date) -> str:
    query = asked.view.url.partition("?")[2]
    url = reverse("attribution:showback", args=[f"{first:%Y-%m}"])
    return f"{url}?{query}" if query else url


def _following(asked: Asked) -> str:
    first = Period.month_of(asked.view.span.whole.first).end
    return _month_url(asked, first) if first <= asked.view.today else ""
