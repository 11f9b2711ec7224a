"""Overview: where do we stand this month, and what needs somebody?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.http import HttpResponseBase
from django.urls import reverse

from attribution.models import (
    Feature,
    FeatureOwnership,
    IngestBatch,
    RegistryState,
    Team,
    Tier,
    Verification,
)
from attribution.reports import Coverage
from attribution.views import asking, lines
from attribution.views.answering import Answer, ask, headline
from attribution.views.from_list import from_list
from attribution.views.lines import Table
from finops.accounts.models import ApiKey
from finops.accounts.permissions import Capability
from finops.core.money import ZERO
from finops.ui import formats
from finops.ui.filters import Screen
from finops.ui.formats import Change, Currency
from finops.ui.screens import Asked, opens
from pricing.models import Price

OVERVIEW = Screen(path="/", dimensions=asking.DIMENSIONS, more=asking.tag_dimensions, group="team")
MOST_ROWS = 25
MOST_ATTENTION = 7
# Groups by which one team's own people look at their costs.
INSIDE_A_TEAM = "feature"


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that needs somebody: a word, a sentence, where to look; ``weight`` is its cost."""

    word: str
    level: str
    sentence: str
    url: str
    weight: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the first day, and whether it is done."""

    title: str
    text: str
    url: str
    done: bool


@opens(OVERVIEW)
def overview(asked: Asked) -> HttpResponseBase:
    """The month so far; before the first event, the steps that lead to it. At most 12 queries."""
    group = _group(asked)
    answer = ask(asked, group, by_kind=asked.principal.may(Capability.VIEW_CONTRACTED_PRICES))
    coverage = answer.report.coverage
    if (
        not answer.report.groups
        and asked.principal.visible_teams is None
        and not IngestBatch.objects.exists()
    ):
        return asked.answer("pages/overview.html", _first_run(asked))
    table = answer.table(most=MOST_ROWS)
    context = {
        "bar": asked.bar("period", "compare", "cost"),
        "heading": headline(asked.view, table.total),
        "fresh": asking.freshness(coverage),
        "coverage": coverage,
        "table": table,
        "from_list": from_list(answer.report.kinds),
        "group_label": answer.base.screen.dimension(group).label,
        "chart": answer.trend(table, table_id="overview-table"),
        "unattributed_share": _share(coverage, table, group),
        "per_million": formats.per_million(table.total.known_cost, table.total.tokens),
        "per_million_before": _per_million_before(answer),
        "matters": _matters(asked, table, coverage),
        "explorer_url": answer.base.with_(group="team").url,
    }
    return asked.answer("pages/overview.html", context)


def _group(asked: Asked) -> str:
    teams = asked.principal.visible_teams
    return INSIDE_A_TEAM if teams is not None and len(teams) == 1 else asked.view.group


def _share(coverage: Coverage, table: Table, group: str) -> Decimal | None:
    """In per cent; where the table has a line for it, the very figure of that line."""
    if group == "team":
        return next((line.share for line in table.lines if line.value is None and line.url), None)
    cost = table.total.cost
    return (coverage.unattributed_cost or ZERO) * 100 / cost if cost else None


def _per_million_before(answer: Answer) -> Decimal | None:
    if answer.before is None:
        return None
    before = answer.before.total
    cost = lines.cost_of(before, answer.before.query.measures[0]) or ZERO
    return formats.per_million(cost, lines.tokens_of(before))


def _matters(asked: Asked, table: Table, coverage: Coverage) -> list[Matter]:
    """At most seven, the dearest first, what has no cost known before all."""
    currency = Currency(settings.REPORTING_CURRENCY)
    found = [*_books_matters(asked, coverage, currency), *_jumps(table, currency)]
    found.sort(key=lambda matter: -matter.weight)
    return found[:MOST_ATTENTION]


def _books_matters(asked: Asked, coverage: Coverage, currency: Currency) -> list[Matter]:
    found = []
    unattributed = reverse("attribution:unattributed")
    if coverage.unpriced_calls:
        text = f"{formats.count(coverage.unpriced_calls)} calls have no price and are not in the cost."
        found.append(Matter("Unpriced", "warn", text, unattributed, Decimal(10**12)))
    cost = coverage.unattributed_cost or ZERO
    if coverage.unattributed_calls or cost:
        calls = formats.count(coverage.unattributed_calls)
        source = f"from {calls} calls" if coverage.unattributed_calls else "charged beside usage"
        text = f"{formats.tile_money(cost, currency)} {source} belongs to no team."
        found.append(Matter("Unattributed", "warn", text, unattributed, cost))
    if asked.principal.visible_teams is None:
        latest = Verification.objects.exclude(finished_at=None).first()
        if latest is not None and not latest.passed:
            text = "The last verification of the books found something that does not hold."
            found.append(Matter("Books", "bad", text, reverse("health"), Decimal(10**13)))
        new = [model.objects.filter(state=RegistryState.NEW).values("slug") for model in (Feature, Tier)]
        if waiting := new[0].union(new[1], all=True).count():
            text = f"{waiting} new names of features or tiers wait for a look."
            found.append(Matter("New", "ok", text, reverse("attribution:ownership")))
    return found


def _jumps(table: Table, currency: Currency) -> list[Matter]:
    """The largest notable rises; a fall needs nobody."""
    found = []
    for line in table.lines:
        if line.before is None or not line.url or line.value is None:
            continue
        change = Change(line.before, line.known_cost)
        if change.amount > 0 and change.is_notable():
            told = formats.change_in_tile(change, currency)
            text = f"{line.name} costs {formats.tile_money(line.known_cost, currency)}, {told}."
            found.append(Matter("Rise", "warn", text, line.url, change.amount))
    found.sort(key=lambda matter: -matter.weight)
    return found[:3]


def _first_run(asked: Asked) -> dict[str, object]:
    """The steps, each with its live state. Four queries."""
    steps: Sequence[Step] = [
        Step(
            "Name the teams",
            "Teams, their cost centres and business units: whom cost is shown back to.",
            reverse("attribution:ownership"),
            Team.objects.exists(),
        ),
        Step(
            "Load the price book",
            "List prices of the providers' models, each with its source and its days.",
            reverse("health"),
            Price.objects.exists(),
        ),
        Step(
            "Make an API key",
            "A key that may send events; it is shown once.",
            reverse("accounts:keys"),
            ApiKey.objects.active().exists(),
        ),
        Step(
            "Say who owns the features",
            "Calls that name only a feature go to its owner.",
            reverse("attribution:ownership"),
            FeatureOwnership.objects.exists(),
        ),
    ]
    return {
        "bar": asked.bar(),
        "heading": "Nothing has been metered yet",
        "steps": steps,
        "address": asked.request.build_absolute_uri("/api/v1/events"),
    }
