"""Proposes what lists say otherwise than the book: the installed library's, our own of a new release.

Nothing is ever applied by it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from finops.core.errors import FinopsError
from pricing import drafts, imports, library, vendored
from pricing.conditions import each
from pricing.diffs import diff
from pricing.in_use import names_in_use
from pricing.models import BookVersion, VersionStatus
from pricing.publishing import hold_the_book

LABEL = "weekly proposal"
BY = "weekly comparison"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a comparison came to: a draft, or the reason why there is none."""

    version: BookVersion | None
    why: str = ""


@transaction.atomic
def propose() -> Proposal:
    """A draft of what the library says otherwise about the providers that calls use.

    A draft of before that nobody took up makes way for the new one. What was proposed already, and is
    open or was discarded, is not proposed again.
    """
    if not library.is_installed():
        return Proposal(None, f"{library.PACKAGE} is not installed")
    used = {provider for provider, _ in names_in_use()}
    try:
        with transaction.atomic():
            version = imports.import_library(
                by=BY, apply_from=imports.next_midnight(timezone.now()), providers=used, label=LABEL
            )
            if _was_proposed(version):
                raise _Known
    except drafts.NothingChanged:
        return Proposal(None, "the book says all of it already")
    except _Known:
        return Proposal(None, "it was proposed already")
    for old in BookVersion.objects.filter(label=LABEL, status=VersionStatus.DRAFT).exclude(pk=version.pk):
        if not old.blocks.exclude(acknowledged_at=None).exists():
            drafts.discard(old, by=BY)
    return Proposal(version)


@transaction.atomic
def propose_vendored() -> Proposal:
    """A draft of what the list prices of this release say otherwise than those that were published.

    Once for each list, whatever became of the draft. For a book without any, see ``load_vendored``.
    """
    hold_the_book()
    digest = vendored.content_hash()
    origin = f"list {digest[:16]}"
    if BookVersion.objects.filter(Q(origin=origin) | Q(content_hash=digest), label=vendored.LABEL).exists():
        return Proposal(None, "the list is known already")
    try:
        return Proposal(
            drafts.draft(vendored.read_catalogue(), label=vendored.LABEL, by="a new release", origin=origin)
        )
    except drafts.NothingChanged as nothing:
        return Proposal(None, nothing.detail)


class _Known(FinopsError):
    """Rolls the draft back."""

    def __init__(self) -> None:
        super().__init__("known already")


def _was_proposed(version: BookVersion) -> bool:
    """Whether the proposal before this one said the same, from whichever day on."""
    before = BookVersion.objects.filter(label=LABEL).exclude(pk=version.pk).order_by("-pk").first()
    return before is not None and _told(before) == _told(version)


def _told(version: BookVersion) -> set[Hashable]:
    return {
        (change.kind, change.conditions, line.meter, line.after and each(line.after))
        for change in diff(version).changes
        for line in change.rates
        if line.is_change
    }
