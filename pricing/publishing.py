"""Publishes price lists: a new version holds what changed, and supersedes the rows it replaces.

Slots that calls already use are re-rated in the same transaction: the old unit prices keep their
knowledge time, so that ``as_of`` reproduces what was known before.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import connection, transaction
from django.utils import timezone

from pricing.models import BookVersion, ModelAlias, Multiplier, Price, Rate, Versioned, VersionStatus
from pricing.slot_rates import PUBLISHING_LOCK, rerate_slots
from pricing.vendored import LABEL, Catalogue, content_hash, read_catalogue

Row = TypeVar("Row", bound=Versioned)
_ROW_FIELDS = ("id", "version", "superseded_by")


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
    """Publish a list as the next version of its label.

    Rows that are not in the list any more, or that read otherwise, are superseded; rows that read the
    same stay in the version that first stated them.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PUBLISHING_LOCK])
    if _latest_hash(label) == digest:
        return Publication(None)
    version = BookVersion.objects.create(label=label, content_hash=digest, published_by=published_by)
    known = {
        _signature(price, price.rates.all()): price
        for price in _current(Price, label).prefetch_related("rates")
    }
    new_prices = {_signature(price, rates): (price, rates) for price, rates in catalogue.prices}
    added = _add_prices([new_prices[key] for key in new_prices.keys() - known.keys()], version)
    superseded = _supersede(Price, [known[key].pk for key in known.keys() - new_prices.keys()], version)
    for model, listed in ((Multiplier, catalogue.multipliers), (ModelAlias, catalogue.aliases)):
        more, fewer = _replace(model, listed, label, version)
        added, superseded = added + more, superseded + fewer
    version.status, version.published_at = VersionStatus.PUBLISHED, _now_after_all()
    version.save(update_fields=["status", "published_at"])
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


def _current(model: type[Row], label: str) -> Any:  # Any: a queryset of the model, whichever it is
    return model.objects.known().filter(version__label=label)


def _add_prices(listed: list[tuple[Price, list[Rate]]], version: BookVersion) -> int:
    for price, _ in listed:
        price.version = version
    Price.objects.bulk_create([price for price, _ in listed])
    for price, rates in listed:
        for rate in rates:
            rate.price = price
    Rate.objects.bulk_create([rate for _, rates in listed for rate in rates])
    return len(listed)


def _replace(model: type[Row], listed: Iterable[Row], label: str, version: BookVersion) -> tuple[int, int]:
    known = {_signature(row): row for row in _current(model, label)}
    wanted = {_signature(row): row for row in listed}
    new = [wanted[key] for key in wanted.keys() - known.keys()]
    for row in new:
        row.version = version
    model.objects.bulk_create(new)
    return len(new), _supersede(model, [known[key].pk for key in known.keys() - wanted.keys()], version)


def _supersede(model: type[Row], ids: list[int], version: BookVersion) -> int:
    return model.objects.filter(pk__in=ids).update(superseded_by=version)


def _signature(row: Versioned, rates: Iterable[Rate] = ()) -> Hashable:
    """Everything a row says, to tell whether two say the same."""
    said = tuple(
        _plain(getattr(row, field.attname))
        for field in row._meta.concrete_fields
        if field.name not in _ROW_FIELDS
    )
    stated = sorted(
        (rate.meter, rate.unit_price.normalize(), rate.per, rate.minimum and rate.minimum.normalize())
        for rate in rates
    )
    return (said, tuple(stated))


def _plain(value: Any) -> Hashable:  # Any: whatever a column holds
    if isinstance(value, Mapping):
        return tuple(sorted((key, _plain(item)) for key, item in value.items()))
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    return str(value) if value.__class__.__name__ != "Decimal" else value.normalize()
