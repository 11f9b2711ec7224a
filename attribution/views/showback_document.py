"""The showback as a document: lines within teams, rounded so that every column adds up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from attribution.cost_query import CHARGED
from attribution.models import ChargeKind
from attribution.reports import CostReport, Group, Key
from attribution.views import asking, lines
from attribution.views.from_list import FromList, from_list
from attribution.views.names import Names
from finops.core.money import ZERO, apportion, round_to_total

DIMENSIONS = ("cost_centre", "team", "feature", "tier", "charge_kind")
MEASURES = (*CHARGED, *asking.MEASURES)
# What a line that is no usage is called, where a feature would stand.
BESIDE = {ChargeKind.COMMITMENT: "Commitments", ChargeKind.CREDIT: "Credits", ChargeKind.TAX: "Taxes"}
# Beyond so many lines a page shows teams and features; the files have every line.
MOST_DETAIL = 150


@dataclass(slots=True)
class Sums:
    """What groups of a report come to: ``costs`` are list, contracted, effective and billed, exact."""

    costs: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(CHARGED, ZERO))
    calls: int = 0
    tokens: int = 0

    def add(self, group: Group) -> None:
        for name in CHARGED:
            self.costs[name] = lines.added([self.costs[name], lines.cost_of(group.total, name)])
        self.calls += lines.whole(group.total, "calls")
        self.tokens += lines.tokens_of(group.total)


@dataclass(frozen=True, slots=True)
class ShowbackLine:
    """What one feature of one team cost for one tier, or all of a team's charges of one kind.

    ``shown`` are cents that add up.
    """

    key: Key
    feature: str
    tier: str
    kind: ChargeKind
    sums: Sums
    cost: Decimal  # exact
    before: Decimal  # exact
    shown: Decimal
    shown_before: Decimal
    sums_url: str = ""  # the arithmetic of its cost

    @property
    def calls(self) -> int:
        return self.sums.calls

    @property
    def tokens(self) -> int:
        return self.sums.tokens

    @property
    def is_usage(self) -> bool:
        return self.kind == ChargeKind.USAGE


@dataclass(frozen=True, slots=True)
class TeamPart:
    """One team in one cost centre, with its lines: usage, the dearest first, and the charges beside."""

    name: str
    team: str | None
    cost_centre: str
    lines: Sequence[ShowbackLine]
    shown: Decimal
    shown_before: Decimal
    sums_url: str = ""

    @property
    def calls(self) -> int:
        return sum(line.calls for line in self.lines)

    @property
    def tokens(self) -> int:
        return sum(line.tokens for line in self.lines)


@dataclass(frozen=True, slots=True)
class Showback:
    """The document: parts sum to the totals to the cent, which are the books' own, rounded once."""

    report: CostReport
    before: CostReport
    parts: Sequence[TeamPart]
    shown: Decimal
    shown_before: Decimal
    sums_url: str = ""

    @property
    def detail(self) -> bool:
        return sum(len(part.lines) for part in self.parts) <= MOST_DETAIL

    @property
    def calls(self) -> int:
        return sum(part.calls for part in self.parts)

    @property
    def tokens(self) -> int:
        return sum(part.tokens for part in self.parts)

    @property
    def from_list(self) -> FromList | None:
        """What agreements, commitments, credits and taxes make of the list cost; None: nothing."""
        kinds: dict[str, dict[str, Decimal]] = {}
        for line in (line for part in self.parts for line in part.lines):
            told = kinds.setdefault(line.kind, dict.fromkeys(CHARGED, ZERO))
            for name in CHARGED:
                told[name] = lines.added([told[name], line.sums.costs[name]])
        return from_list(kinds)


Parts = Mapping[Key, Mapping[Key, Sums]]


def draw_up(report: CostReport, before: CostReport, names: Names) -> Showback:
    """Round top down by largest remainder: the total once, teams within it, lines within teams."""
    measure = report.query.measures[0]
    now, earlier = _by_part(report), _by_part(before)
    shown_now, shown_before = _rounded(now, measure), _rounded(earlier, measure)
    parts = []
    for part in dict.fromkeys([*now, *earlier]):
        keys = dict.fromkeys([*now.get(part, {}), *earlier.get(part, {})])
        found = [
            _line(
                key,
                now.get(part, {}).get(key, Sums()),
                earlier.get(part, {}).get(key, Sums()),
                measure,
                names,
                shown=shown_now.get(part, {}).get(key, ZERO),
                shown_before=shown_before.get(part, {}).get(key, ZERO),
            )
            for key in keys
        ]
        parts.append(
            TeamPart(
                name=names.label("team", part[1]),
                team=part[1],
                cost_centre=names.label("cost_centre", part[0]),
                lines=_in_order(found),
                shown=lines.added(line.shown for line in found),
                shown_before=lines.added(line.shown_before for line in found),
            )
        )
    parts.sort(key=lambda part: (part.team is None, -part.shown, part.name))
    return Showback(
        report,
        before,
        parts,
        shown=lines.added(part.shown for part in parts),
        shown_before=lines.added(part.shown_before for part in parts),
    )


def _line(
    key: Key,
    now: Sums,
    before: Sums,
    measure: str,
    names: Names,
    *,
    shown: Decimal,
    shown_before: Decimal,
) -> ShowbackLine:
    kind = ChargeKind(key[4] or ChargeKind.USAGE)
    return ShowbackLine(
        key=key,
        feature=BESIDE.get(kind) or names.label("feature", key[2]),
        tier="" if kind in BESIDE else names.label("tier", key[3]),
        kind=kind,
        sums=now,
        cost=now.costs[measure],
        before=before.costs[measure],
        shown=shown,
        shown_before=shown_before,
    )


def _in_order(found: Sequence[ShowbackLine]) -> list[ShowbackLine]:
    of_feature: dict[str, Decimal] = defaultdict(Decimal)
    for line in found:
        of_feature[line.feature] += line.cost
    return sorted(
        found,
        key=lambda line: (
            not line.is_usage,
            -of_feature[line.feature],
            line.feature,
            -line.cost,
            line.tier,
        ),
    )


def _by_part(report: CostReport) -> dict[Key, dict[Key, Sums]]:
    """Sums by team and line: usage by feature and tier, the charges beside it by kind alone."""
    parts: dict[Key, dict[Key, Sums]] = {}
    for group in report.groups:
        centre, team, _, _, kind = group.key
        key = group.key if kind == ChargeKind.USAGE else (centre, team, None, None, kind)
        parts.setdefault((centre, team), {}).setdefault(key, Sums()).add(group)
    return parts


def _rounded(parts: Parts, measure: str) -> dict[Key, dict[Key, Decimal]]:
    exact = {part: {key: sums.costs[measure] for key, sums in found.items()} for part, found in parts.items()}
    totals = round_to_total({part: lines.added(amounts.values()) for part, amounts in exact.items()})
    return {part: apportion(totals[part], amounts) for part, amounts in exact.items()}
