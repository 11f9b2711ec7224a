"""Where what no call causes is booked: dimension sets and slots of its own, made like those of calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection, transaction

from attribution.charging.terms import AnyTerm, model_of
from attribution.ingest.dimensions import set_of
from attribution.models import DimensionSet, Origin
from attribution.tagging_sql import MATCHED
from pricing.facts import Facts, normalise
from pricing.grid import SlotKey
from pricing.models import Commitment, Credit, PriceSlot
from pricing.models.slots import NO_CALLS
from pricing.slot_rates import PUBLISHING_LOCK, ensure_slots

# What is said to be their source, by where they come from.
SOURCES = {Origin.COMMITMENT: "commitments", Origin.CREDIT: "credits", Origin.TAX: "taxes"}
_SlotName = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Places:
    """The numbers of those sets, by source and team, and slots, by provider, model and account."""

    sets: dict[tuple[str, str], int]
    slots: dict[_SlotName, int]

    def of(self, term: AnyTerm, *, nobody: bool = False) -> tuple[int, int]:
        """The set and the slot of a term; ``nobody``: without the team it names."""
        team = "" if nobody else term.team
        return self.sets[SOURCES[origin_of(term)], team], self.slots[_slot_name(term)]


def origin_of(term: AnyTerm) -> Origin:
    """Which table it is of."""
    if isinstance(term, Commitment):
        return Origin.COMMITMENT
    return Origin.CREDIT if isinstance(term, Credit) else Origin.TAX


@transaction.atomic
def places(terms: Iterable[AnyTerm]) -> Places:
    """The places of these terms; missing ones are made, in a transaction that ends with this."""
    terms = list(terms)
    sets, slots = _sets(), _slots()
    for term in terms:
        source = SOURCES[origin_of(term)]
        for team in ("", term.team):
            if (source, team) not in sets:
                sets[source, team] = set_of(source=source, team=team)
    if missing := sorted({_slot_name(term) for term in terms} - slots.keys()):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [PUBLISHING_LOCK])
        keys = [SlotKey(_facts(name), 0, None, NO_CALLS, None, None) for name in missing]
        slots |= dict(zip(missing, ensure_slots([(key, ()) for key in keys]), strict=True))
    return Places(sets, slots)


def _sets() -> dict[tuple[str, str], int]:
    unsaid = {name: "" for name in MATCHED if name not in ("source", "team")}
    rows = DimensionSet.objects.filter(source__in=SOURCES.values(), tags={}, **unsaid)
    return {(source, team): number for number, source, team in rows.values_list("pk", "source", "team")}


def _slots() -> dict[_SlotName, int]:
    rows = PriceSlot.objects.filter(schedule=NO_CALLS).values_list("pk", "provider", "model", "account")
    return {(provider, model, account): number for number, provider, model, account in rows}


def _slot_name(term: AnyTerm) -> _SlotName:
    facts = normalise(Facts(term.provider, model_of(term), account=term.account))
    return facts.provider, facts.model, facts.account


def _facts(name: _SlotName) -> Facts:
    provider, model, account = name
    return normalise(Facts(provider, model, account=account))
