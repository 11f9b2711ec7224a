"""Rates of exchange: booked once a month, exact where they convert, and the past never moves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext

import pytest
import time_machine
from django.db import DatabaseError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from finops.accounts.models import AuditEntry
from finops.core.errors import Conflict, InvalidInput
from finops.core.money import EXACT
from pricing import fx
from pricing.models import FxRate

AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = (date(2026, month, 1) for month in (8, 9, 10, 11))
MID_OCTOBER = datetime(2026, 10, 15, 12, tzinfo=UTC)
amounts = st.decimals("0.000001", "999999999999", places=6)
rates = st.decimals("0.000001", "999999", places=16)


@pytest.fixture
def october() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(MID_OCTOBER, tick=True) as clock:
        yield clock


@pytest.mark.django_db
def test_a_rate_of_this_month_is_replaced_and_remembered(october: time_machine.Traveller) -> None:
    first, is_new = fx.book_rate("eur", OCTOBER, Decimal("0.92"), source="ECB", by="fin@example.com")
    again, is_again = fx.book_rate("EUR", date(2026, 10, 31), Decimal("0.920"), by="else@example.com")
    between = timezone.now()
    october.shift(timedelta(hours=1))
    second, _ = fx.book_rate("EUR", OCTOBER, Decimal("0.9"), by="fin@example.com")

    assert (is_new, is_again, again) == (True, False, first)
    assert fx.rates("EUR", [OCTOBER, NOVEMBER]) == {OCTOBER: Decimal("0.9")}
    assert fx.rates("EUR", [date(2026, 10, 9)], as_of=between) == {OCTOBER: Decimal("0.92")}
    assert fx.rates("EUR", [OCTOBER], as_of=between - timedelta(days=1)) == {}
    first.refresh_from_db()
    assert first.known_to == second.known_from
    told = [(one.action, one.before and one.before["rate"]) for one in AuditEntry.objects.order_by("pk")]
    assert told == [("fx_rate.booked", None), ("fx_rate.replaced", "0.92")]


@pytest.mark.django_db
def test_a_past_month_is_booked_late_but_never_again(october: time_machine.Traveller) -> None:
    fx.book_rate("EUR", SEPTEMBER, Decimal("0.91"), by="a")

    with pytest.raises(Conflict, match="That month is over"):
        fx.book_rate("EUR", SEPTEMBER, Decimal("0.92"), by="a")
    _, changed = fx.book_rate("EUR", SEPTEMBER, Decimal("0.91"), by="a")
    fx.book_rate("EUR", OCTOBER, Decimal("0.92"), by="a")
    october.move_to(datetime(2026, 11, 1, 12, tzinfo=UTC))

    assert not changed
    assert (fx.is_past(OCTOBER), fx.is_past(NOVEMBER)) == (True, False)
    with pytest.raises(Conflict):
        fx.book_rate("EUR", OCTOBER, Decimal("0.93"), by="a")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change", [{"rate": Decimal(2)}, {"known_from": MID_OCTOBER}, {"source": "other"}, {"known_to": None}]
)
def test_the_database_keeps_what_was_booked(change: dict[str, object]) -> None:
    booked, _ = fx.book_rate("EUR", AUGUST, Decimal("0.9"), by="a")
    FxRate.objects.filter(pk=booked.pk).update(known_to=timezone.now())

    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        FxRate.objects.filter(pk=booked.pk).update(**change)
    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        booked.delete()


@pytest.mark.django_db
def test_what_is_missing_is_named() -> None:
    fx.book_rate("EUR", SEPTEMBER, Decimal("0.91"), by="a")

    with pytest.raises(fx.NoRateBooked, match="EUR is booked for 2026-10") as unconverted:
        fx.to_usd(Decimal(1), "EUR", date(2026, 10, 20))

    assert [(one.field, one.code) for one in unconverted.value.problems] == [("currency", "no_rate")]
    assert unconverted.value.status == 422
    assert fx.rates("EUR", [OCTOBER, AUGUST, SEPTEMBER]) == {SEPTEMBER: Decimal("0.91")}
    assert fx.rates("USD", [OCTOBER]) == {OCTOBER: 1}
    assert fx.to_usd(Decimal("12.5"), "USD", OCTOBER) == (Decimal("12.5"), Decimal(1))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("currency", "rate", "fields"),
    [
        ("USD", "1", ["currency"]),
        ("EURO", "1", ["currency"]),
        ("E1R", "1", ["currency"]),
        ("EUR", "0", ["rate"]),
        ("EUR", "-1", ["rate"]),
        ("EUR", "NaN", ["rate"]),
        ("EUR", "0.0000000000001", ["rate"]),
        ("EUR", "0.8786188112287494001", ["rate"]),
        ("EUR", "1000000000000", ["rate"]),
    ],
)
def test_what_is_no_rate_is_refused_at_its_field(currency: str, rate: str, fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        fx.book_rate(currency, OCTOBER, Decimal(rate), by="a")

    assert [problem.field for problem in refused.value.problems] == fields


@given(amounts, rates)
def test_a_conversion_is_the_nearest_amount_of_twelve_places(amount: Decimal, rate: Decimal) -> None:
    usd = fx.converted(amount, rate)

    with localcontext(EXACT):
        assert usd == round(usd, 12)
        assert abs(usd * rate - amount) <= rate * Decimal("0.0000000000005")
        # Splitting an amount over two conversions moves neither by more than its last place.
        assert abs(fx.converted(amount / 2, rate) * 2 - usd) <= Decimal("0.0000000000015")
