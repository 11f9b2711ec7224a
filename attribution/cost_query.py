"""What a cost report can be asked: dimensions, measures, filters, and the question itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from attribution.models.charges import ChargeKind
from attribution.tag_names import key_of
from finops.core.errors import FieldProblem, InvalidInput
from finops.core.meters import Meter
from finops.core.periods import Period


class Granularity(StrEnum):
    """How fine the buckets of a report are, in the reporting zone."""

    TOTAL = "total"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"


class Place(StrEnum):
    """Which table knows a dimension."""

    OWNER = "owner"  # attribution: whom it belongs to
    ARRIVED = "arrived"  # dimension_set: what the call said
    SLOT = "slot"  # price_slot: what it is priced by
    CUSTOMER = "customer"
    KIND = "kind"  # usage, or what a charge is for


@dataclass(frozen=True, slots=True)
class Dimension:
    """A name to group and filter by; ``sql`` is NULL where a call has no value."""

    name: str
    place: Place
    sql: str


def _dimensions() -> dict[str, Dimension]:
    owner = {name: f"a.{name}" for name in ("team", "cost_centre", "business_unit", "feature", "tier")}
    arrived = {
        name: f"nullif(ds.{name}, '')"
        for name in ("environment", "workflow", "step", "prompt_version", "release", "source", "api_key")
    }
    arrived["operation"] = "nullif(ds.operation, '')"
    slot = {
        name: f"nullif(s.{name}, '')"
        for name in ("provider", "model", "host", "region", "service_tier", "processing", "speed", "account")
    }
    slot["model_tier"] = "tiers.model_tier"
    return {
        **{name: Dimension(name, Place.OWNER, sql) for name, sql in owner.items()},
        **{name: Dimension(name, Place.ARRIVED, sql) for name, sql in arrived.items()},
        **{name: Dimension(name, Place.SLOT, sql) for name, sql in slot.items()},
        "customer": Dimension("customer", Place.CUSTOMER, "customer.name"),
        # Of a call; a charge says its own.
        "charge_kind": Dimension("charge_kind", Place.KIND, f"'{ChargeKind.USAGE}'::text"),
    }


DIMENSIONS: Mapping[str, Dimension] = _dimensions()


def dimension_of(name: str) -> Dimension | None:
    """One of ``DIMENSIONS``, or ``tags.<key>``: what the call's set carries of an allocation key."""
    if key := key_of(name):
        return Dimension(name, Place.ARRIVED, f"nullif(ds.tags ->> '{key}', '')")
    return DIMENSIONS.get(name)


def known_dimension(name: str) -> Dimension:
    """The same, of a name that was let into a question. Raises KeyError."""
    return dimension_of(name) or DIMENSIONS[name]


# Amounts, in dollars: the measure and the column of slot_rate that prices it. What is billed for usage is
# its contracted price; commitments, credits and taxes make the difference, as charges.
COSTS: Mapping[str, str] = {
    "list_cost": "list_price",
    "contracted_cost": "contracted_price",
    "effective_cost": "effective_price",
    "billed_cost": "contracted_price",
    "cache_savings": "saving_price",
}
# Those that a charge has, in columns of these names.
CHARGED = ("list_cost", "contracted_cost", "effective_cost", "billed_cost")
# Those that tell what was negotiated: a right of their own.
NEGOTIATED = frozenset({"contracted_cost", "billed_cost"})
COUNTS = ("calls", "errors", "retries", "tool_calls", "unpriced_calls")
# Tokens under their wire names: totals are inclusive, so each is a sum of disjoint meters.
TOKENS: Mapping[str, tuple[Meter, ...]] = {
    "input_tokens": (
        Meter.INPUT,
        Meter.CACHE_READ,
        Meter.CACHE_WRITE,
        Meter.CACHE_WRITE_1H,
        Meter.AUDIO_INPUT,
        Meter.AUDIO_CACHED,
        Meter.IMAGE_INPUT,
        Meter.IMAGE_CACHED,
    ),
    "uncached_input_tokens": (Meter.INPUT, Meter.AUDIO_INPUT, Meter.IMAGE_INPUT),
    "cache_read_tokens": (Meter.CACHE_READ, Meter.AUDIO_CACHED, Meter.IMAGE_CACHED),
    "cache_write_tokens": (Meter.CACHE_WRITE, Meter.CACHE_WRITE_1H),
    "cache_write_1h_tokens": (Meter.CACHE_WRITE_1H,),
    "output_tokens": (Meter.OUTPUT, Meter.REASONING, Meter.AUDIO_OUTPUT, Meter.IMAGE_OUTPUT),
    "reasoning_tokens": (Meter.REASONING,),
    "audio_input_tokens": (Meter.AUDIO_INPUT, Meter.AUDIO_CACHED),
    "audio_cached_tokens": (Meter.AUDIO_CACHED,),
    "audio_output_tokens": (Meter.AUDIO_OUTPUT,),
    "image_input_tokens": (Meter.IMAGE_INPUT, Meter.IMAGE_CACHED),
    "image_cached_tokens": (Meter.IMAGE_CACHED,),
    "image_output_tokens": (Meter.IMAGE_OUTPUT,),
}
# Exact numbers of different ones: the measure and the table of their segments.
DISTINCT: Mapping[str, str] = {"tasks": "task_day", "active_users": "user_day"}
PERCENTILES: Mapping[str, float] = {"p50_duration_ms": 0.50, "p95_duration_ms": 0.95}
MEASURES = (*COSTS, *COUNTS, *TOKENS, *DISTINCT, *PERCENTILES)
# What the books are kept in.
DOLLARS = "USD"
DEFAULT_MEASURES = ("effective_cost", "calls", "input_tokens", "output_tokens")

# A histogram and the sets of different ones are kept by day.
_BY_DAY_ONLY = frozenset((*DISTINCT, *PERCENTILES))


@dataclass(frozen=True, slots=True)
class Filter:
    """Keeps calls whose value is in ``values``, or (``empty``) that have none; ``negated``: the others."""

    values: tuple[str, ...] = ()
    negated: bool = False
    empty: bool = False

    def keeps(self, value: str | None) -> bool:
        """Whether what has this value (None: none) is kept."""
        return (self.empty if value is None else value in self.values) != self.negated


@dataclass(frozen=True, slots=True, kw_only=True)
class CostQuery:
    """One question to the books.

    ``period`` is in days of the reporting zone. ``as_of`` asks with the prices and owners known at
    that time. ``visible_teams`` limits the answer to what is attributed to these teams; None sees
    all, the unattributed included. Raises InvalidInput, naming every fault, when it makes no sense.
    Whether the key of a ``tags.<key>`` was ever declared is not looked up here.
    """

    period: Period
    granularity: Granularity = Granularity.TOTAL
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, Filter] = field(default_factory=dict)
    measures: tuple[str, ...] = DEFAULT_MEASURES
    as_of: datetime | None = None
    visible_teams: frozenset[str] | None = None
    currency: str = DOLLARS
    by_kind: bool = False

    def __post_init__(self) -> None:
        problems = [
            *_unknown("group_by", self.group_by, dimension_of),
            *_unknown("filter", self.filters, dimension_of),
            *_unknown("measures", self.measures, MEASURES.__contains__),
            *self._too_fine(),
        ]
        if len(set(self.group_by)) < len(self.group_by):
            problems.append(FieldProblem("group_by", "repeated", "A dimension is named twice."))
        if not self.measures:
            problems.append(FieldProblem("measures", "required", "Name at least one measure."))
        if problems:
            raise InvalidInput("; ".join(problem.message for problem in problems), problems)

    @property
    def used(self) -> frozenset[str]:
        """Every dimension that is grouped or filtered by."""
        return frozenset(self.group_by) | frozenset(self.filters)

    @property
    def by_customer(self) -> bool:
        return "customer" in self.used

    @property
    def counts_usage(self) -> bool:
        """Whether calls are asked about, not only charges."""
        wanted = self.filters.get("charge_kind")
        return wanted is None or wanted.keeps(ChargeKind.USAGE)

    @property
    def needs_calls(self) -> bool:
        """Whether no rollup knows the answer: it is read from the single calls."""
        is_fine = self.granularity == Granularity.HOUR or not _BY_DAY_ONLY.isdisjoint(self.measures)
        return self.by_customer and is_fine

    def _too_fine(self) -> list[FieldProblem]:
        if self.granularity != Granularity.HOUR:
            return []
        return [
            FieldProblem("measures", "too_fine", f"{measure} is kept by day, not by hour.")
            for measure in self.measures
            if measure in _BY_DAY_ONLY
        ]


def _unknown(parameter: str, names: Iterable[str], known: Callable[[str], object]) -> list[FieldProblem]:
    return [
        FieldProblem(parameter, "unknown", f'There is no "{name}" to use in {parameter}.')
        for name in names
        if not known(name)
    ]
