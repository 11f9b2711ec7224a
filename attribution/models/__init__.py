"""The tables of the books, one family of nouns a file."""

from attribution.models.dimensions import Attribution, Customer, DimensionOverflow, DimensionSet
from attribution.models.events import CallEvent, CallUnit, IngestBatch
from attribution.models.governance import TaggingRule, TaggingRuleVersion
from attribution.models.owners import (
    BusinessUnit,
    CostCentre,
    CostCentrePlacement,
    Feature,
    FeatureOwnership,
    RegistryState,
    Team,
    TeamPlacement,
    Tier,
)
from attribution.models.quarantine import Quarantined, QuarantineReason
from attribution.models.rollups import (
    BooksSetting,
    CustomerDay,
    CustomerUnitDay,
    DurationDay,
    DurationOwnerDay,
    DurationOwnerMonth,
    TaskDay,
    UnitDay,
    UnitHour,
    UsageDay,
    UsageHour,
    UserDay,
    Verification,
)
from attribution.models.spans import Fate, OtlpSpan, SpanAttribute

__all__ = [
    "Attribution",
    "BooksSetting",
    "BusinessUnit",
    "CallEvent",
    "CallUnit",
    "CostCentre",
    "CostCentrePlacement",
    "Customer",
    "CustomerDay",
    "CustomerUnitDay",
    "DimensionOverflow",
    "DimensionSet",
    "DurationDay",
    "DurationOwnerDay",
    "DurationOwnerMonth",
    "Fate",
    "Feature",
    "FeatureOwnership",
    "IngestBatch",
    "OtlpSpan",
    "QuarantineReason",
    "Quarantined",
    "RegistryState",
    "SpanAttribute",
    "TaggingRule",
    "TaggingRuleVersion",
    "TaskDay",
    "Team",
    "TeamPlacement",
    "Tier",
    "UnitDay",
    "UnitHour",
    "UsageDay",
    "UsageHour",
    "UserDay",
    "Verification",
]
