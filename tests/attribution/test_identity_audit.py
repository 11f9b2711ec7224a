"""The same identity on days far apart: the call received first stays, the other leaves the books."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from attribution import identity_audit, rollups
from attribution.models import CallEvent, CallUnit, IngestBatch, Quarantined, UnitDay, UsageDay
from attribution.verification import verify
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


def test_a_retry_stamped_anew_weeks_later_is_taken_out_and_kept_aside() -> None:
    made = dimension_set(), price_slot()
    later = NOON + timedelta(days=20)
    book([Call(later, *made, {"input": 5}, event_id="e1"), Call(later, *made, {"input": 1}, event_id="e2")])
    book(
        [
            Call(NOON, *made, {"input": 5}, {7: "3"}, event_id="e1"),
            Call(NOON, *made, {"input": 2}, event_id="e3"),
        ]
    )
    rollups.fold()

    result = identity_audit.audit_identities()

    assert (result.removed, result.days) == (1, (date(2026, 10, 5),))
    assert sorted(CallEvent.objects.values_list("event_id", "occurred_at")) == [
        ("e1", later),
        ("e2", later),
        ("e3", NOON),
    ]
    assert not CallUnit.objects.exists()
    assert list(UnitDay.objects.values_list()) == []
    assert [row.input for row in UsageDay.objects.order_by("day")] == [2, 6]
    aside = Quarantined.objects.get()
    assert (aside.reason, aside.event_id, aside.source) == ("late_duplicate", "e1", "app")
    assert list(IngestBatch.objects.order_by("id").values_list("accepted", "duplicates")) == [(2, 0), (1, 1)]
    assert verify().passed


def test_an_unfolded_duplicate_is_never_counted() -> None:
    made = dimension_set(), price_slot()
    book([Call(NOON, *made, {"input": 5}, event_id="e1")])
    rollups.fold()
    book([Call(NOON + timedelta(days=9), *made, {"input": 5}, event_id="e1")])

    assert identity_audit.audit_identities().removed == 1
    rollups.fold()

    assert [row.input for row in UsageDay.objects.all()] == [5]
    assert verify().passed


def test_what_was_audited_is_not_looked_at_again_and_sound_books_are_left_alone() -> None:
    made = dimension_set(), price_slot()
    book([Call(NOON, *made, event_id="e1"), Call(NOON, *made, event_id="e2")])

    assert identity_audit.audit_identities().removed == 0
    assert identity_audit.audit_identities().removed == 0
    assert CallEvent.objects.count() == 2
