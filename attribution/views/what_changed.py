"""What changed between two periods: each line's effects, with the reason in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from attribution.changes import Component, Effects, explain, reason
from attribution.charge_lines import ChargeLine, charge_lines
from attribution.meter_lines import MeterLine, meter_lines
from attribution.views import asking
from attribution.views.answering import in_explorer, sums_url
from attribution.views.lines import added
from attribution.views.names import names_of
from finops.core.money import ZERO
from finops.ui import charts, formats
from finops.ui.charts import Chart
from finops.ui.formats import Currency
from finops.ui.screens import Asked

MOST_BARS, MOST_LINES = 12, 100


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One group: its costs before and now, and why they differ."""

    name: str
    value: str | None
    before: Decimal
    now: Decimal
    effects: Effects
    reason: str
    url: str = ""
    # The arithmetic of the two costs.
    before_url: str = ""
    now_url: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """All lines, the largest change first; the total's effects are the sums of the lines'."""

    lines: Sequence[ChangeLine]
    total: ChangeLine
    chart: Chart | None

    @property
    def has_charges(self) -> bool:
        """Whether anything but usage at its prices moved a line."""
        return any(line.effects.charges for line in self.lines)


def what_changed(asked: Asked, dimension: str, *, only: Mapping[str, str] | None = None) -> Changes | None:
    """Explain this view's change since the period it is compared with, by one dimension.

    Four statements, one for the names, and one for those of each origin of charges. None when nothing
    is compared.
    """
    view = asked.view
    if view.compared is None:
        return None
    questions = (
        asking.question(asked, dimension, period=view.compared, measures=(), only=only),
        asking.question(asked, dimension, measures=(), only=only),
    )
    earlier, now = (_by_group(meter_lines(question)) for question in questions)
    charged = _charged(*(charge_lines(question) for question in questions))
    names, base = names_of([dimension]), in_explorer(view, only)
    lines = []
    for value in dict.fromkeys([*now, *earlier, *charged]):
        components = list(_components(earlier.get(value, []), now.get(value, [])))
        charges = charged.get(value, {})
        charged_before = added(first for first, _ in charges.values())
        charged_now = added(after for _, after in charges.values())
        effects = explain(components) + Effects(charges=charged_now - charged_before)
        narrowed = view.narrowed(dimension, value)
        lines.append(
            ChangeLine(
                name=names.label(dimension, value),
                value=value,
                before=added([charged_before, *(one.cost_before for one in components)]),
                now=added([charged_now, *(one.cost_now for one in components)]),
                effects=effects,
                reason=reason(
                    effects, components, {label: after - first for label, (first, after) in charges.items()}
                ),
                before_url=sums_url(base.in_period(view.compared).narrowed(dimension, value)),
                now_url=sums_url(base.narrowed(dimension, value)),
                url=narrowed.with_(group="model" if dimension != "model" else "feature").url,
            )
        )
    lines.sort(key=lambda line: (-abs(line.effects.total), line.name))
    total = ChangeLine(
        name="Total",
        value=None,
        before=added(line.before for line in lines),
        now=added(line.now for line in lines),
        effects=sum((line.effects for line in lines), Effects()),
        reason="",
        before_url=sums_url(base.in_period(view.compared)),
        now_url=sums_url(base),
    )
    return Changes(lines[:MOST_LINES] if len(lines) <= MOST_LINES else _cut(lines), total, _chart(lines))


def _cut(lines: Sequence[ChangeLine]) -> list[ChangeLine]:
    kept, rest = list(lines[: MOST_LINES - 1]), lines[MOST_LINES - 1 :]
    others = ChangeLine(
        name=f"{len(rest)} more",
        value=None,
        before=added(line.before for line in rest),
        now=added(line.now for line in rest),
        effects=sum((line.effects for line in rest), Effects()),
        reason="",
    )
    return [*kept, others]


def _by_group(found: Iterable[MeterLine]) -> dict[str | None, list[MeterLine]]:
    groups: dict[str | None, list[MeterLine]] = defaultdict(list)
    for line in found:
        groups[line.key[0]].append(line)
    return groups


Moved = dict[str, tuple[Decimal, Decimal]]  # by label: before and now


def _charged(earlier: Iterable[ChargeLine], now: Iterable[ChargeLine]) -> dict[str | None, Moved]:
    groups: dict[str | None, Moved] = defaultdict(dict)
    for side, found in enumerate((earlier, now)):
        for line in found:
            moved = groups[line.key[0]]
            before, after = moved.get(line.label, (ZERO, ZERO))
            moved[line.label] = (
                (before, added([after, line.cost])) if side else (added([before, line.cost]), after)
            )
    return groups


def _components(earlier: Iterable[MeterLine], now: Iterable[MeterLine]) -> Iterable[Component]:
    sides: dict[tuple[object, ...], list[tuple[Decimal, Decimal]]] = {}
    told: dict[tuple[object, ...], MeterLine] = {}
    for side, found in enumerate((earlier, now)):
        for line in found:
            identity = (*line.conditions, line.meter)
            told[identity] = line
            sides.setdefault(identity, [(ZERO, ZERO), (ZERO, ZERO)])[side] = (line.quantity, line.cost)
    for identity, ((quantity_before, cost_before), (quantity_now, cost_now)) in sides.items():
        line = told[identity]
        yield Component(
            label=line.model,
            unit="tokens" if line.is_tokens else line.meter,
            quantity_before=quantity_before,
            cost_before=cost_before,
            quantity_now=quantity_now,
            cost_now=cost_now,
        )


def _chart(lines: Sequence[ChangeLine]) -> Chart | None:
    shown = [line for line in lines[:MOST_BARS] if line.effects.total]
    if not shown:
        return None
    currency = Currency(settings.REPORTING_CURRENCY)
    first = shown[0]
    amount = formats.money(first.effects.total, currency)
    sign = "+" if first.effects.total > 0 else ""
    text = f"Largest: {first.name} {sign}{amount}."
    return Chart(
        name="changes",
        heading="Largest changes",
        sentence=f"{text} {first.reason}." if first.reason else text,
        figure=charts.ranking_bars([(line.name, line.effects.total, line.url) for line in shown], currency),
        table="changes-table",
    )
