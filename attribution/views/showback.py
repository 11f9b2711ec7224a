"""The monthly showback: what each team's features cost by tier, with the month before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from attribution.cost_query import CHARGED, NEGOTIATED
from attribution.reports import costs
from attribution.views import asking, lines
from attribution.views.answering import about, headline, sums_url
from attribution.views.names import names_of
from attribution.views.showback_document import DIMENSIONS, MEASURES, Showback, ShowbackLine, draw_up
from finops.accounts.permissions import Capability
from finops.core.money import ZERO
from finops.core.periods import Period, local_day
from finops.ui import exports, formats, presets
from finops.ui.exports import Cell, Column, Export, Format, Kind
from finops.ui.filters import Screen, Unknown, View
from finops.ui.screens import Asked, opens

SHOWBACK = Screen(path="/showback/{month}/", dimensions=asking.DIMENSIONS, period="{month}")


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
        "document": _with_sums(document, asked.view),
        "from_list": document.from_list if _sees_contracted(asked) else None,
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
    told = [name for name in CHARGED if _sees_contracted(asked) or name not in NEGOTIATED]
    columns = [
        *(Column(title) for title in ("Month", "Cost centre", "Team", "Charge", "Feature", "Tier")),
        Column(f"Cost ({currency})", Kind.MONEY),
        Column(f"Exact cost ({currency})", Kind.UNIT_PRICE),
        *(Column(f"{name.capitalize().replace('_', ' ')} ({currency})", Kind.UNIT_PRICE) for name in told),
        Column(f"Month before ({currency})", Kind.MONEY),
        Column("Calls", Kind.COUNT),
        Column("Tokens", Kind.COUNT),
        Column(f"Per 1k requests ({currency})", Kind.UNIT_PRICE),
        Column(f"Per 1M tokens ({currency})", Kind.UNIT_PRICE),
    ]
    exact = lines.cost_of(document.report.total, document.report.query.measures[0]) or ZERO
    whole = [lines.cost_of(document.report.total, name) or ZERO for name in told]
    total: list[Cell] = ["Total", *[None] * 5, *_figures(exact, document, whole)]
    export = Export(
        name=f"showback-{month}",
        columns=columns,
        rows=_rows(document, month, told),
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
    report = costs(asking.question(asked, *DIMENSIONS, measures=MEASURES))
    before = costs(asking.question(asked, *DIMENSIONS, measures=MEASURES, period=compared))
    return draw_up(report, before, names_of(DIMENSIONS))


def _with_sums(document: Showback, view: View) -> Showback:
    """The document with a link from every cost to its arithmetic."""
    parts = []
    for part in document.parts:
        of_part = view.narrowed("cost_centre", part.lines[0].key[0]).narrowed("team", part.team)
        found = [replace(line, sums_url=sums_url(_narrowed(of_part, line))) for line in part.lines]
        parts.append(replace(part, lines=found, sums_url=sums_url(of_part)))
    return replace(document, parts=parts, sums_url=sums_url(view))


def _narrowed(view: View, line: ShowbackLine) -> View:
    if line.is_usage:
        view = view.narrowed("feature", line.key[2]).narrowed("tier", line.key[3])
    return view.narrowed("charge_kind", line.kind)


def _rows(document: Showback, month: str, told: Sequence[str]) -> Iterator[list[Cell]]:
    for part in document.parts:
        for line in part.lines:
            centre, team, feature, tier, _ = line.key
            yield [
                month,
                centre if centre is None else part.cost_centre,
                team if team is None else part.name,
                line.kind.label,
                line.feature if feature is not None else None,
                line.tier if tier is not None else None,
                *_figures(line.cost, line, [line.sums.costs[name] for name in told]),
            ]


def _figures(exact: Decimal, line: ShowbackLine | Showback, costs: Sequence[Decimal]) -> list[Cell]:
    return [
        line.shown,
        exact,
        *costs,
        line.shown_before,
        line.calls,
        line.tokens,
        _short(formats.per_thousand(exact, line.calls)),
        _short(formats.per_million(exact, line.tokens)),
    ]


def _short(price: Decimal | None) -> Decimal | None:
    return None if price is None else round(price, 12)


def _sees_contracted(asked: Asked) -> bool:
    return asked.principal.may(Capability.VIEW_CONTRACTED_PRICES)


def _month_url(asked: Asked, first: date) -> str:
    query = asked.view.url.partition("?")[2]
    url = reverse("attribution:showback", args=[f"{first:%Y-%m}"])
    return f"{url}?{query}" if query else url


def _following(asked: Asked) -> str:
    first = Period.month_of(asked.view.span.whole.first).end
    return _month_url(asked, first) if first <= asked.view.today else ""
