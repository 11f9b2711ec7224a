"""What a version adds to the price book and what it takes out, before either is written."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pricing.models import (
    Agreement,
    AgreementBand,
    AgreementRate,
    BookVersion,
    ModelAlias,
    Multiplier,
    Price,
    Rate,
    Versioned,
)
from pricing.vendored import Catalogue

Row = TypeVar("Row", bound=Versioned)
# An agreement with its bands, each with the rates that it fixes.
Terms = tuple[Agreement, Sequence[tuple[AgreementBand, Sequence[AgreementRate]]]]
_CONDITIONS = (
    "provider", "model", "account", "host", "region", "service_tier", "processing", "speed", "includes_fees",
    "volume_of", "band_mode",
)  # fmt: skip
_ROW_FIELDS = ("id", "version", "superseded_by")


@dataclass(frozen=True, slots=True)
class Changes:
    """Unsaved rows to add, and the ids of published rows to supersede."""

    prices: Sequence[tuple[Price, list[Rate]]] = ()
    multipliers: Sequence[Multiplier] = ()
    aliases: Sequence[ModelAlias] = ()
    agreements: Sequence[Terms] = ()
    ended: Mapping[type[Versioned], Sequence[int]] = field(default_factory=dict)

    @property
    def added(self) -> int:
        return len(self.prices) + len(self.multipliers) + len(self.aliases) + len(self.agreements)

    @property
    def superseded(self) -> int:
        return sum(map(len, self.ended.values()))


def of_complete_list(catalogue: Catalogue, label: str) -> Changes:
    """What makes the book's rows of a label read as this list.

    Rows that are not in the list any more, or that read otherwise, are superseded; rows that read the
    same stay in the version that first stated them. What was corrected here under another label stays
    corrected, as long as the list says what it said then.
    """
    prices = Price.objects.known().filter(version__label=label).prefetch_related("rates")
    known = {signature(price, price.rates.all()): price.pk for price in prices}
    wanted = {signature(price, rates): (price, rates) for price, rates in catalogue.prices}
    for corrected in _corrected(Price, label).prefetch_related("rates") if known else ():
        wanted.pop(signature(corrected, corrected.rates.all()), None)
    multipliers, old_multipliers = _difference(Multiplier, catalogue.multipliers, label)
    aliases, old_aliases = _difference(ModelAlias, catalogue.aliases, label)
    return Changes(
        prices=[wanted[key] for key in wanted.keys() - known.keys()],
        multipliers=multipliers,
        aliases=aliases,
        ended={
            Price: [known[key] for key in known.keys() - wanted.keys()],
            Multiplier: old_multipliers,
            ModelAlias: old_aliases,
        },
    )


def write_rows(changes: Changes, version: BookVersion) -> None:
    """Insert what is added, as rows of a version that is not published."""
    for price, _ in changes.prices:
        price.version = version
    Price.objects.bulk_create([price for price, _ in changes.prices])
    for price, rates in changes.prices:
        for rate in rates:
            rate.price = price
    Rate.objects.bulk_create([rate for _, rates in changes.prices for rate in rates])
    for row in (*changes.multipliers, *changes.aliases):
        row.version = version
    Multiplier.objects.bulk_create(changes.multipliers)
    ModelAlias.objects.bulk_create(changes.aliases)
    for agreement, bands in changes.agreements:
        agreement.version = version
        agreement.save()
        for band, agreed_rates in bands:
            band.agreement = agreement
            band.save()
            for agreed in agreed_rates:
                agreed.band = band
            AgreementRate.objects.bulk_create(agreed_rates)


def signature(row: Versioned, rates: Iterable[Rate] = ()) -> Hashable:
    """Everything a row says, to tell whether two say the same."""
    said = tuple(
        _plain(getattr(row, column.attname))
        for column in row._meta.concrete_fields
        if column.name not in _ROW_FIELDS
    )
    stated = sorted(
        (rate.meter, rate.unit_price.normalize(), rate.per, str(rate.minimum and rate.minimum.normalize()))
        for rate in rates
    )
    return (said, tuple(stated))


def agreement_signature(agreement: Agreement) -> Hashable:
    """Everything an agreement of the book says, bands and rates included."""
    return (signature(agreement), _bands(agreement))


def said_by_agreement(agreement: Agreement) -> Hashable:
    """What an agreement makes of prices while it holds: equal for those under which all costs the same."""
    conditions = tuple(_plain(getattr(agreement, name)) for name in _CONDITIONS)
    return (conditions, tuple(sorted(agreement.meters)), _bands(agreement))


def _bands(agreement: Agreement) -> Hashable:
    said = sorted(
        (
            band.over.normalize(),
            None if band.percent_off is None else band.percent_off.normalize(),
            tuple(sorted((r.meter, r.unit_price.normalize(), r.per) for r in band.rates.all())),
        )
        for band in agreement.bands.all()
    )
    return tuple(said)


def _difference(model: type[Row], listed: Iterable[Row], label: str) -> tuple[list[Row], list[int]]:
    rows: Any = model.objects.known().filter(version__label=label)  # Any: a queryset of whichever model
    known = {signature(row): row.pk for row in rows}
    wanted = {signature(row): row for row in listed}
    for corrected in _corrected(model, label) if known else ():
        wanted.pop(signature(corrected), None)
    new = [wanted[key] for key in wanted.keys() - known.keys()]
    return new, [known[key] for key in known.keys() - wanted.keys()]


def _corrected(model: type[Row], label: str) -> Any:  # Any: a queryset of whichever model
    """Rows of a label that a version of another label superseded."""
    rows = model._default_manager.filter(version__label=label, superseded_by__published_at__isnull=False)
    return rows.exclude(superseded_by__label=label)


def _plain(value: Any) -> Hashable:  # Any: whatever a column holds
    if isinstance(value, Mapping):
        return tuple(sorted((key, _plain(item)) for key, item in value.items()))
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    return str(value) if value.__class__.__name__ != "Decimal" else value.normalize()
