"""The pages of a team, a feature and a tier: what it costs, what changed, what one unit costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import models
from django.http import Http404, HttpResponseBase

from attribution import organisation
from attribution.models import Feature, FeatureOwnership, Team, TeamPlacement, Tier
from attribution.reports import CostReport, Granularity, Measures, costs
from attribution.views import asking, lines
from attribution.views.answering import Answer, ask, calls_url, headline, sums_url
from attribution.views.from_list import from_list
from attribution.views.what_changed import what_changed
from finops.accounts.permissions import Capability
from finops.core.money import ZERO
from finops.ui import formats
from finops.ui.filters import Screen
from finops.ui.screens import Asked, opens

OFFERS = ("period", "compare", "cost")
MEASURES = (
    "calls",
    "errors",
    "input_tokens",
    "cache_read_tokens",
    "output_tokens",
    "cache_savings",
    "p95_duration_ms",
)
MOST_ROWS = 25


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of subject: its dimension and registry, and what its page is broken down by."""

    dimension: str
    word: str
    registry: type[models.Model]
    parts: Sequence[str]


TEAM = Kind("team", "Team", Team, ("feature", "model", "tier"))
FEATURE = Kind("feature", "Feature", Feature, ("model", "tier", "environment"))
TIER = Kind("tier", "Tier", Tier, ("feature", "team", "model"))


@dataclass(frozen=True, slots=True)
class Economics:
    """Unit figures of one period, from sums: None where there is nothing to divide by."""

    cost: Decimal
    measures: Measures

    @property
    def calls(self) -> int:
        return lines.whole(self.measures, "calls")

    @property
    def tokens(self) -> int:
        return lines.tokens_of(self.measures)

    @property
    def per_million(self) -> Decimal | None:
        return formats.per_million(self.cost, self.tokens)

    @property
    def per_thousand(self) -> Decimal | None:
        return formats.per_thousand(self.cost, self.calls)

    @property
    def tokens_per_call(self) -> Decimal | None:
        return round(Decimal(self.tokens) / self.calls, 0) if self.calls else None

    @property
    def cache_share(self) -> Decimal | None:
        """Of the input tokens, those read from a prompt cache."""
        read, all_input = (lines.whole(self.measures, name) for name in ("cache_read_tokens", "input_tokens"))
        return Decimal(read) / all_input if all_input else None

    @property
    def error_share(self) -> Decimal | None:
        return Decimal(lines.whole(self.measures, "errors")) / self.calls if self.calls else None

    @property
    def savings(self) -> Decimal | None:
        return lines.cost_of(self.measures, "cache_savings")

    @property
    def p95(self) -> float | None:
        value = self.measures.get("p95_duration_ms")
        return float(value) if value is not None else None


def _screen(kind: Kind) -> Screen:
    others = tuple(one for one in asking.DIMENSIONS if one.name != kind.dimension)
    return Screen(path=f"/{kind.dimension}s/{{slug}}/", dimensions=others, more=asking.tag_dimensions)


@opens(_screen(TEAM))
def team(asked: Asked, slug: str) -> HttpResponseBase:
    """One team's costs: the home of its lead."""
    return _page(asked, TEAM, slug)


@opens(_screen(FEATURE))
def feature(asked: Asked, slug: str) -> HttpResponseBase:
    """What one request of a feature costs, and what makes it so."""
    return _page(asked, FEATURE, slug)


@opens(_screen(TIER))
def tier(asked: Asked, slug: str) -> HttpResponseBase:
    """What it costs to serve one kind of customer."""
    return _page(asked, TIER, slug)


def _page(asked: Asked, kind: Kind, slug: str) -> HttpResponseBase:
    entry = kind.registry._default_manager.filter(slug=slug).first()
    if kind is TEAM and not asked.principal.sees(slug):
        raise Http404
    only = {kind.dimension: slug}
    sees_contracted = asked.principal.may(Capability.VIEW_CONTRACTED_PRICES)
    whole = costs(asking.question(asked, measures=_measures(asked), only=only, by_kind=sees_contracted))
    if entry is None and not whole.groups:
        raise Http404
    before = _before(asked, only)
    answers = [_part(asked, part, only=only, first=not index) for index, part in enumerate(kind.parts)]
    tables = [_table(answer) for answer in answers]
    trend = answers[0].trend(tables[0]["table"], table_id=tables[0]["table_id"])
    context = {
        "bar": asked.bar(*OFFERS),
        "kind": kind,
        "name": str(entry) if entry else slug,
        "slug": slug,
        "facts": _facts(kind, slug),
        "heading": headline(asked.view, answers[0].total),
        "fresh": asking.freshness(whole.coverage),
        "now": _economics(whole),
        "before": _economics(before) if before else None,
        "from_list": from_list(whole.kinds),
        "sums_url": sums_url(answers[0].base),
        "unpriced_calls": whole.coverage.unpriced_calls,
        "has_costs": bool(whole.groups or (before and before.groups)),
        "chart": trend,
        "tables": tables,
        "changes": what_changed(asked, kind.parts[0], only=only),
        "explorer_url": answers[0].base.url,
        "all_calls_url": calls_url(answers[0].base),
    }
    return asked.answer("attribution/subject.html", context)


def _before(asked: Asked, only: Mapping[str, str]) -> CostReport | None:
    compared = asked.view.compared
    if compared is None:
        return None
    return costs(asking.question(asked, period=compared, measures=_measures(asked), only=only))


def _measures(asked: Asked) -> tuple[str, ...]:
    """Latency is not kept by customer."""
    if "customer" not in asked.view.filters:
        return MEASURES
    return tuple(measure for measure in MEASURES if measure != "p95_duration_ms")


def _part(asked: Asked, dimension: str, *, only: Mapping[str, str], first: bool) -> Answer:
    """Only the first part is drawn over time."""
    return ask(asked, dimension, only=only, granularity=None if first else Granularity.TOTAL)


def _table(answer: Answer) -> dict[str, Any]:  # Any: a template context
    dimension = answer.base.screen.dimension(answer.base.group)
    return {
        "table": answer.table(most=MOST_ROWS),
        "table_id": f"by-{dimension.name}",
        "caption": f"By {dimension.label.lower()}",
        "group_label": dimension.label,
    }


def _economics(report: CostReport) -> Economics:
    return Economics(lines.cost_of(report.total, report.query.measures[0]) or ZERO, report.total)


def _facts(kind: Kind, slug: str) -> list[tuple[str, str]]:
    """Where the subject stands in the organisation today."""
    today = organisation.today()
    if kind is TEAM:
        moves = TeamPlacement.objects.filter(team__slug=slug).select_related("cost_centre")
        centre = organisation.on(today, organisation.history(moves))
        return [("Cost centre", centre or "none")]
    if kind is FEATURE:
        owners = FeatureOwnership.objects.filter(feature__slug=slug).select_related("team")
        owner = organisation.on(today, organisation.history(owners))
        return [("Owned by", owner or "nobody")]
    return []
