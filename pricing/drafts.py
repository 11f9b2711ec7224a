"""The life of a version: drafted, looked at, reviewed, published, or discarded.

Every step is one transaction that locks the version, and a line in the audit log. Only publishing
touches what the book says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from finops.accounts import audit
from finops.core.errors import Conflict, FieldProblem, InvalidInput, NotFound
from pricing import blocks
from pricing.ambiguity import refuse_ambiguous
from pricing.catalogue import book_as_if
from pricing.changes import Changes, agreement_signature, of_complete_list, signature, write_rows
from pricing.diffs import diff
from pricing.in_use import usage_touched
from pricing.models import (
    Agreement,
    BookVersion,
    DraftBlock,
    DraftSupersession,
    ModelAlias,
    Multiplier,
    Price,
    Rate,
    Versioned,
    VersionStatus,
)
from pricing.placing import Room, collision
from pricing.publishing import Publication, hold_the_book, put_in_force
from pricing.vendored import Catalogue

LONGEST_REASON = 2_000
_LINKS: dict[type[Versioned], str] = {
    Price: "price",
    Multiplier: "multiplier",
    ModelAlias: "alias",
    Agreement: "agreement",
}


class NothingChanged(Conflict):
    """The book says all of it already."""


@transaction.atomic
def draft(catalogue: Catalogue, *, label: str, by: str, origin: str = "", note: str = "") -> BookVersion:
    """A draft that would make the book's rows of a label read as this whole list.

    Raises NothingChanged where they do already.
    """
    changes = of_complete_list(catalogue, label)
    if not changes.added and not changes.superseded:
        raise NothingChanged("The price book says all of this already.")
    version = start(label=label, by=by, origin=origin, note=note)
    write(version, changes, by=by)
    return version


@transaction.atomic
def start(*, label: str, by: str, origin: str = "", note: str = "") -> BookVersion:
    """An empty draft."""
    version = BookVersion.objects.create(label=label, created_by=by, origin=origin, note=note)
    _record(by, "drafted", version, after={"origin": origin, "note": note})
    return version


@transaction.atomic
def write(
    version: BookVersion,
    changes: Changes,
    *,
    dropped: Iterable[int] = (),
    withdrawn: Iterable[int] = (),
    by: str,
) -> None:
    """Change what a draft says: rows added, published rows it would supersede, own rows taken back.

    Of its own rows prices are ``dropped`` and agreements ``withdrawn``.

    Whatever review it had is undone, and what stands in the way of one is found again. Raises Conflict
    where it is no draft any more.
    """
    version = _lock(version)
    Price.objects.filter(version=version, pk__in=list(dropped)).delete()
    Agreement.objects.filter(version=version, pk__in=list(withdrawn)).delete()
    _write_once(changes, version)
    DraftSupersession.objects.bulk_create(
        [
            DraftSupersession(version=version, **{f"{_LINKS[model]}_id": number})
            for model, numbers in changes.ended.items()
            for number in numbers
        ],
        ignore_conflicts=True,
    )
    _renew(version)
    said = {"added": changes.added, "superseded": changes.superseded}
    _record(by, "changed", version, after={**said, "content_hash": version.content_hash})


@transaction.atomic
def leave_out(version: BookVersion, provider: str, model: str, *, by: str) -> int:
    """Take prices and agreements of one model out of a draft; how many rows. Raises Conflict, NotFound."""
    version = _lock(version)
    named = {"provider": provider, "model__iexact": model}
    found = 0
    for kind, link in ((Price, "price"), (Agreement, "agreement")):
        ended = {f"{link}__{name}": value for name, value in named.items()}
        for rows in (
            DraftSupersession.objects.filter(version=version, **ended),
            kind._default_manager.filter(version=version, **named),
        ):
            found += rows.count()
            rows.delete()
    if not found:
        raise NotFound(f"The draft says nothing about {provider}/{model}.")
    _renew(version)
    _record(by, "left_out", version, before={"provider": provider, "model": model, "rows": found})
    return found


@transaction.atomic
def acknowledge(version: BookVersion, number: int, *, reason: str, by: str) -> DraftBlock:
    """Say why a finding is no obstacle. Raises Conflict, InvalidInput without a reason, NotFound."""
    version = _lock(version)
    block = DraftBlock.objects.filter(version=version, pk=number).first()
    if block is None:
        raise NotFound(f"The draft has no finding {number}; it may have changed meanwhile.")
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        message = f"Say why in 1 to {LONGEST_REASON:,} characters."
        raise InvalidInput.field("reason", "required" if not reason else "too_long", message)
    block.acknowledged_at, block.acknowledged_by, block.reason = timezone.now(), by, reason
    block.save(update_fields=["acknowledged_at", "acknowledged_by", "reason"])
    _record(by, "acknowledged", version, before={"finding": str(block)}, after={"reason": reason})
    return block


@transaction.atomic
def review(version: BookVersion, *, by: str) -> BookVersion:
    """Declare a draft fit to be published as it reads now.

    Raises Conflict for what is no draft, says nothing, or has findings that nobody acknowledged, and
    InvalidInput naming every row that collides with another.
    """
    version = _lock(version)
    if version.status == VersionStatus.REVIEWED:
        raise Conflict(f"It was reviewed by {version.reviewed_by} already.")
    if not _says_something(version):
        raise Conflict("The draft changes nothing; there is nothing to review.")
    if waiting := version.blocks.filter(acknowledged_at=None).count():
        what = "One finding" if waiting == 1 else f"{waiting} findings"
        raise Conflict(f"{what} must be acknowledged with a reason first, one by one.")
    _refuse_collisions(version)
    version.content_hash = content_hash(version)
    version.status, version.reviewed_at, version.reviewed_by = VersionStatus.REVIEWED, timezone.now(), by
    version.save(update_fields=["content_hash", "status", "reviewed_at", "reviewed_by"])
    _record(by, "reviewed", version, after={"content_hash": version.content_hash})
    return version


@transaction.atomic
def publish(version: BookVersion, *, by: str) -> Publication:
    """Put a reviewed version in force, supersede what it replaces, and re-rate the slots in use.

    What is booked at a price that it changes is restated by a re-rating, which calls this. Raises
    Conflict where it is not reviewed, or where the book moved on since: a row it would replace was
    superseded, or a row it collides with was published.
    """
    hold_the_book()
    version = _lock(version)
    if version.status != VersionStatus.REVIEWED:
        raise Conflict("Only a reviewed version can be published.")
    if version.content_hash != content_hash(version):
        raise Conflict("It reads otherwise than it did when it was reviewed.")
    ended = _still_current(version)
    _refuse_collisions(version)
    added = sum(model._default_manager.filter(version=version).count() for model in _LINKS)
    version.supersessions.all().delete()
    done = put_in_force(version, ended, added=added, by=by)
    after = {"content_hash": version.content_hash, "added": done.added, "superseded": done.superseded}
    _record(by, "published", version, before={"reviewed_by": version.reviewed_by}, after=after)
    return done


@transaction.atomic
def publish_untouching(version: BookVersion, *, by: str) -> Publication:
    """As ``publish``, where no booked usage would be priced otherwise; raises Conflict where some would."""
    if version.is_open and (touched := usage_touched(version, diff(version))):
        more = f" and {len(touched) - 3} more" if len(touched) > 3 else ""
        raise Conflict(
            f"It prices booked usage otherwise ({', '.join(touched[:3])}{more}): preview and approve a "
            "re-rating, which publishes it."
        )
    return publish(version, by=by)


@transaction.atomic
def discard(version: BookVersion, *, by: str) -> BookVersion:
    """Give a draft up. It stays to be read. Raises Conflict once it is published or discarded."""
    version = _lock(version)
    before = version.status
    version.status, version.discarded_at, version.discarded_by = VersionStatus.DISCARDED, timezone.now(), by
    version.save(update_fields=["status", "discarded_at", "discarded_by"])
    _record(by, "discarded", version, before={"status": before})
    return version


def content_hash(version: BookVersion) -> str:
    """SHA-256 of everything an unpublished version says: the same hash is the same change."""
    prices = Price.objects.filter(version=version).prefetch_related("rates")
    said = [repr(signature(price, price.rates.all())) for price in prices]
    for model in (Multiplier, ModelAlias):
        said += [repr(signature(row)) for row in model._default_manager.filter(version=version)]
    agreements = Agreement.objects.filter(version=version).prefetch_related("bands__rates")
    said += [repr(agreement_signature(agreement)) for agreement in agreements]
    for link in _LINKS.values():
        numbers = version.supersessions.exclude(**{link: None}).values_list(f"{link}_id", flat=True)
        said += [f"ends {link} {number}" for number in numbers]
    return hashlib.sha256("\n".join(sorted(said)).encode()).hexdigest()


def _lock(version: BookVersion) -> BookVersion:
    """The version as it is now, ours until the transaction ends. Raises Conflict where its life is over."""
    found = BookVersion.objects.select_for_update().filter(pk=version.pk).first()
    if found is None:
        raise NotFound(f"There is no version {version.pk} of the price book.")
    if not found.is_open:
        by = found.published_by if found.status == VersionStatus.PUBLISHED else found.discarded_by
        raise Conflict(f"Version {found.pk} was {found.status} by {by or 'a command'} already.")
    return found


def _write_once(changes: Changes, version: BookVersion) -> None:
    try:
        with transaction.atomic():
            write_rows(changes, version)
    except IntegrityError as error:
        message = "A version states a price once: put all rates of the same conditions and start into one."
        raise InvalidInput.field("prices", "duplicate", message) from error


def _renew(version: BookVersion) -> None:
    version.content_hash = content_hash(version)
    version.status, version.reviewed_at, version.reviewed_by = VersionStatus.DRAFT, None, ""
    version.save(update_fields=["content_hash", "status", "reviewed_at", "reviewed_by"])
    blocks.renew(version)


def _says_something(version: BookVersion) -> bool:
    return version.supersessions.exists() or any(
        model._default_manager.filter(version=version).exists() for model in _LINKS
    )


def _still_current(version: BookVersion) -> dict[type[Versioned], list[int]]:
    ended = {}
    for model, link in _LINKS.items():
        numbers = version.supersessions.exclude(**{link: None}).values_list(f"{link}_id", flat=True)
        ended[model] = list(numbers)
        gone = model._default_manager.filter(pk__in=ended[model]).exclude(superseded_by=None).first()
        if gone is not None:
            raise Conflict(
                f"{link.capitalize()} {gone.pk} ({gone}) was superseded by version {gone.superseded_by_id} "
                "meanwhile: discard this draft and make it anew."
            )
    return ended


def _refuse_collisions(version: BookVersion) -> None:
    own = list(Price.objects.filter(version=version).prefetch_related("rates"))
    room = Room.beside(version, {price.provider for price in own})
    problems: list[FieldProblem] = []
    for price in own:
        rates: list[Rate] = list(price.rates.all())
        others = [other for other, _ in room.colliding(price, rates) if other.pk != price.pk]
        problems += [collision(price, other) for other in others[:1]]
    if problems:
        raise InvalidInput(problems[0].message, problems)
    refuse_ambiguous(book_as_if(version))


def _record(
    by: str,
    what: str,
    version: BookVersion,
    *,
    before: dict[str, Any] | None = None,  # Any: JSON
    after: dict[str, Any] | None = None,
) -> None:
    audit.record(
        by,
        f"price_version.{what}",
        subject_kind="price version",
        subject=str(version),
        before=before,
        after=after,
    )
