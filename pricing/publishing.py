"""Publishes price lists: a new version holds what changed, and supersedes the rows it replaces.

Slots that calls already use are re-rated in the same transaction: the old unit prices keep their
knowledge time, so that ``as_of`` reproduces what was known before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from pricing.ambiguity import refuse_ambiguous
from pricing.catalogue import load_book
from pricing.changes import of_complete_list, write_rows
from pricing.models import BookVersion, Versioned, VersionStatus
from pricing.slot_rates import PUBLISHING_LOCK, rerate_slots
from pricing.vendored import LABEL, Catalogue, content_hash, read_catalogue


@dataclass(frozen=True, slots=True)
class Publication:
    """What a publication changed; ``version`` is None when the list was already known."""

    version: BookVersion | None
    added: int = 0
    superseded: int = 0
    slots_rerated: int = 0
    slots_to_split: int = 0


def load_vendored(*, published_by: str = "vendored") -> Publication:
    """Publish the vendored list, unless its content is what was published last.

    Safe to run at the same time in several processes: an advisory lock lets one publish, and the others
    then find nothing to do.
    """
    digest = content_hash()
    if _latest_hash(LABEL) == digest:
        return Publication(None)
    return publish(read_catalogue(), label=LABEL, digest=digest, published_by=published_by)


@transaction.atomic
def publish(catalogue: Catalogue, *, label: str, digest: str, published_by: str) -> Publication:
    """Publish a list as the next version of its label, without a draft.

    Rows that are not in the list any more, or that read otherwise, are superseded; rows that read the
    same stay in the version that first stated them.
    """
    hold_the_book()
    if _latest_hash(label) == digest:
        return Publication(None)
    version = BookVersion.objects.create(label=label, content_hash=digest, created_by=published_by)
    changes = of_complete_list(catalogue, label)
    write_rows(changes, version)
    return put_in_force(version, changes.ended, added=changes.added, by=published_by)


def hold_the_book() -> None:
    """One publication at a time, and no slot made meanwhile, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PUBLISHING_LOCK])


def put_in_force(
    version: BookVersion, ended: Mapping[type[Versioned], Sequence[int]], *, added: int, by: str
) -> Publication:
    """Publish a version whose rows are written; what it ends is superseded, slots are re-rated.

    Within a transaction that holds the book. Raises InvalidInput where nothing decides between two prices.
    """
    superseded = sum(
        model._default_manager.filter(pk__in=ids).update(superseded_by=version)
        for model, ids in ended.items()
    )
    version.status, version.published_at = VersionStatus.PUBLISHED, _now_after_all()
    version.published_by = by
    version.save(update_fields=["status", "published_at", "published_by"])
    refuse_ambiguous(load_book())
    rerated = rerate_slots(version.published_at)
    return Publication(version, added, superseded, rerated.changed, rerated.to_split)


def _latest_hash(label: str) -> str | None:
    published = BookVersion.objects.filter(label=label, status=VersionStatus.PUBLISHED)
    return published.order_by("-pk").values_list("content_hash", flat=True).first()


def _now_after_all() -> datetime:
    """Now, but after every version before: knowledge times are in the order of publication."""
    latest = BookVersion.objects.exclude(published_at=None).order_by("-published_at").first()
    now = timezone.now()
    if latest is not None and latest.published_at is not None and latest.published_at >= now:
        return latest.published_at + timedelta(microseconds=1)
    return now
