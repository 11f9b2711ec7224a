"""The weekly comparison proposes once, applies nothing, and is off without the library."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from pricing import drafts, library, proposals
from pricing.diffs import diff
from pricing.facts import Facts
from pricing.models import BookVersion, Price, Rate, VersionStatus
from pricing.slots import SlotBook
from pricing.tasks import propose_prices
from tests.pricing.test_drafts import in_book
from tests.pricing.test_imports import openai

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def book() -> None:
    other = Price(provider="groq", model="x", evidence="own")
    in_book(openai("gpt-4o", "1", "library"), (other, [Rate(meter="input", unit_price=Decimal(1))]))
    SlotBook().resolve([Facts("openai", "gpt-4o")], np.array([1_700_000_000_000_000]), np.array([10]))


def test_what_the_library_says_otherwise_of_providers_in_use_is_proposed_and_not_applied() -> None:
    done = proposals.propose()

    assert done.version is not None
    assert (done.version.status, done.version.created_by) == (VersionStatus.DRAFT, proposals.BY)
    assert {change.price.provider for change in diff(done.version).changes} == {"openai"}
    known = Price.objects.known().filter(model="gpt-4o").get()
    assert known.rates.get().unit_price == 1


def test_the_same_is_proposed_once_even_after_it_was_discarded() -> None:
    first = proposals.propose().version
    assert first is not None

    assert proposals.propose() == proposals.Proposal(None, "it was proposed already")
    drafts.discard(first, by="bob")
    propose_prices()

    assert BookVersion.objects.filter(label=proposals.LABEL).count() == 1


def test_another_proposal_takes_the_place_of_one_that_nobody_took_up() -> None:
    first = proposals.propose().version
    assert first is not None
    drafts.leave_out(first, "openai", "gpt-4o", by="bob")

    second = proposals.propose().version

    assert second is not None
    first.refresh_from_db()
    assert (first.status, first.discarded_by) == (VersionStatus.DISCARDED, proposals.BY)


def test_nothing_is_proposed_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "PACKAGE", "no-such-package")
    library._version.cache_clear()
    try:
        assert proposals.propose() == proposals.Proposal(None, "no-such-package is not installed")
    finally:
        library._version.cache_clear()
    assert not BookVersion.objects.filter(label=proposals.LABEL).exists()
