"""The life of a version: who did what, what stands in the way, what is refused, and what it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import numpy as np
import pytest
from django.db import transaction
from django.utils import timezone

from finops.accounts.models import AuditEntry
from finops.core.errors import Conflict, InvalidInput
from pricing import drafts
from pricing.catalogue import load_book
from pricing.changes import Changes
from pricing.diffs import ChangeKind, diff
from pricing.facts import Facts
from pricing.models import BlockKind, BookVersion, Price, Rate, SlotRate, VersionStatus
from pricing.placing import Room
from pricing.publishing import publish
from pricing.slots import SlotBook
from pricing.vendored import Catalogue
from tests.pricing.test_publishing import price

pytestmark = pytest.mark.django_db
TOMORROW = (timezone.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def in_book(*prices: tuple[Price, list[Rate]]) -> BookVersion:
    done = publish(Catalogue(list(prices), [], []), label="desk", digest=uuid4().hex, published_by="ann")
    assert done.version is not None
    return done.version


def drafted(*prices: tuple[Price, list[Rate]]) -> BookVersion:
    """A draft into which these prices were put, whatever was in their way."""
    version = drafts.start(label="desk", by="ann")
    room = Room.beside(version, {row.provider for row, _ in prices})
    for row, rates in prices:
        room.make_room(row, rates)
    drafts.write(version, room.changes(), by="ann")
    version.refresh_from_db()
    return version


def acknowledged(version: BookVersion) -> BookVersion:
    for block in version.blocks.all():
        drafts.acknowledge(version, block.pk, reason="seen on their page", by="bob")
    return version


def amount(model: str, at: datetime) -> Decimal | None:
    facts = Facts("acme", model, "", "", "standard", "sync", "standard")
    quote = load_book().tariff(facts).quote(int(at.timestamp()), 1)
    return quote.meters["input"].unit_price.amount if quote.row else None


def test_draft_lives_to_be_published_and_every_step_is_in_the_audit_log() -> None:
    in_book(price("m", "1"))

    version = drafted(price("m", "1.1", effective_from=TOMORROW))
    assert amount("m", TOMORROW) == 1
    drafts.review(version, by="bob")
    done = drafts.publish(version, by="cat")

    version.refresh_from_db()
    assert (version.created_by, version.reviewed_by, version.published_by) == ("ann", "bob", "cat")
    assert (done.added, done.superseded) == (2, 1)
    assert (amount("m", timezone.now()), amount("m", TOMORROW)) == (Decimal(1), Decimal("1.1"))
    assert not version.supersessions.exists()
    steps = AuditEntry.objects.filter(subject=str(version)).order_by("pk").values_list("actor", "action")
    assert list(steps) == [
        ("ann", "price_version.drafted"),
        ("ann", "price_version.changed"),
        ("bob", "price_version.reviewed"),
        ("cat", "price_version.published"),
    ]


def test_diff_shows_only_the_time_that_is_priced_otherwise_before_and_after_publication() -> None:
    in_book(price("m", "1"), price("gone", "2"))
    version = drafted(price("m", "1.1", effective_from=TOMORROW), price("new", "3"))
    room = Room.beside(version, {"acme"})
    gone = Price.objects.get(model="gone")
    room.cut_short(gone, list(gone.rates.all()), (TOMORROW, None))
    drafts.write(version, room.changes(), by="ann")

    def read() -> list[tuple[str, str, object]]:
        return [(change.kind, change.price.model, change.span) for change in diff(version).changes]

    told = [
        (ChangeKind.ENDED, "gone", (TOMORROW, None)),
        (ChangeKind.CHANGED, "m", (TOMORROW, None)),
        (ChangeKind.NEW, "new", (None, None)),
    ]
    assert read() == told
    assert diff(version).changes[1].rates[0].ratio == Decimal("0.1")
    drafts.review(acknowledged(version), by="bob")
    drafts.publish(version, by="bob")
    version.refresh_from_db()
    assert read() == told


@pytest.mark.parametrize(
    ("after", "begins", "kinds"),
    [
        ("1.2", TOMORROW, set()),
        ("1.21", TOMORROW, {BlockKind.JUMP}),
        ("0.79", TOMORROW, {BlockKind.JUMP}),
        ("0", TOMORROW, {BlockKind.JUMP}),
        ("1.1", None, {BlockKind.RETROACTIVE}),
        ("2", datetime(2026, 1, 1, tzinfo=UTC), {BlockKind.JUMP, BlockKind.RETROACTIVE}),
    ],
)
def test_jump_and_change_of_the_past_block_the_review_until_acknowledged(
    after: str, begins: datetime | None, kinds: set[BlockKind]
) -> None:
    in_book(price("m", "1"))

    version = drafted(price("m", after, effective_from=begins))

    assert set(version.blocks.values_list("kind", flat=True)) == kinds
    if kinds:
        with pytest.raises(Conflict, match="acknowledged"), transaction.atomic():
            drafts.review(version, by="bob")
    drafts.review(acknowledged(version), by="bob")
    assert set(version.blocks.values_list("acknowledged_by", "reason")) <= {("bob", "seen on their page")}


def test_model_that_calls_use_does_not_lose_its_price_unnoticed() -> None:
    in_book(price("m", "1"), price("unused", "1"))
    SlotBook().resolve([Facts("acme", "m")], np.array([1_700_000_000_000_000]), np.array([10]))

    version = drafts.draft(Catalogue([price("other", "1")], [], []), label="desk", by="ann")

    found = {(block.kind, block.model) for block in version.blocks.all()}
    assert found == {
        (BlockKind.REMOVED, "m"),
        (BlockKind.RETROACTIVE, "m"),
        (BlockKind.RETROACTIVE, "unused"),
    }


def test_sources_that_disagree_block_the_review() -> None:
    stated = Price(provider="acme", model="n", evidence="provider", source="their page")
    in_book((stated, [Rate(meter="input", unit_price=Decimal(1))]))
    other = Price(provider="acme", model="n", evidence="library", source="a list", effective_from=TOMORROW)

    version = drafted((other, [Rate(meter="input", unit_price=Decimal("1.1"))]))

    (block,) = version.blocks.all()
    assert block.kind == BlockKind.CONFLICT
    assert "a list" in block.findings[0]
    assert "their page" in block.findings[0]


def test_finding_needs_a_reason_and_is_asked_again_only_if_it_changes() -> None:
    in_book(price("m", "1"), price("n", "1"))
    version = drafted(price("m", "2", effective_from=TOMORROW))
    (block,) = version.blocks.all()
    with pytest.raises(InvalidInput, match="Say why"), transaction.atomic():
        drafts.acknowledge(version, block.pk, reason="  ", by="bob")
    drafts.acknowledge(version, block.pk, reason="announced", by="bob")

    room = Room.beside(version, {"acme"})
    room.make_room(*price("n", "3", effective_from=TOMORROW))
    drafts.write(version, room.changes(), dropped=room.dropped, by="ann")

    assert list(version.blocks.order_by("model").values_list("model", "reason")) == [
        ("m", "announced"),
        ("n", ""),
    ]


def test_change_of_a_reviewed_draft_undoes_the_review() -> None:
    in_book(price("m", "1"))
    version = drafted(price("m", "1.1", effective_from=TOMORROW))
    drafts.review(version, by="bob")

    drafts.write(version, Changes(prices=[price("other", "1")]), by="ann")

    version.refresh_from_db()
    assert (version.status, version.reviewed_at, version.reviewed_by) == (VersionStatus.DRAFT, None, "")
    with pytest.raises(Conflict, match="reviewed"), transaction.atomic():
        drafts.publish(version, by="cat")


def test_collision_is_refused_naming_the_row() -> None:
    in_book(price("m", "1"))
    row = Price.objects.get()
    version = drafts.start(label="desk", by="ann")
    drafts.write(version, Changes(prices=[price("m", "2", effective_from=TOMORROW)]), by="ann")

    with pytest.raises(InvalidInput, match=f"overlaps price {row.pk} "), transaction.atomic():
        drafts.review(version, by="bob")


@pytest.mark.parametrize(
    ("one", "other", "is_open"),
    [
        ("gpt-4*", "gpt-*4", True),
        ("gpt-4?", "gpt-4*", True),
        ("gpt-4*", "gpt-5*", False),
        ("gpt-4*", "gpt-4o*", False),
        ("gpt-4*", "gpt-4o", False),
        ("GPT-4", "gpt-4", True),
    ],
)
def test_patterns_that_are_equally_specific_are_ambiguous(one: str, other: str, is_open: bool) -> None:
    version = drafts.start(label="desk", by="ann")
    drafts.write(version, Changes(prices=[price(one, "1"), price(other, "2")]), by="ann")

    if is_open:
        with pytest.raises(InvalidInput, match="overlaps"):
            drafts.review(version, by="bob")
    else:
        drafts.review(version, by="bob")


def test_draft_made_beside_another_is_refused_once_the_other_is_published() -> None:
    in_book(price("m", "1"))
    first = drafted(price("m", "1.1", effective_from=TOMORROW))
    second = drafted(price("m", "1.2", effective_from=TOMORROW))
    for version in (first, second):
        drafts.review(version, by="bob")
    drafts.publish(first, by="cat")

    with pytest.raises(Conflict, match=f"superseded by version {first.pk} meanwhile"):
        drafts.publish(second, by="cat")


def test_discarded_draft_stays_to_be_read_and_prices_nothing() -> None:
    version = drafted(price("m", "1"))

    drafts.discard(version, by="bob")

    version.refresh_from_db()
    assert (version.status, version.discarded_by) == (VersionStatus.DISCARDED, "bob")
    assert len(diff(version).changes) == 1
    assert amount("m", TOMORROW) is None
    with pytest.raises(Conflict, match="discarded by bob"):
        drafts.review(version, by="bob")


def test_what_a_model_would_change_can_be_left_out() -> None:
    in_book(price("m", "1"), price("n", "1"))
    version = drafted(price("m", "2", effective_from=TOMORROW), price("n", "2", effective_from=TOMORROW))

    drafts.leave_out(version, "acme", "m", by="bob")

    assert [change.price.model for change in diff(version).changes] == ["n"]
    assert list(version.blocks.values_list("model", flat=True)) == ["n"]


def test_publication_rerates_slots_that_calls_use() -> None:
    in_book(price("m", "1"))
    at, prompts = np.array([1_700_000_000_000_000]), np.array([10])
    slot = int(SlotBook().resolve([Facts("acme", "m")], at, prompts)[0])
    version = drafts.draft(Catalogue([price("m", "2")], [], []), label="desk", by="ann")
    drafts.review(acknowledged(version), by="bob")

    drafts.publish(version, by="cat")

    assert SlotRate.objects.get(slot=slot, known_to=None).list_price == Decimal("0.000002")
