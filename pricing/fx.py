"""Rates of exchange: how many units of a currency one dollar was in a month.

A rate is booked once. That of a past month is never replaced, so what was converted by it never moves; that
of the current month or a later one may be: the row that it replaces remembers until when it was known.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from finops.accounts import audit
from finops.core.errors import Conflict, FieldProblem, InvalidInput
from finops.core.money import EXACT, as_text
from finops.core.periods import local_day
from pricing.models import FxRate

USD = "USD"
ONE = Decimal(1)
PLACES = 12  # of an amount in dollars that was converted
RATE_PLACES = 18  # invoices state rates to sixteen
LONGEST_SOURCE = 2_000
_CURRENCY = re.compile(r"[A-Z]{3}")
_PLACE = ONE.scaleb(-PLACES)
_LIMIT = Decimal(10) ** PLACES  # what a rate stays below, and its reciprocal


class NoRateBooked(InvalidInput):
    """An amount cannot be converted as long as the rate of its month is not booked."""

    code = "no_rate"
    status = 422
    title = "No rate of exchange"


@transaction.atomic
def book_rate(currency: str, month: date, rate: Decimal, *, source: str = "", by: str) -> tuple[FxRate, bool]:
    """Book the rate of a month; True where that changed anything. The same rate again changes nothing.

    ``rate`` is units of ``currency`` for one dollar. Raises InvalidInput; Conflict where a past month has
    another rate already.
    """
    currency, month = checked_currency(currency), month.replace(day=1)
    _check(currency, rate, source)
    before = FxRate.objects.select_for_update().known().filter(currency=currency, month=month).first()
    if before is not None and before.rate == rate:
        return before, False
    now = timezone.now()
    if before is not None:
        _check_open(before, now)
        before.known_to = now
        before.save(update_fields=["known_to"])
    booked = FxRate(currency=currency, month=month, rate=rate, source=source, entered_by=by, known_from=now)
    try:
        with transaction.atomic():
            booked.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(f"Somebody else booked the rate of {booked} at this moment.") from error
    audit.record(
        by,
        "fx_rate.booked" if before is None else "fx_rate.replaced",
        subject_kind="fx_rate",
        subject=str(booked),
        before=before and as_json(before),
        after=as_json(booked),
    )
    return booked, True


def rates(currency: str, months: Collection[date], as_of: datetime | None = None) -> Mapping[date, Decimal]:
    """By first day of a month, the booked rates of these months; a month without one is left out.

    ``as_of``: as they were known then.
    """
    firsts = {month.replace(day=1) for month in months}
    if currency == USD:
        return dict.fromkeys(sorted(firsts), ONE)
    found = FxRate.objects.known(as_of).filter(currency=currency, month__in=firsts).order_by("month")
    return dict(found.values_list("month", "rate"))


def to_usd(amount: Decimal, currency: str, month: date) -> tuple[Decimal, Decimal]:
    """An amount in dollars, rounded half up to 12 places, and the rate of the month that it was converted by.

    Raises NoRateBooked, naming the month.
    """
    month = month.replace(day=1)
    rate = rates(currency, [month]).get(month)
    if rate is None:
        message = f"No rate of exchange of {currency} is booked for {month:%Y-%m}. Book it first."
        raise NoRateBooked(message, [FieldProblem("currency", "no_rate", message)])
    return converted(amount, rate), rate


def converted(amount: Decimal, rate: Decimal) -> Decimal:
    """Dollars for an amount of which ``rate`` units were one, rounded half up to 12 places."""
    with localcontext(EXACT):
        return (amount / rate).quantize(_PLACE, ROUND_HALF_UP)


def is_past(month: date, now: datetime | None = None) -> bool:
    """Whether a month is over in the reporting zone: its booked rate is final."""
    today = local_day(now or timezone.now(), settings.REPORTING_TIME_ZONE)
    return month.replace(day=1) < today.replace(day=1)


def checked_currency(currency: str) -> str:
    """A code of three letters, in capitals. Raises InvalidInput."""
    code = currency.strip().upper()
    if not _CURRENCY.fullmatch(code):
        raise InvalidInput.field("currency", "invalid", "A currency is a code of three letters, such as EUR.")
    return code


def as_json(rate: FxRate) -> dict[str, str]:
    """For the audit log."""
    return {
        "currency": rate.currency,
        "month": f"{rate.month:%Y-%m}",
        "rate": as_text(rate.rate),
        "source": rate.source,
    }


def _check(currency: str, rate: Decimal, source: str) -> None:
    problems = []
    if currency == USD:
        problems.append(FieldProblem("currency", "invalid", "One dollar is one dollar; there is no rate."))
    is_sized = rate.is_finite() and _PLACE < rate < _LIMIT
    if not is_sized or rate != rate.quantize(ONE.scaleb(-RATE_PLACES), context=EXACT):
        message = f"A rate is above 0, with at most {PLACES} digits before and {RATE_PLACES} after the point."
        problems.append(FieldProblem("rate", "invalid", message))
    if len(source) > LONGEST_SOURCE:
        problems.append(FieldProblem("source", "max_length", f"At most {LONGEST_SOURCE:,} characters."))
    if problems:
        raise InvalidInput(problems[0].message, problems)


def _check_open(booked: FxRate, now: datetime) -> None:
    if is_past(booked.month, now):
        message = (
            f"The rate of {booked} is booked as {as_text(booked.rate)}. That month is over; what was "
            "converted by its rate does not move any more."
        )
        raise Conflict(message, [FieldProblem("rate", "final", message)])
