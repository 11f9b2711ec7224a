"""Ends an agreement: a draft in which it holds until a time, or in which it never held."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from finops.core.errors import InvalidInput
from pricing import drafts
from pricing.agreeing import AGREEMENTS, enter_agreement
from pricing.changes import Changes, Terms
from pricing.models import Agreement, AgreementBand, AgreementRate, BookVersion, VersionStatus

_OWN_FIELDS = ("id", "version", "superseded_by")


@transaction.atomic
def end_agreement(agreement: Agreement, at: datetime, *, by: str) -> BookVersion:
    """A new draft that lets it end at ``at``. Raises InvalidInput where it is over by then, or not begun."""
    _refuse_unless_known(agreement)
    if agreement.effective_from is not None and at <= agreement.effective_from:
        message = "It has not begun by then. To take all of it back, withdraw it."
        raise InvalidInput.field("ends_on", "order", message)
    if agreement.effective_to is not None and at >= agreement.effective_to:
        raise InvalidInput.field("ends_on", "order", "It is over by then.")
    terms = _copied(agreement)
    terms[0].effective_to = at
    return enter_agreement(terms, by=by, replaces=[agreement.pk]).version


@transaction.atomic
def withdraw_agreement(agreement: Agreement, *, by: str) -> BookVersion:
    """A new draft without it, as if never agreed. Raises InvalidInput where it is not in force."""
    _refuse_unless_known(agreement)
    version = drafts.start(label=AGREEMENTS, by=by)
    drafts.write(version, Changes(ended={Agreement: [agreement.pk]}), by=by)
    version.refresh_from_db()
    return version


def _refuse_unless_known(agreement: Agreement) -> None:
    if agreement.version.status != VersionStatus.PUBLISHED or agreement.superseded_by_id is not None:
        raise InvalidInput("The book does not say this any more, or not yet: there is nothing to end.")


def _copied(agreement: Agreement) -> Terms:
    """The same terms, unsaved and of no version."""
    said = {
        field.name: getattr(agreement, field.name)
        for field in Agreement._meta.concrete_fields
        if field.name not in _OWN_FIELDS
    }
    bands = [
        (
            AgreementBand(over=band.over, percent_off=band.percent_off),
            [
                AgreementRate(meter=rate.meter, unit_price=rate.unit_price, per=rate.per)
                for rate in band.rates.order_by("pk")
            ],
        )
        for band in agreement.bands.order_by("over")
    ]
    return Agreement(**said), bands
