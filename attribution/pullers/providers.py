"""The reporting APIs: how each is asked, how far back it may be asked, and where its answers are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings

from attribution.ingest.usage_exports import anthropic_events, openai_events
from attribution.pullers.client import PullFailed, Query
from finops.core.money import EXACT

Row = Mapping[str, Any]  # Any: JSON
_ANTHROPIC_VERSION = "2023-06-01"
_TELLS_SPEED = "fast-mode-2026-02-01"  # without it grouping by speed is refused
_DAILY_BUCKETS = "31"  # the most of one request for usage, and for Anthropic's costs
_DAILY_COSTS = "180"  # for OpenAI's
_CENTS = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Report:
    """One report. It is always asked for by UTC day."""

    name: str
    path: str
    group_by: tuple[str, ...]
    limit: str = _DAILY_BUCKETS
    is_cost: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. ``events`` reads rows of its usage reports, ``cost`` (amount, currency) of a cost row."""

    name: str
    title: str
    key: str = field(repr=False)
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    most_days_back: int
    reports: tuple[Report, ...]
    bounds: tuple[str, str]  # how a bucket and a query name start and end
    query_bounds: tuple[str, str]
    array: str  # what follows the name of a parameter that is given several times
    project: str
    line: str
    tell: Callable[[datetime], str]
    events: Callable[[Iterable[Row]], Iterator[Any]]
    cost: Callable[[Row], tuple[Decimal, str]]

    @property
    def is_configured(self) -> bool:
        return bool(self.key)

    @property
    def source(self) -> str:
        """Of what is booked from its reports."""
        return f"{self.name}-usage-api"

    def query(self, report: Report, first: date, end: date) -> Query:
        """For the days from ``first`` up to, not including, ``end``."""
        starts, ends = (self.tell(midnight(day)) for day in (first, end))
        grouped = [(f"group_by{self.array}", name) for name in report.group_by]
        return [
            (self.query_bounds[0], starts),
            (self.query_bounds[1], ends),
            ("bucket_width", "1d"),
            ("limit", report.limit),
            *grouped,
        ]


def midnight(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime.combine(day, time(), UTC)


def provider_of(name: str) -> Provider:
    """As it is configured now. Raises KeyError for a name that is none."""
    return {"openai": _openai, "anthropic": _anthropic}[name]()


PROVIDERS = ("openai", "anthropic")


def _openai() -> Provider:
    grouped = ("project_id", "api_key_id", "model")
    return Provider(
        name="openai",
        title="OpenAI",
        key=settings.OPENAI_ADMIN_KEY,
        base_url=settings.OPENAI_API_BASE_URL,
        headers={"Authorization": f"Bearer {settings.OPENAI_ADMIN_KEY}"},
        most_days_back=90,
        reports=(
            Report("completions", "/organization/usage/completions", (*grouped, "batch", "service_tier")),
            Report("embeddings", "/organization/usage/embeddings", grouped),
            Report("costs", "/organization/costs", ("project_id", "line_item"), _DAILY_COSTS, is_cost=True),
        ),
        bounds=("start_time", "end_time"),
        query_bounds=("start_time", "end_time"),
        array="",
        project="project_id",
        line="line_item",
        tell=lambda at: str(int(at.timestamp())),
        events=openai_events,
        cost=_dollars,
    )


def _anthropic() -> Provider:
    grouped = (
        "api_key_id",
        "workspace_id",
        "model",
        "service_tier",
        "context_window",
        "inference_geo",
        "speed",
    )
    return Provider(
        name="anthropic",
        title="Anthropic",
        key=settings.ANTHROPIC_ADMIN_KEY,
        base_url=settings.ANTHROPIC_API_BASE_URL,
        headers={
            "x-api-key": settings.ANTHROPIC_ADMIN_KEY,
            "anthropic-version": _ANTHROPIC_VERSION,
            "anthropic-beta": _TELLS_SPEED,
        },
        most_days_back=30,
        reports=(
            Report("messages", "/organizations/usage_report/messages", grouped),
            Report(
                "cost_report", "/organizations/cost_report", ("workspace_id", "description"), is_cost=True
            ),
        ),
        bounds=("starting_at", "ending_at"),
        query_bounds=("starting_at", "ending_at"),
        array="[]",
        project="workspace_id",
        line="description",
        tell=lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        events=anthropic_events,
        cost=_cents,
    )


def _dollars(row: Row) -> tuple[Decimal, str]:
    """OpenAI: ``{"amount": {"value": 0.06, "currency": "usd"}}`` in whole dollars."""
    amount = row.get("amount")
    if not isinstance(amount, dict):
        raise PullFailed("A cost has no amount.")
    return _amount(amount.get("value")), _currency(amount.get("currency"))


def _cents(row: Row) -> tuple[Decimal, str]:
    """Anthropic: ``{"amount": "123.45", "currency": "USD"}`` in cents."""
    return EXACT.multiply(_amount(row.get("amount")), _CENTS), _currency(row.get("currency"))


def _amount(value: Any) -> Decimal:  # Any: JSON
    try:
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise InvalidOperation
        amount = Decimal(value)
        if not amount.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise PullFailed("A cost has an amount that is no number.") from None
    return amount


def _currency(value: Any) -> str:  # Any: JSON
    if not isinstance(value, str) or len(value) != 3 or not value.isascii() or not value.isalpha():
        raise PullFailed("A cost has no currency.")
    return value.upper()
