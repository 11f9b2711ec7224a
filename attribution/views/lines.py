"""Rows of a cost table: this period beside the one before, children under their parents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import Any

from attribution.reports import CostReport, Group, Measures
from finops.core.money import EXACT, ZERO
from finops.ui import formats

# More rows than anybody reads; the rest is one row, and all of them are in the export.
MOST_LINES = 100
Start = date | datetime | None
SORTS = ("-cost", "cost", "-change", "change", "-calls", "calls", "-tokens", "tokens", "name", "-name")


@dataclass(frozen=True, slots=True)
class Line:
    """One row. ``cost`` is None when nothing of it has a price; ``before`` is None without comparison."""

    name: str
    value: str | None
    cost: Decimal | None
    calls: int
    tokens: int
    before: Decimal | None = None
    share: Decimal | None = None  # per cent
    trend: Sequence[Decimal] = ()
    token: str = ""  # the colour of its series
    url: str = ""
    calls_url: str = ""
    sums_url: str = ""  # the arithmetic of its cost
    children: Sequence[Line] = field(default_factory=tuple)

    @property
    def known_cost(self) -> Decimal:
        return self.cost or ZERO

    @property
    def change(self) -> Decimal | None:
        if self.before is None:
            return None
        with localcontext(EXACT):
            return self.known_cost - self.before


@dataclass(frozen=True, slots=True)
class Table:
    """Lines and their total; ``rest`` is the number of lines that the last one stands for."""

    lines: Sequence[Line]
    total: Line
    rest: int = 0
    compared: bool = False

    @property
    def has_trend(self) -> bool:
        return len(self.total.trend) > 1


def added(amounts: Iterable[Decimal | int | float | None]) -> Decimal:
    """The exact sum; None counts as nothing."""
    with localcontext(EXACT):
        return sum((Decimal(amount) for amount in amounts if amount is not None), ZERO)


def cost_of(measures: Measures, measure: str) -> Decimal | None:
    value = measures[measure]
    return value if isinstance(value, Decimal) else None


def tokens_of(measures: Measures) -> int:
    return whole(measures, "input_tokens") + whole(measures, "output_tokens")


def whole(measures: Measures, name: str) -> int:
    """A count or a number of tokens."""
    value = measures[name]
    assert isinstance(value, int)
    return value


def by_name(
    report: CostReport,
    before: CostReport | None,
    *,
    label: Callable[[int, str | None], str],
    axis: Sequence[Start] = (),
) -> list[Line]:
    """One line per first dimension, with a child per second one where the report has two.

    ``label`` names a value of the n-th dimension. Lines that cost something only before are there too,
    so that changes add up.
    """
    current = _nested(report)
    earlier = _nested(before) if before is not None else {}
    measure = report.query.measures[0]
    nested = len(report.query.group_by) > 1
    lines = []
    for value in dict.fromkeys([*current, *earlier]):
        inner_now, inner_before = current.get(value, {}), earlier.get(value, {})
        children = []
        for inner in dict.fromkeys([*inner_now, *inner_before]):
            name = label(1, inner) if nested else ""
            child = _line(name, inner, inner_now.get(inner), measure=measure, axis=axis)
            if before is not None:
                child = replace(child, before=_cost(inner_before.get(inner), measure))
            children.append(child)
        parent = _parent(label(0, value), value, children, compared=before is not None)
        lines.append(parent if nested else replace(parent, children=()))
    return lines


def table(lines: Sequence[Line], total: Line, sort: str, *, most: int = MOST_LINES) -> Table:
    """Sorted, with shares that sum to a hundred, and cut to ``most`` rows."""
    shares = formats.shares({index: line.known_cost for index, line in enumerate(lines)})
    shared = [replace(line, share=shares.get(index)) for index, line in enumerate(lines)]
    ordered = in_order(shared, sort)
    total = replace(total, share=Decimal(100) if shares else None)
    compared = total.before is not None
    if len(ordered) <= most:
        return Table(ordered, total, compared=compared)
    kept, cut = ordered[: most - 1], ordered[most - 1 :]
    rest = replace(
        _parent(f"{len(cut)} more", None, cut, compared=compared),
        share=added(line.share for line in cut),
        children=(),
    )
    return Table([*kept, rest], total, rest=len(cut), compared=compared)


def with_fewer_children(whole: Table, most: int) -> Table:
    """About ``most`` rows in all: of each line's children the first few, the rest as one, untrended."""
    each = max(3, most // (len(whole.lines) or 1))
    return replace(whole, lines=[_fewer(line, each, compared=whole.compared) for line in whole.lines])


def _fewer(line: Line, most: int, *, compared: bool) -> Line:
    children = [replace(child, trend=()) for child in line.children]
    if len(children) <= most:
        return replace(line, children=children)
    kept, cut = children[: most - 1], children[most - 1 :]
    rest = replace(_parent(f"{len(cut)} more", None, cut, compared=compared), children=())
    return replace(line, children=[*kept, rest])


def in_order(lines: Iterable[Line], sort: str) -> list[Line]:
    """By the name of the sort, children too; lines without an owner go last among equals."""
    keys: Mapping[str, Callable[[Line], Any]] = {  # Any: whatever compares
        "cost": lambda line: line.known_cost,
        "change": lambda line: line.change or ZERO,
        "calls": lambda line: line.calls,
        "tokens": lambda line: line.tokens,
        "name": lambda line: line.name.casefold(),
    }
    key = keys[sort.removeprefix("-")]
    named = sorted(lines, key=lambda line: (line.value is None, line.name.casefold()))
    ordered = sorted(named, key=key, reverse=sort.startswith("-"))
    return [replace(line, children=in_order(line.children, sort)) for line in ordered]


def total_line(report: CostReport, before: CostReport | None, axis: Sequence[Start] = ()) -> Line:
    """The books' own total of the report."""
    measure = report.query.measures[0]
    whole_report = Group((), report.buckets, report.total)
    line = _line("Total", None, whole_report, measure=measure, axis=axis)
    return line if before is None else replace(line, before=added([cost_of(before.total, measure)]))


def _nested(report: CostReport) -> dict[str | None, dict[str | None, Group]]:
    nested: dict[str | None, dict[str | None, Group]] = {}
    for group in report.groups:
        inner = group.key[1] if len(group.key) > 1 else None
        nested.setdefault(group.key[0], {})[inner] = group
    return nested


def _cost(group: Group | None, measure: str) -> Decimal:
    return ZERO if group is None else cost_of(group.total, measure) or ZERO


def _line(name: str, value: str | None, group: Group | None, *, measure: str, axis: Sequence[Start]) -> Line:
    if group is None:
        return Line(name, value, ZERO, calls=0, tokens=0, trend=[ZERO] * len(axis))
    by_start = {bucket.start: cost_of(bucket.measures, measure) or ZERO for bucket in group.buckets}
    return Line(
        name,
        value,
        cost_of(group.total, measure),
        calls=whole(group.total, "calls"),
        tokens=tokens_of(group.total),
        trend=[by_start.get(start, ZERO) for start in axis],
    )


def _parent(name: str, value: str | None, children: Sequence[Line], *, compared: bool) -> Line:
    priced = [child.cost for child in children if child.cost is not None]
    trends = [child.trend for child in children if child.trend]
    return Line(
        name,
        value,
        added(priced) if priced or not children else None,
        calls=sum(child.calls for child in children),
        tokens=sum(child.tokens for child in children),
        before=added(child.before for child in children) if compared else None,
        trend=[added(column) for column in zip(*trends, strict=True)] if trends else (),
        children=children,
    )
