"""The filter bar above a report: which choices a screen offers and which are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from finops.ui import formats, presets
from finops.ui.filters import COMPARISONS, COSTS, GRAINS, View

Choice = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Select:
    """One choice of the bar; ``options`` are (value, text), the first is the default."""

    name: str
    label: str
    options: Sequence[Choice]
    chosen: str


@dataclass(frozen=True, slots=True)
class Bar:
    """Everything the template of the bar needs. ``offers`` names the selects a screen has, in order."""

    view: View
    offers: Sequence[str]

    @property
    def selects(self) -> list[Select]:
        return [self._select(name) for name in self.offers]

    @property
    def hidden(self) -> list[Choice]:
        """What the form carries along: everything in the view that no select of the bar shows."""
        shown = {*self.offers, "from", "to"}
        return [(name, value) for name, value in self.view.parameters if name not in shown | self._others]

    @property
    def hidden_for_addition(self) -> list[Choice]:
        """What the form that adds a condition carries along: the whole view."""
        return [(name, value) for name, value in self.view.parameters if name not in self._others]

    @property
    def _others(self) -> set[str]:
        return set(self.view.screen.others)

    @property
    def dimensions(self) -> list[Choice]:
        return [(dimension.name, dimension.label) for dimension in self.view.screen.dimensions]

    @property
    def previous(self) -> str:
        return self.view.in_period(self.view.span.shifted(-1)).url

    @property
    def following(self) -> str:
        """The next period's address, or "" where it has not begun."""
        period = self.view.span.shifted(1)
        return self.view.in_period(period).url if period.first <= self.view.today else ""

    @property
    def days(self) -> str:
        span = self.view.span
        return formats.days(span.whole.first, span.so_far.end)

    @property
    def compared_days(self) -> str:
        compared = self.view.compared
        return formats.days(compared.first, compared.end) if compared else ""

    def _select(self, name: str) -> Select:
        view, screen = self.view, self.view.screen
        groups = [(dimension.name, dimension.label) for dimension in screen.dimensions]
        known: Mapping[str, tuple[str, Iterable[Choice], str]] = {
            "period": ("Period", self._periods(), view.period),
            "compare": ("Compare with", COMPARISONS.items(), view.compare),
            "group": ("Group by", groups, view.group),
            "split": ("Split by", [("", "Nothing"), *groups], view.split),
            "cost": ("Cost", [(cost, COSTS[cost]) for cost in screen.costs], view.cost),
            "grain": ("Bars", [("", "By the period"), *GRAINS.items()], view.grain),
        }
        label, options, chosen = known[name]
        return Select(name, label, list(options), chosen)

    def _periods(self) -> list[Choice]:
        view = self.view
        choices = [(name, label) for name, (label, _, _) in presets.PRESETS.items()]
        if view.period not in presets.PRESETS and view.period != presets.CUSTOM:
            choices.append((view.period, self.days))
        return [*choices, (presets.CUSTOM, "Custom days")]
