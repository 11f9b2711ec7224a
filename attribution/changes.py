"""Why a cost changed: volume, mix and price, with what came and what went apart.

A line of a report (a team, a feature) is made of components, each bought at one unit price: one kind
of token of one model under one set of conditions. For the components there before and now, with
quantities q and unit prices p before (0) and now (1), sums over the components, Q = Σ q, C = Σ q·p:

    volume = C0 · (Q1 / Q0 - 1)          more or less of the same mix at the same prices
    mix    = Σ q1·p0 - C0 · Q1 / Q0      dearer or cheaper components for the same quantity
    price  = Σ q1·(p1 - p0)              the same components at other unit prices
    new    = Σ cost of the components that were not there before
    gone   = - Σ cost of the components that are no longer there

What no unit price says (commitments, credits, taxes, volume bands) is an effect of its own: the
difference of these charges. All add up to the difference of the two costs exactly: volume and
``Σ q1·p0`` are rounded to 12 decimals, the others are what is left. Quantities of different units
(tokens, searches) never mix: each unit is explained by itself, then the effects are added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from finops.core.money import EXACT, ZERO

_STEP = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Component:
    """What was bought at one unit price; ``label`` is how a reason names it, ``unit`` what is counted."""

    label: str
    unit: str
    quantity_before: Decimal
    cost_before: Decimal
    quantity_now: Decimal
    cost_now: Decimal


@dataclass(frozen=True, slots=True)
class Effects:
    """Parts of a change; they sum to it exactly."""

    volume: Decimal = ZERO
    mix: Decimal = ZERO
    price: Decimal = ZERO
    new: Decimal = ZERO
    gone: Decimal = ZERO
    charges: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        with localcontext(EXACT):
            return sum((getattr(self, f.name) for f in fields(self)), ZERO)

    def __add__(self, other: Effects) -> Effects:
        with localcontext(EXACT):
            return Effects(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


def explain(components: Iterable[Component]) -> Effects:
    """The effects behind the difference of these components' costs."""
    by_unit: dict[str, list[Component]] = defaultdict(list)
    for component in components:
        by_unit[component.unit].append(component)
    return sum((_explain_unit(of_unit) for of_unit in by_unit.values()), Effects())


def reason(
    effects: Effects, components: Sequence[Component], charges: Mapping[str, Decimal] | None = None
) -> str:
    """The largest effect in words, naming the component that did most of it; "" without a change.

    ``charges`` is by how much each charge, as a reason names it, has changed.
    """
    named = {field.name: getattr(effects, field.name) for field in fields(effects)}
    kind = max(named, key=lambda name: abs(named[name]))
    if not named[kind]:
        return ""
    if kind == "charges":
        return _charged(effects.charges, charges or {})
    came = _by_label(components, lambda one: one.cost_now if not _stays(one) else ZERO)
    went = _by_label(components, lambda one: one.cost_before if not _stays(one) else ZERO)
    if kind in ("new", "gone"):
        return _replacement(came, went)
    grown = _by_label(components, lambda one: one.cost_now - one.cost_before if _stays(one) else ZERO)
    label = max(grown, key=lambda name: abs(grown[name]))
    up = named[kind] > 0
    return {
        "volume": f"{'More' if up else 'Less'} usage, mostly {label}",
        "mix": f"{'Dearer' if up else 'Cheaper'} mix, mostly {label}",
        "price": f"{'Higher' if up else 'Lower'} unit prices, mostly {label}",
    }[kind]


def _charged(change: Decimal, charges: Mapping[str, Decimal]) -> str:
    moved = f"{'More' if change > 0 else 'Less'} charged beside usage"
    if not charges:
        return moved
    return f"{moved}, mostly {max(charges, key=lambda label: abs(charges[label]))}"


def _replacement(came: Mapping[str, Decimal], went: Mapping[str, Decimal]) -> str:
    arrived = max(came, key=lambda name: came[name])
    departed = max(went, key=lambda name: went[name])
    if came[arrived] and went[departed] and arrived != departed:
        return f"{arrived} replaced {departed}"
    return f"{arrived} is new" if came[arrived] >= went[departed] else f"{departed} is gone"


def _by_label(components: Iterable[Component], amount: Callable[[Component], Decimal]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for component in components:
        sums[component.label] += amount(component)
    return sums


def _stays(component: Component) -> bool:
    return component.quantity_before > 0 and component.quantity_now > 0


def _explain_unit(components: Sequence[Component]) -> Effects:
    with localcontext(EXACT) as context:
        context.rounding = ROUND_HALF_EVEN
        kept = [component for component in components if _stays(component)]
        others = [component for component in components if not _stays(component)]
        cost_before = sum((one.cost_before for one in kept), ZERO)
        cost_now = sum((one.cost_now for one in kept), ZERO)
        volume = at_old_prices = ZERO
        if kept:
            before = sum((one.quantity_before for one in kept), ZERO)
            now = sum((one.quantity_now for one in kept), ZERO)
            volume = (cost_before * (now - before) / before).quantize(_STEP)
            at_old_prices = sum(
                (one.cost_before * one.quantity_now / one.quantity_before for one in kept), ZERO
            ).quantize(_STEP)
        return Effects(
            volume=volume,
            mix=at_old_prices - cost_before - volume if kept else ZERO,
            price=cost_now - at_old_prices,
            new=sum((one.cost_now for one in others), ZERO),
            gone=-sum((one.cost_before for one in others), ZERO),
        )
