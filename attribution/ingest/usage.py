"""What was used, as columns: from counts on the wire to disjoint meters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import Any, cast

import numpy as np

from attribution.ingest.schema import Event, Usage
from attribution.models.events import NOT_GIVEN
from finops.core import meters
from finops.core.errors import FieldProblem, InvalidInput
from finops.core.meters import USAGE_FIELDS, Meter
from pricing.raw_usage import read_usage

# The unit of a call that used something, and nobody says what. It has no price, so the call shows as unpriced
# wherever prices are missing, and never as free.
UNTOLD = "calls_without_usage"
_tokens_of = attrgetter(*USAGE_FIELDS)
_NOTHING = (NOT_GIVEN,) * len(USAGE_FIELDS)


def is_settled(event: Event) -> bool:
    """Whether ``settle_usage`` would change nothing."""
    return event.raw_usage is None and event.usage is not None and event.usage_semantics == "inclusive"


def settle_usage(event: Event) -> FieldProblem | None:
    """Make the event's usage an inclusive one of our own, whichever way the client counted.

    Returns the problem of an event that gives its usage in no way, or in two.
    """
    if event.raw_usage is not None:
        if event.usage is not None:
            return FieldProblem("raw_usage", "ambiguous", "Give usage or raw_usage, not both.")
        if not event.api_flavor:
            return FieldProblem("api_flavor", "required", "raw_usage needs api_flavor, to be read by.")
        try:
            read = read_usage(event.api_flavor, event.raw_usage, model=event.model)
        except InvalidInput as error:
            return _of_raw_usage(error.problems[0])
        counts = {name: getattr(read.usage, name) for name in USAGE_FIELDS}
        if not any(counts.values()) and not read.units and not _tells_zeros(event):
            return FieldProblem("raw_usage", "empty", f"Nothing in it is a count of {event.api_flavor}.")
        event.usage = Usage(**counts, units=read.units or None)
        # What the provider says it served wins over what the client asked for.
        event.service_tier = read.service_tier or event.service_tier
        event.region = read.region or event.region
        # One that is not known here has no price, which is what it should have.
        event.speed = cast("Any", read.speed) or event.speed
        event.raw_usage = event.api_flavor = None
    elif event.usage is None:
        return FieldProblem("usage", "required", "Give usage, or raw_usage with api_flavor.")
    elif event.usage_semantics == "anthropic":
        cached = max(event.usage.cache_read_tokens, 0) + max(event.usage.cache_write_tokens, 0)
        event.usage.input_tokens = max(event.usage.input_tokens, 0) + cached
    event.usage_semantics = "inclusive"
    return None


def _of_raw_usage(problem: FieldProblem) -> FieldProblem:
    """At the field that the client sent: what is read from it has names of ours."""
    if problem.field.startswith(("raw_usage", "api_flavor")):
        return problem
    return FieldProblem("raw_usage", problem.code, problem.message)


def _tells_zeros(event: Event) -> bool:
    """Whether a usage object that came to nothing says so itself: it counts, and counts nothing.

    One without any count is no answer's of a call that succeeded, and one with others is of another API.
    """
    raw = event.raw_usage or {}
    inner = (raw.get(name) for name in ("usage", "usageMetadata", "usage_metadata"))
    numbers = list(_numbers(next((one for one in inner if isinstance(one, Mapping)), raw)))
    return event.status != "success" or (bool(numbers) and not any(numbers))


def _numbers(whole: Any) -> Iterator[Any]:  # Any: JSON, of any depth
    values = [whole]
    while values:
        value = values.pop()
        if isinstance(value, Mapping):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            yield value


def token_columns(events: Sequence[Event]) -> np.ndarray:
    """One row a call, one int64 column for each of ``USAGE_FIELDS``; -1 is not given."""
    usages = [event.usage for event in events]
    values = chain.from_iterable([_tokens_of(usage) if usage else _NOTHING for usage in usages])
    count = len(usages) * len(USAGE_FIELDS)
    return np.fromiter(values, dtype=np.int64, count=count).reshape(-1, len(USAGE_FIELDS))


def meter_columns(tokens: np.ndarray) -> dict[Meter, np.ndarray]:
    """A column for each meter; they add up to input plus output.

    A negative number says that subsets are larger than their total.
    """
    given = np.maximum(tokens, 0)
    return meters.split(**{name: given[:, place] for place, name in enumerate(USAGE_FIELDS)})
