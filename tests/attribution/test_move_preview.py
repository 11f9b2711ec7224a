"""A preview says what a move would do, and leaves everything as it was."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from attribution import ownership, registry, rollups
from attribution.models import Attribution, Feature
from attribution.move_preview import OwnerChange, affected_period, preview
from finops.accounts.models import AuditEntry
from finops.core.errors import InvalidInput
from finops.core.meters import Meter
from finops.core.periods import Period
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db


def test_the_preview_is_what_comes_true() -> None:
    for slug in ("search", "chat"):
        registry.ensure_team(slug, actor="ann")
    Feature.objects.create(slug="f", name="f")
    made = dimension_set(feature="f"), price_slot({Meter.INPUT: "1.25"})
    ownership.own_feature("f", "search", actor="ann")
    book(Call(datetime(2026, 10, day, tzinfo=UTC), *made, {"input": 10**6}) for day in range(1, 31))
    rollups.fold()
    rows, entries = list(Attribution.objects.values_list()), AuditEntry.objects.count()
    day, october = date(2026, 10, 15), Period.month(2026, 10)

    changes = preview(lambda: ownership.own_feature("f", "chat", effective_from=day, actor="ann"), october)

    assert changes == (
        OwnerChange("chat", Decimal(0), Decimal(16)),
        OwnerChange("search", Decimal(30), Decimal(14)),
    )
    assert list(Attribution.objects.values_list()) == rows
    assert AuditEntry.objects.count() == entries
    with pytest.raises(InvalidInput):
        preview(lambda: ownership.own_feature("f", "gone", actor="ann"), october)


def test_only_the_days_from_the_move_on_are_affected() -> None:
    first, end = date(2026, 10, 1), date(2026, 11, 1)

    assert affected_period(None, first, end) == Period(first, end)
    assert affected_period(date(2026, 10, 15), first, end) == Period(date(2026, 10, 15), end)
    assert affected_period(date(2027, 1, 1), first, end) == Period(end, end)
