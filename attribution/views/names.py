"""What people call the values of a dimension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import models

from attribution.models import BusinessUnit, ChargeKind, CostCentre, Feature, Team, Tier

REGISTRIES: Mapping[str, type[models.Model]] = {
    "team": Team,
    "cost_centre": CostCentre,
    "business_unit": BusinessUnit,
    "feature": Feature,
    "tier": Tier,
}
_KINDS = {kind.value: kind.label for kind in ChargeKind}
NOTHING = {
    "team": "Unattributed",
    "cost_centre": "No cost centre",
    "business_unit": "No business unit",
    "feature": "No feature",
    "tier": "No tier",
    "customer": "No customer",
    "api_key": "No key (imported)",
    "model_tier": "No price, no tier",
}


@dataclass(frozen=True, slots=True)
class Names:
    """Names of registered values, by dimension and slug."""

    known: Mapping[str, Mapping[str, str]]

    def label(self, dimension: str, value: str | None) -> str:
        """The name of a value; a cost centre with its number, for that is what finance books to."""
        if value is None:
            return NOTHING.get(dimension, "Not given")
        if dimension == "charge_kind":
            return _KINDS.get(value, value)
        name = self.known.get(dimension, {}).get(value, value)
        return f"{value} {name}" if dimension == "cost_centre" and name != value else name


def names_of(dimensions: Iterable[str]) -> Names:
    """One query for each of these dimensions that has a registry."""
    return Names(
        {
            dimension: dict(REGISTRIES[dimension]._default_manager.values_list("slug", "name"))
            for dimension in set(dimensions) & set(REGISTRIES)
        }
    )
