"""Finds prices between which nothing decides: equally specific, for the same calls, at the same time.

Pure. The book chooses the most specific row, so two that are equally specific and can both price one call
would be told apart by nothing but the order in which they were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import combinations
from typing import TypeVar

from finops.core.errors import FieldProblem, InvalidInput
from pricing.agreements import Agreed
from pricing.book import Book, specificity
from pricing.entries import TOKEN_METERS, Alias, BookRow, Factor, Span
from pricing.patterns import is_pattern, overlap, weight
from pricing.schedules import Schedule

_MOST_NAMED = 20
_AGREEMENT = "agreement "
Part = TypeVar("Part", BookRow, Factor, Alias, Agreed)
Clash = tuple[str, str]  # the two rows, in words


def refuse_ambiguous(book: Book) -> None:
    """Raises InvalidInput naming both rows of every pair between which nothing decides."""
    found = list(clashes(book))
    if not found:
        return
    problems = [
        FieldProblem(
            "agreements" if one.startswith(_AGREEMENT) else "prices",
            "ambiguous",
            f"Nothing decides between {one} and {other}.",
        )
        for one, other in found[:_MOST_NAMED]
    ]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    raise InvalidInput(problems[0].message + more, problems)


def clashes(book: Book) -> Iterator[Clash]:
    """Every pair of rows that are equally specific for the same calls and differ in what they say."""
    for rows in book.rows.values():
        yield from _pairs([row for row in rows if not row.fees], _same_conditions, _rows_clash, _row)
        yield from _pairs([row for row in rows if row.fees], _same_conditions, _fees_clash, _row)
    for factors in book.factors.values():
        yield from _pairs(factors, _same_rank, _factors_clash, _factor)
    for aliases in book.aliases.values():
        yield from _pairs(aliases, _same_host, _aliases_clash, _alias)
    for agreements in book.agreements.values():
        yield from _pairs(agreements, _same_terms, _agreements_clash, _agreement)


def _pairs(
    parts: Iterable[Part],
    alike: Callable[[Part], object],
    clash: Callable[[Part, Part], bool],
    words: Callable[[Part], str],
) -> Iterator[Clash]:
    """Pairs that clash; only parts that are alike are compared."""
    groups: dict[object, list[Part]] = {}
    for part in parts:
        groups.setdefault(alike(part), []).append(part)
    for group in groups.values():
        for one, other in combinations(group, 2):
            if (
                _meet(one.effective, other.effective)
                and overlap(one.model, other.model)
                and clash(one, other)
            ):
                yield words(one), words(other)


def _same_conditions(row: BookRow) -> object:
    conditions = (row.service_tier, row.processing, row.speed, row.host, row.over)
    return (*conditions, specificity(row), _exact(row.model))


def _same_rank(factor: Factor) -> object:
    return weight(factor.region), weight(factor.model), _exact(factor.model)


def _same_host(alias: Alias) -> object:
    return alias.host, weight(alias.model), _exact(alias.model)


def _same_terms(agreed: Agreed) -> object:
    return agreed.rank, agreed.account, agreed.host, _exact(agreed.model)


def _exact(model: str) -> str:
    """Names that are no patterns meet only themselves: a large list is compared name by name."""
    return "" if is_pattern(model) else model.lower()


def _rows_clash(one: BookRow, other: BookRow) -> bool:
    return overlap(one.region, other.region) and _at_one_hour(one.schedule, other.schedule)


def _fees_clash(one: BookRow, other: BookRow) -> bool:
    both = one.rates.keys() & other.rates.keys()
    return any(one.rates[name] != other.rates[name] for name in both)


def _factors_clash(one: Factor, other: Factor) -> bool:
    return one.factor != other.factor and overlap(one.region, other.region)


def _aliases_clash(one: Alias, other: Alias) -> bool:
    return (one.target_provider, one.target_model) != (other.target_provider, other.target_model)


def _agreements_clash(one: Agreed, other: Agreed) -> bool:
    """Whether both may hold for one meter of a call, also where they would price it alike."""
    conditions = (
        (one.service_tier, other.service_tier),
        (one.processing, other.processing),
        (one.speed, other.speed),
    )
    if any(mine and theirs and mine != theirs for mine, theirs in conditions):
        return False
    meters = {*TOKEN_METERS, *one.meters, *other.meters, *one.rates, *other.rates, "any fee"}
    return any(one.speaks_of(meter) and other.speaks_of(meter) for meter in meters) and (
        overlap(one.region or "*", other.region or "*")
    )


def _at_one_hour(one: Schedule | None, other: Schedule | None) -> bool:
    """Whether both may hold at one time of a day: a row with hours comes before one without."""
    if one is None or other is None:
        return one is other
    return bool(one.days & other.days) and any(
        start < until and begin < end for start, end in one.windows for begin, until in other.windows
    )


def _meet(one: Span, other: Span) -> bool:
    starts = [edge for edge, _ in (one, other) if edge is not None]
    ends = [edge for _, edge in (one, other) if edge is not None]
    return not starts or not ends or max(starts) < min(ends)


def _row(row: BookRow) -> str:
    under = ", ".join(filter(None, (row.service_tier, row.processing, row.speed, row.region, row.host)))
    over = f", prompts over {row.over}" if row.over else ""
    hours = f", hours {row.schedule.name}" if row.schedule else ""
    meters = f", {', '.join(sorted(row.rates))}" if row.fees else ""
    what = f"{row.provider}/{row.model} ({under or 'fees'}{over}{hours}{meters})"
    return f"price {row.id}, {what}, {_when(row.effective)}"


def _factor(factor: Factor) -> str:
    times = "unknown" if factor.factor is None else factor.factor
    return (
        f"the multiplier {times} on {factor.provider}/{factor.model} in {factor.region},"
        f" {_when(factor.effective)}"
    )


def _alias(alias: Alias) -> str:
    host = f" at {alias.host}" if alias.host else ""
    target = f"{alias.target_provider}/{alias.target_model}"
    return f"the alias {alias.provider}/{alias.model}{host} for {target}, {_when(alias.effective)}"


def _agreement(agreed: Agreed) -> str:
    """Which agreement, with whom and when."""
    what = f"{agreed.name} ({agreed.provider}/{agreed.model})"
    return f"{_AGREEMENT}{agreed.id}, {what}, {_when(agreed.effective)}"


def _when(span: Span) -> str:
    start, end = (
        None if edge is None else datetime.fromtimestamp(edge, UTC).isoformat().replace("+00:00", "Z")
        for edge in span
    )
    if start is None and end is None:
        return "at all times"
    return f"from {start or 'the beginning'} to {end or 'further notice'}"
