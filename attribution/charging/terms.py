"""The terms that hold now, in the order in which they apply, and which slots each speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

from pricing.commitments import PREPAID
from pricing.models import Agreement, Commitment, Credit, CreditKind, PriceSlot, Tax
from pricing.models.slots import NO_CALLS
from pricing.patterns import is_pattern, matches

AnyTerm = Commitment | Credit | Tax
_Facts = tuple[int, str, str, str, str]


@dataclass
class Terms:
    """Everything agreed beside unit prices, as known now."""

    agreements: Sequence[Agreement]  # those with volume bands
    commitments: Sequence[Commitment]
    grants: Sequence[Credit]
    refunds: Sequence[Credit]
    taxes: Sequence[Tax]
    _slots: dict[AnyTerm, list[int]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[AnyTerm]:
        yield from self.commitments
        yield from (*self.grants, *self.refunds)
        yield from self.taxes

    @property
    def is_empty(self) -> bool:
        return not self.agreements and next(iter(self), None) is None

    def slots(self, term: AnyTerm) -> list[int]:
        """The slots of calls that a term speaks of; what our own cache answered is no usage of it."""
        if term not in self._slots:
            self._slots[term] = [slot for slot, *facts in self._facts if _is_about(term, *facts)]
        return self._slots[term]

    def slots_without_calls(self, tax: Tax) -> list[int]:
        """The slots of what no call causes that a tax is levied on."""
        rows = PriceSlot.objects.filter(schedule=NO_CALLS).values_list("pk", *_NAMES)
        return [slot for slot, *facts in rows if _is_about(tax, *facts)]

    @cached_property
    def _facts(self) -> list[_Facts]:
        rows = PriceSlot.objects.filter(from_response_cache=False).exclude(schedule=NO_CALLS)
        return list(rows.values_list("pk", *_NAMES))


_NAMES = ("provider", "model", "account", "host")


def known_terms() -> Terms:
    """All that hold now; of commitments the earlier first, capacity before what is prepaid."""
    agreements = Agreement.objects.known().exclude(volume_of="").order_by("pk")
    given = list(Credit.objects.filter(known_to=None).order_by("starts_on", "pk"))
    return Terms(
        list(agreements.prefetch_related("bands__rates")),
        sorted(
            Commitment.objects.filter(known_to=None),
            key=lambda each: (each.starts_on, each.kind == PREPAID, each.pk),
        ),
        [each for each in given if each.kind == CreditKind.GRANT],
        [each for each in given if each.kind == CreditKind.REFUND],
        list(Tax.objects.filter(known_to=None).order_by("starts_on", "pk")),
    )


def days_of(term: AnyTerm, today: date) -> list[date]:
    """The days of its term up to and with today."""
    end = min(term.ends_on, today + timedelta(days=1))
    return [term.starts_on + timedelta(days=number) for number in range((end - term.starts_on).days)]


def model_of(term: AnyTerm) -> str:
    """The one model a term is about; '' where it is about several."""
    return "" if is_pattern(term.model) else term.model


def _is_about(term: AnyTerm, provider: str, model: str, account: str, host: str) -> bool:
    return (
        provider == term.provider.strip().lower()
        and term.account in ("", account)
        and getattr(term, "host", "") in ("", host)
        and matches(term.model, model)
    )
