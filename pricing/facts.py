"""What a call says about itself that its price depends on."""

from __future__ import annotations

from typing import NamedTuple

STANDARD = "standard"


class Facts(NamedTuple):
    """What a call says about itself that its price depends on; '' is not given."""

    provider: str
    model: str
    host: str = ""
    region: str = ""
    service_tier: str = ""
    processing: str = ""
    speed: str = ""
    from_response_cache: bool = False
    account: str = ""  # who is billed


_TIERS = {
    "": STANDARD,
    "default": STANDARD,
    "on_demand": STANDARD,
    "standard_only": STANDARD,
    "fast": "priority",
}


def normalise(facts: Facts) -> Facts:
    """The facts under the book's own words: lower case, what was left out filled in.

    OpenAI's ``default`` is the standard tier and its ``fast`` the new name of ``priority``; Anthropic
    says ``batch`` where others name a tier. The model and the account keep their case.
    """
    tier = facts.service_tier.strip().lower()
    processing = facts.processing.strip().lower() or "sync"
    if tier == "batch":
        tier, processing = STANDARD, "batch"
    return Facts(
        provider=facts.provider.strip().lower(),
        model=facts.model.strip(),
        host=facts.host.strip().lower(),
        region=facts.region.strip().lower(),
        service_tier=_TIERS.get(tier, tier),
        processing=processing,
        speed=facts.speed.strip().lower() or STANDARD,
        from_response_cache=bool(facts.from_response_cache),
        account=facts.account.strip(),
    )
