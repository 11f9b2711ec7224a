"""From list to what is paid: what agreements, commitments, credits and taxes make of a cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from attribution.cost_query import CHARGED
from attribution.models import ChargeKind
from attribution.views.lines import added
from finops.core.money import ZERO

Kinds = Mapping[str, Mapping[str, Decimal]]


@dataclass(frozen=True, slots=True)
class Step:
    """What one reason adds to the effective and to the billed cost."""

    name: str
    effective: Decimal
    billed: Decimal


@dataclass(frozen=True, slots=True)
class FromList:
    """Steps from the list cost that sum to the effective and to the billed cost."""

    listed: Decimal
    steps: tuple[Step, ...]  # those that do anything
    effective: Decimal
    billed: Decimal


def from_list(kinds: Kinds) -> FromList | None:
    """The steps of a report's ``kinds``; None where all four costs are the same."""
    total = {name: _sum(kinds, name) for name in CHARGED}
    if len(set(total.values())) == 1:
        return None
    credited, taxed = kinds.get(ChargeKind.CREDIT, {}), kinds.get(ChargeKind.TAX, {})
    negotiated = added([total["contracted_cost"], -total["list_cost"]])

    def commitments(name: str) -> Decimal:
        return added(
            [total[name], -total["contracted_cost"], -credited.get(name, ZERO), -taxed.get(name, ZERO)]
        )

    steps = (
        Step("Negotiated", negotiated, negotiated),
        Step("Commitments", commitments("effective_cost"), commitments("billed_cost")),
        _step("Credits", credited),
        _step("Taxes", taxed),
    )
    return FromList(
        listed=total["list_cost"],
        steps=tuple(step for step in steps if step.effective or step.billed),
        effective=total["effective_cost"],
        billed=total["billed_cost"],
    )


def _step(name: str, of_kind: Mapping[str, Decimal]) -> Step:
    return Step(name, of_kind.get("effective_cost", ZERO), of_kind.get("billed_cost", ZERO))


def _sum(kinds: Kinds, name: str) -> Decimal:
    return added(costs[name] for costs in kinds.values())
