"""What decoding cannot see: rules across fields, on time and on characters.

``broken_rule`` is the whole truth about one event. ``broken_rules`` proves most events good without it,
by operations on columns and by names that were seen before; it never takes a bad event for a good one.
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import chain
from operator import attrgetter

from attribution.ingest.post import NAMES, Post
from attribution.ingest.schema import MOST_TOKENS, Event, Usage
from attribution.ingest.times import microseconds
from attribution.ingest.usage import meter_columns
from finops.core.errors import FieldProblem
from finops.core.meters import USAGE_FIELDS, excess, split

MOST_AHEAD_US = 10 * 60 * 1_000_000
# No model was billed by the token before; an earlier time is a clock that was never set, or seconds
# taken for milliseconds.
EARLIEST_US = 1_577_836_800_000_000  # 2020-01-01T00:00Z
MOST_UNIT_PLACES = 6
MOST_COST = 10**12
MOST_COST_PLACES = 18

# A slug names something that people group by: letters and digits of any script, and - _ . : / @ + #.
SLUG = re.compile(r"[\w.:/@+#-]+")
_SLUGS = (*NAMES[1:], "customer", "service_tier", "host", "region", "account")
_PRINTABLE = (
    "event_id",
    "source",
    "provider",
    "model",
    "model_requested",
    "end_user",
    "session_id",
    "task_id",
    "trace_id",
    "parent_event_id",
    "error_type",
)
_texts_of = attrgetter(
    "event_id",
    "model_requested",
    "end_user",
    "session_id",
    "task_id",
    "trace_id",
    "parent_event_id",
    "error_type",
)


def broken_rules(post: Post, *, now_us: int) -> list[FieldProblem | None]:
    """For each event the first rule it breaks, or None.

    Names and facts that earlier sound events had need no second look.
    """
    if not post.events or not _columns_are_sound(post, now_us):
        return [broken_rule(event, now_us=now_us) for event in post.events]
    return [
        None
        if names
        and facts
        # What only ``broken_rule`` looks at.
        and not (event.tags or event.reported_cost or (event.usage and event.usage.units))
        else broken_rule(event, now_us=now_us)
        for event, names, facts in zip(post.events, post.known_sets, post.known_facts, strict=True)
    ]


def _columns_are_sound(post: Post, now_us: int) -> bool:
    """Whether the times, tokens and free texts of all these events keep to the rules."""
    customers = "".join([event.customer for event in post.events if event.customer])
    return bool(
        post.time_us.min() >= EARLIEST_US
        and post.time_us.max() <= now_us + MOST_AHEAD_US
        and post.tokens.max(axis=1).min() >= 0
        and min(column.min() for column in meter_columns(post.tokens).values()) >= 0
        and (post.arrivals.is_plain or _texts_are_printable(post.events))
        and (not customers or SLUG.fullmatch(customers))
    )


def _texts_are_printable(events: list[Event]) -> bool:
    return "".join(filter(None, chain.from_iterable(map(_texts_of, events)))).isprintable()


def broken_rule(event: Event, *, now_us: int) -> FieldProblem | None:
    """The first rule that the event breaks; None for a sound one. Its usage is read already."""
    return (
        _broken_time(microseconds(event.occurred_at), now_us)
        or _broken_text(event)
        or _broken_usage(event.usage)
        or _broken_rarity(event)
    )


def _broken_time(at_us: int, now_us: int) -> FieldProblem | None:
    if at_us > now_us + MOST_AHEAD_US:
        return FieldProblem("occurred_at", "in_the_future", "More than 10 minutes ahead of our clock.")
    if at_us < EARLIEST_US:
        return FieldProblem(
            "occurred_at", "implausible", "Before 2020: a time as a number is in milliseconds since 1970."
        )
    return None


def _broken_text(event: Event) -> FieldProblem | None:
    for field in _PRINTABLE:
        value = getattr(event, field)
        if value and not value.isprintable():
            return FieldProblem(field, "not_printable", "Control characters are not allowed.")
    for field in _SLUGS:
        value = getattr(event, field)
        if value and not SLUG.fullmatch(value):
            return FieldProblem(field, "not_a_slug", "Letters, digits and - _ . : / @ + # only; no spaces.")
    return None


def _broken_usage(usage: Usage | None) -> FieldProblem | None:
    if usage is None:
        return FieldProblem("usage", "required", "Give usage, or raw_usage with api_flavor.")
    counts = {name: max(getattr(usage, name), 0) for name in USAGE_FIELDS}
    if not usage.units and all(getattr(usage, name) < 0 for name in USAGE_FIELDS):
        return FieldProblem("usage", "empty", "At least one quantity is required.")
    if problem := excess(split(**counts)):
        return FieldProblem(f"usage.{problem.field}", problem.code, f"{problem.message}.")
    return None


def _broken_quantity(quantity: Decimal) -> tuple[str, str] | None:
    if not quantity.is_finite():
        return "not_finite", "Expected a finite number."
    if not 0 <= quantity <= MOST_TOKENS:
        return "out_of_range", f"Expected a number from 0 to {MOST_TOKENS}."
    if int(quantity.normalize().as_tuple().exponent) < -MOST_UNIT_PLACES:
        return "too_precise", f"At most {MOST_UNIT_PLACES} decimal places."
    return None


def _broken_rarity(event: Event) -> FieldProblem | None:
    """What few events have: units, tags, a reported cost."""
    if event.usage and event.usage.units:
        for name, quantity in event.usage.units.items():
            if problem := _broken_quantity(quantity):
                return FieldProblem(f"usage.units.{name}", *problem)
    if event.tags:
        for key, value in event.tags.items():
            if not value.isprintable():
                return FieldProblem(f"tags.{key}", "not_printable", "Control characters are not allowed.")
    if event.reported_cost and (problem := _broken_amount(event.reported_cost.amount)):
        return FieldProblem("reported_cost.amount", *problem)
    return None


def _broken_amount(amount: Decimal) -> tuple[str, str] | None:
    if not amount.is_finite() or not 0 <= amount < MOST_COST:
        return "out_of_range", f"Expected an amount from 0 to {MOST_COST}."
    if int(amount.as_tuple().exponent) < -MOST_COST_PLACES:
        return "too_precise", f"At most {MOST_COST_PLACES} decimal places."
    return None
