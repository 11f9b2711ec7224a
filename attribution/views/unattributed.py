"""Unattributed and unpriced: what has no owner, and what has no price?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches

from django.http import HttpResponseBase

from attribution.ingest.usage import UNTOLD
from attribution.models import Attribution
from attribution.reports import CostReport, Granularity, Group, Key, costs
from attribution.views import asking, lines
from attribution.views.answering import EXPLORER, calls_url, sums_url
from finops.core.money import ZERO
from finops.ui.filters import Screen, View
from finops.ui.screens import Asked, opens
from pricing.models import Price

SCREEN = Screen(
    path="/unattributed/", dimensions=asking.DIMENSIONS, period="last-30-days", costs=("effective",)
)
OWNERLESS_BY = ("source", "api_key", "feature")
PRICED_BY = ("provider", "model", "service_tier", "processing", "speed", "region")
MOST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Ownerless:
    """Calls of one source, key and feature that belong to nobody, and why."""

    source: str
    api_key: str | None
    feature: str | None
    cost: Decimal
    calls: int
    first: date
    last: date
    reasons: Sequence[str]
    calls_url: str
    sums_url: str


@dataclass(frozen=True, slots=True)
class Priceless:
    """Calls of one model under one set of conditions that no price matches."""

    provider: str | None
    model: str | None
    conditions: str
    calls: int
    tokens: int
    first: date
    last: date
    nearest: str
    calls_url: str


@opens(SCREEN)
def unattributed(asked: Asked) -> HttpResponseBase:
    """Two lists, the dearest first; empty is the goal."""
    whole = costs(asking.question(asked))
    total = lines.cost_of(whole.total, whole.query.measures[0]) or ZERO
    missing = whole.coverage.unattributed_cost or ZERO
    context = {
        "bar": asked.bar("period"),
        "heading": "Unattributed and unpriced",
        "aside": asked.bar().days,
        "fresh": asking.freshness(whole.coverage),
        "coverage": whole.coverage,
        "total": total,
        "missing": missing,
        "missing_share": missing / total if total else None,
        "ownerless": _ownerless(asked) if whole.coverage.unattributed_calls or missing else [],
        "priceless": _priceless(asked) if whole.coverage.unpriced_calls else [],
        "untold": UNTOLD if UNTOLD in whole.coverage.unpriced_quantities else "",
        "untold_url": f"{_calls_url(asked, {})}&unpriced=1",
        "sees_all": asked.principal.visible_teams is None,
    }
    return asked.answer("attribution/unattributed.html", context)


def _ownerless(asked: Asked) -> list[Ownerless]:
    view = asked.view.narrowed("team", None)
    report = costs(
        asking.question(
            Asked(asked.request, view, asked.principal), *OWNERLESS_BY, granularity=Granularity.DAY
        )
    )
    reasons = _reasons()
    found = []
    for group in report.groups[:MOST_ROWS]:
        source, api_key, feature = group.key
        first, last = _seen(group)
        named = {"team": None, **dict(zip(OWNERLESS_BY, group.key, strict=True))}
        found.append(
            Ownerless(
                source=source or "",
                api_key=api_key,
                feature=feature,
                cost=lines.cost_of(group.total, report.query.measures[0]) or ZERO,
                calls=lines.whole(group.total, "calls"),
                first=first,
                last=last,
                reasons=reasons.get((source, api_key, feature), []),
                calls_url=calls_url(_narrowed(asked, named)),
                sums_url=sums_url(_narrowed(asked, named)),
            )
        )
    return found


def _reasons() -> dict[Key, list[str]]:
    """Why today's unattributed sets are so, by source, key and feature; one query."""
    rows = (
        Attribution.objects.filter(known_to=None, team=None)
        .values_list(
            "dimension_set__source", "dimension_set__api_key", "dimension_set__feature", "rule", named=False
        )
        .distinct()
    )
    reasons: dict[Key, list[str]] = defaultdict(list)
    for source, api_key, feature, rule in rows:
        known = reasons[(source or None, api_key or None, feature or None)]
        if rule not in known:
            known.append(rule)
    return reasons


def _priceless(asked: Asked) -> list[Priceless]:
    report = costs(asking.question(asked, *PRICED_BY, granularity=Granularity.DAY))
    models = _priced_models()
    found = []
    for group in report.groups:
        days = _unpriced_days(group, report)
        if not days:
            continue
        provider, model, *conditions = group.key
        narrowed = {"provider": provider, "model": model}
        found.append(
            Priceless(
                provider=provider,
                model=model,
                conditions=", ".join(value for value in conditions if value),
                calls=sum(calls for _, calls, _ in days),
                tokens=sum(tokens for _, _, tokens in days),
                first=days[0][0],
                last=days[-1][0],
                nearest=_nearest(model, models),
                calls_url=f"{_calls_url(asked, narrowed)}&unpriced=1",
            )
        )
    found.sort(key=lambda one: -one.calls)
    return found[:MOST_ROWS]


def _unpriced_days(group: Group, report: CostReport) -> list[tuple[date, int, int]]:
    """The days on which nothing of the group had a price: day, calls, tokens."""
    measure = report.query.measures[0]
    return [
        (bucket.start, lines.whole(bucket.measures, "calls"), lines.tokens_of(bucket.measures))
        for bucket in group.buckets
        if isinstance(bucket.start, date) and bucket.measures[measure] is None
    ]


def _seen(group: Group) -> tuple[date, date]:
    days = [bucket.start for bucket in group.buckets if isinstance(bucket.start, date)]
    return days[0], days[-1]


def _priced_models() -> list[str]:
    return list(Price.objects.known().values_list("model", flat=True).distinct())


def _nearest(model: str | None, known: Sequence[str]) -> str:
    return next(iter(get_close_matches(model or "", known, n=1, cutoff=0.6)), "")


def _calls_url(asked: Asked, values: dict[str, str | None]) -> str:
    return calls_url(_narrowed(asked, values))


def _narrowed(asked: Asked, values: dict[str, str | None]) -> View:
    view = asked.view.with_(screen=EXPLORER)
    for name, value in values.items():
        view = view.narrowed(name, value)
    return view
