"""From the state of a screen to a question to the books."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from django.conf import settings

from attribution.ingest.usage import UNTOLD
from attribution.reports import CostQuery, CostReport, Coverage, Filter, Granularity
from attribution.tag_names import ever_declared, key_of
from finops.core.periods import Period
from finops.ui import formats
from finops.ui.filters import Condition, Dimension
from finops.ui.screens import Asked

# What calls can be told apart by.
OF_CALLS = (
    Dimension("team", "Team"),
    Dimension("cost_centre", "Cost centre"),
    Dimension("business_unit", "Business unit"),
    Dimension("feature", "Feature"),
    Dimension("tier", "Tier"),
    Dimension("environment", "Environment"),
    Dimension("provider", "Provider"),
    Dimension("model", "Model"),
    Dimension("model_tier", "Model tier"),
    Dimension("service_tier", "Service tier"),
    Dimension("account", "Account"),
    Dimension("workflow", "Workflow"),
    Dimension("step", "Step"),
    Dimension("prompt_version", "Prompt version"),
    Dimension("release", "Release"),
    Dimension("operation", "Operation"),
    Dimension("customer", "Customer"),
    Dimension("source", "Source"),
    Dimension("api_key", "API key"),
)
DIMENSIONS = (*OF_CALLS, Dimension("charge_kind", "Kind of charge", "Kinds of charges"))
MEASURES = ("calls", "input_tokens", "output_tokens")
# A day's bars are readable up to a quarter of them, an hour's up to a week.
MOST_DAYS_BY_HOUR, MOST_DAYS_BY_DAY = 8, 93


def tag_dimensions() -> tuple[Dimension, ...]:
    """The tags that costs are, or were, allocated by. One query."""
    return tuple(Dimension(name, f"Tag {key_of(name)}") for name in ever_declared())


def measure_of(cost: str) -> str:
    """The measure behind the choice of cost: "effective" is "effective_cost"."""
    return f"{cost}_cost"


def question(
    asked: Asked,
    *group_by: str,
    granularity: Granularity = Granularity.TOTAL,
    period: Period | None = None,
    measures: tuple[str, ...] = MEASURES,
    only: Mapping[str, str] | None = None,
    by_kind: bool = False,
) -> CostQuery:
    """What this person asks with this view; the chosen cost is the first measure.

    ``only`` narrows further, such as to the team whose page it is. ``by_kind``: what the total is made of.
    """
    filters = {name: filter_of(condition) for name, condition in asked.view.filters.items()}
    filters |= {name: Filter((value,)) for name, value in (only or {}).items()}
    return CostQuery(
        period=period or asked.view.span.so_far,
        granularity=granularity,
        group_by=group_by,
        filters=filters,
        measures=tuple(dict.fromkeys((measure_of(asked.view.cost), *measures))),
        visible_teams=asked.principal.visible_teams,
        by_kind=by_kind,
    )


def filter_of(condition: Condition) -> Filter:
    values = tuple(value for value in condition.values if value)
    return Filter(values=values, negated=condition.negated, empty="" in condition.values)


def granularity_of(asked: Asked) -> Granularity:
    """As chosen; else by the length of the period. Too fine a choice becomes the next coarser."""
    days = asked.view.span.so_far.days
    chosen = asked.view.grain
    may_be_hours = days <= MOST_DAYS_BY_HOUR and not _by_customer(asked)
    if chosen == "hour" and may_be_hours:
        return Granularity.HOUR
    if chosen == "month" or days > MOST_DAYS_BY_DAY:
        return Granularity.MONTH
    return Granularity.HOUR if not chosen and days <= 1 and may_be_hours else Granularity.DAY


def _by_customer(asked: Asked) -> bool:
    """Customers are counted by day only."""
    view = asked.view
    return "customer" in (view.group, view.split, *view.filters)


def too_fine(asked: Asked) -> str:
    """A sentence when the chosen grain was not used, else ""."""
    chosen, used = asked.view.grain, granularity_of(asked)
    if not chosen or chosen == used:
        return ""
    if chosen == "hour" and _by_customer(asked):
        return f"Customers are counted by day, so the bars are by {used}."
    return f"This period is too long for bars by {chosen}; they are by {used}. Choose fewer days to see more."


def axis_of(report: CostReport) -> list[tuple[date | datetime, str]]:
    """Every bucket of the time axis, those without calls included: its start and how a chart reads it."""
    period, zone = report.query.period, settings.REPORTING_TIME_ZONE
    match report.query.granularity:
        case Granularity.HOUR:
            start, end = period.instants(zone)
            hours = [start + timedelta(hours=n) for n in range(int((end - start) / timedelta(hours=1)))]
            return [(hour, f"{hour.astimezone(zone):%Y-%m-%dT%H:%M}") for hour in hours]
        case Granularity.MONTH:
            months = {(period.first + timedelta(days=n)).replace(day=1) for n in range(period.days)}
            return [(month, month.isoformat()) for month in sorted(months)]
        case _:
            days = [period.first + timedelta(days=n) for n in range(period.days)]
            return [(day, day.isoformat()) for day in days]


def freshness(coverage: Coverage) -> str:
    """How complete the figures are, in words."""
    text = f"Complete to {formats.moment(coverage.watermark.complete_to, settings.REPORTING_TIME_ZONE)}"
    if coverage.watermark.pending_calls:
        text += f", {formats.count(coverage.watermark.pending_calls)} calls being counted"
    if coverage.unpriced_calls:
        text += f"; {formats.count(coverage.unpriced_calls)} calls have no price and are not in the cost"
    if untold := coverage.unpriced_quantities.get(UNTOLD):
        text += (
            f"; of {formats.count(int(untold))} calls nobody said what they used, so they are not in the cost"
        )
    return f"{text}."
