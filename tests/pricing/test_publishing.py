"""Versions: what publishing changes, what never changes, and that it happens once."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from pricing import catalogue
from pricing.catalogue import load_book
from pricing.facts import Facts
from pricing.models import BookVersion, Multiplier, Price, PriceSlot, Rate, SlotRate, SplitSlot
from pricing.publishing import load_vendored, publish
from pricing.slots import SlotBook
from pricing.vendored import LABEL, Catalogue, read_catalogue

pytestmark = pytest.mark.django_db


def price(model: str, dearness: str, **fields: object) -> tuple[Price, list[Rate]]:
    row = Price(provider="acme", model=model, evidence="own", **fields)
    return row, [Rate(meter="input", unit_price=Decimal(dearness))]


def put(*prices: tuple[Price, list[Rate]], digest: str) -> BookVersion:
    done = publish(Catalogue(list(prices), [], []), label="desk", digest=digest, published_by="test")
    assert done.version is not None
    return done.version


def test_list_is_published_once_and_in_few_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a process that has read no book, whatever ran before.
    monkeypatch.setattr(catalogue, "_remembered", None)
    monkeypatch.setattr(catalogue, "_remembered_history", None)
    with django_assert_max_num_queries(32):
        first = load_vendored()

    assert first.version is not None
    assert first.added > 700
    assert load_vendored().version is None
    call_command("load_prices")
    assert BookVersion.objects.filter(label=LABEL).count() == 1


def test_published_version_never_changes() -> None:
    version = put(price("m", "1"), digest="a")
    row = Price.objects.get(version=version)
    rate = row.rates.get()
    draft = BookVersion.objects.create(label="desk", content_hash="b")
    other = Price.objects.create(version=draft, provider="acme", model="n", evidence="own")

    def refused(change: object) -> None:
        with pytest.raises(IntegrityError, match="published and never changes"), transaction.atomic():
            change()  # type: ignore[operator]

    refused(lambda: Price.objects.filter(pk=row.pk).update(note="x"))
    refused(lambda: Rate.objects.filter(pk=rate.pk).update(unit_price=2))
    refused(rate.delete)
    refused(lambda: Price.objects.filter(pk=row.pk).delete())
    refused(lambda: BookVersion.objects.filter(pk=version.pk).update(label="x"))
    refused(lambda: BookVersion.objects.filter(pk=version.pk)._raw_delete("default"))
    refused(lambda: Price.objects.create(version=version, provider="acme", model="p", evidence="own"))
    refused(lambda: Rate.objects.create(price=row, meter="output", unit_price=1))
    refused(lambda: Price.objects.filter(pk=other.pk).update(version=version))
    refused(
        lambda: Multiplier.objects.create(
            version=version, provider="a", model="*", region="*", evidence="own"
        )
    )
    Price.objects.filter(pk=row.pk).update(superseded_by=draft)
    refused(lambda: Price.objects.filter(pk=row.pk).update(superseded_by=None))
    Price.objects.filter(pk=other.pk).update(note="a draft may change")


def test_correction_supersedes_only_what_changed_and_the_past_can_be_asked() -> None:
    first = put(price("kept", "1"), price("wrong", "2"), digest="a")
    second = put(price("kept", "1"), price("wrong", "3"), digest="b")

    kept = Price.objects.get(model="kept")
    wrong, right = Price.objects.filter(model="wrong").order_by("id")
    assert (kept.version, kept.superseded_by) == (first, None)
    assert (wrong.version, wrong.superseded_by) == (first, second)
    assert right.version == second

    def known(at: datetime | None) -> Decimal:
        quote = (
            load_book(at).tariff(Facts("acme", "wrong", "", "", "standard", "sync", "standard")).quote(0, 1)
        )
        return quote.meters["input"].unit_price.amount

    assert known(None) == 3
    assert known(first.published_at) == 2


def test_slots_are_rerated_and_remember_what_was_known() -> None:
    first = put(price("m", "1"), digest="a")
    book = SlotBook()
    at, prompts = np.array([1_700_000_000_000_000]), np.array([10])
    slot = int(book.resolve([Facts("acme", "m")], at, prompts)[0])

    second = put(price("m", "2"), digest="b")

    rates = SlotRate.objects.filter(slot=slot).order_by("known_from")
    assert list(rates.values_list("list_price", "known_from", "known_to")) == [
        (Decimal("0.000001"), first.published_at, second.published_at),
        (Decimal("0.000002"), second.published_at, None),
    ]
    book._looked_at = 0
    assert int(book.resolve([Facts("acme", "m")], at, prompts)[0]) == slot


def test_slot_within_which_the_price_changes_now_is_narrowed() -> None:
    put(price("m", "1"), digest="a")
    at, prompts = np.array([1_700_000_000_000_000]), np.array([10])
    slot = int(SlotBook().resolve([Facts("acme", "m")], at, prompts)[0])
    cut = datetime(2026, 1, 1, tzinfo=UTC)

    split = publish(
        Catalogue([price("m", "1", effective_to=cut), price("m", "2", effective_from=cut)], [], []),
        label="desk",
        digest="b",
        published_by="test",
    )

    assert split.version is not None
    assert (split.slots_rerated, split.slots_to_split) == (0, 1)
    assert SlotRate.objects.get(slot=slot, known_to=None).list_price == Decimal("0.000001")
    assert PriceSlot.objects.get(pk=slot).effective_to == cut
    assert SplitSlot.objects.get().slot_id == slot
    later = int(SlotBook().resolve([Facts("acme", "m")], at + 10**14, prompts)[0])
    assert later != slot
    # As of the version before, the later price is the one that was known then.
    known = SlotRate.objects.filter(slot=later).order_by("known_from").values_list("list_price", "known_to")
    assert list(known) == [(Decimal("0.000001"), split.version.published_at), (Decimal("0.000002"), None)]


def test_vendored_list_reads_and_its_intervals_never_overlap() -> None:
    stated: dict[object, list[tuple[datetime, datetime]]] = {}
    for row, rates in read_catalogue().prices:
        assert rates or row.note.startswith("no "), row
        key = (
            row.kind, row.provider, row.model, row.service_tier, row.processing, row.speed, row.region,
            row.context_threshold, str(row.schedule),
            tuple(rate.meter for rate in rates if row.kind == "fees"),
        )  # fmt: skip
        early, late = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        stated.setdefault(key, []).append((row.effective_from or early, row.effective_to or late))
    for said, spans in stated.items():
        spans.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(spans)), said
