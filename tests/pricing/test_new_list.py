"""The list prices of a new release are proposed beside what the book says meanwhile."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.management import call_command

from pricing import drafts, vendored
from pricing.conditions import span_of
from pricing.diffs import diff
from pricing.models import BookVersion, Price, Rate, VersionStatus
from pricing.placing import Room, copy
from pricing.publishing import load_vendored

pytestmark = pytest.mark.django_db


def test_list_of_a_new_release_is_proposed_once_and_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("load_prices")
    first = Price.objects.known().filter(version__label=vendored.LABEL).count()
    monkeypatch.setattr(vendored, "content_hash", lambda: "f" * 64)
    catalogue = vendored.read_catalogue()
    changed = catalogue.prices[0]
    changed[1][0].unit_price += 1
    monkeypatch.setattr(vendored, "read_catalogue", lambda: catalogue)

    call_command("load_prices")
    call_command("load_prices")

    (version,) = BookVersion.objects.filter(label=vendored.LABEL, status=VersionStatus.DRAFT)
    assert [change.kind for change in diff(version).changes] == ["changed"]
    assert Price.objects.known().filter(version__label=vendored.LABEL).count() == first


def test_what_was_corrected_here_stays_corrected_when_the_list_is_read_again() -> None:
    load_vendored()
    row = Price.objects.known().filter(provider="openai", model="gpt-4o-mini", version__label=vendored.LABEL)[
        0
    ]
    version = drafts.start(label="desk", by="ann")
    room = Room.beside(version, {"openai"})
    corrected = copy(row, span_of(row))
    room.make_room(corrected, [Rate(meter="input", unit_price=Decimal(9))])
    drafts.write(version, room.changes(), by="ann")
    for block in version.blocks.all():
        drafts.acknowledge(version, block.pk, reason="our contract", by="ann")
    drafts.review(version, by="ann")
    drafts.publish(version, by="ann")

    with pytest.raises(drafts.NothingChanged):
        drafts.draft(vendored.read_catalogue(), label=vendored.LABEL, by="ann")
