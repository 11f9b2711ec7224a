"""The price book (what a unit costs, when, under which conditions), what was negotiated and paid beside it,
and the slots that calls are priced by.

Two times: ``effective_*`` is when a price applies to usage, a version's ``published_at`` is when it
became known. A published version never changes; a database trigger sees to that. A correction is a row
of a later version, and the row it replaces only remembers by which version it was superseded.
"""

from pricing.models.agreements import Agreement, AgreementBand, AgreementRate, BandMode, VolumeOf
from pricing.models.drafts import BlockKind, DraftBlock, DraftSupersession
from pricing.models.prices import (
    ContextMode,
    ContextOperator,
    Evidence,
    ModelAlias,
    Multiplier,
    Price,
    PriceKind,
    Rate,
)
from pricing.models.slots import PriceSlot, SlotRate, SplitSlot, UnitMeter
from pricing.models.terms import (
    AttributeTo,
    Commitment,
    CommitmentKind,
    Credit,
    CreditKind,
    FxRate,
    Tax,
    Term,
)
from pricing.models.versions import BookVersion, Versioned, VersionedQuerySet, VersionStatus

__all__ = [
    "Agreement",
    "AgreementBand",
    "AgreementRate",
    "AttributeTo",
    "BandMode",
    "BlockKind",
    "BookVersion",
    "Commitment",
    "CommitmentKind",
    "ContextMode",
    "ContextOperator",
    "Credit",
    "CreditKind",
    "DraftBlock",
    "DraftSupersession",
    "Evidence",
    "FxRate",
    "ModelAlias",
    "Multiplier",
    "Price",
    "PriceKind",
    "PriceSlot",
    "Rate",
    "SlotRate",
    "SplitSlot",
    "Tax",
    "Term",
    "UnitMeter",
    "VersionStatus",
    "Versioned",
    "VersionedQuerySet",
    "VolumeOf",
]
