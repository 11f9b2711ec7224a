"""Keeps buckets of a report as last read, each whole or not at all, and what their rows said before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from xxhash import xxh3_128_hexdigest

from attribution.models.provider_reports import ProviderCost, ProviderReportChange, ProviderUsage
from attribution.pullers.client import PullFailed
from attribution.pullers.providers import Provider, Report, Row
from finops.core.errors import InvalidInput
from finops.core.money import as_text

Json = Any  # as the provider sent it
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class Bucket:
    """A UTC day of a report, with its rows by their ids."""

    starts_at: datetime
    ends_at: datetime
    rows: Mapping[str, Row]


def read_bucket(bucket: Json, provider: Provider) -> Bucket:
    """Raises PullFailed for what is no bucket, and for two rows that name the same."""
    rows = bucket.get("results") if isinstance(bucket, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PullFailed("A bucket has no list of results.")
    bounds = {name: bucket.get(name) for name in provider.bounds}
    starts_at, ends_at = (_instant(bounds[name]) for name in provider.bounds)
    told = [{**row, **bounds} for row in rows]
    by_id = {_row_id(row): row for row in told}
    if len(by_id) < len(told):
        raise PullFailed("Two rows of one bucket have the same names: which of them counts is not said.")
    return Bucket(starts_at, ends_at, by_id)


def keep(bucket: Bucket, provider: Provider, report: Report) -> int:
    """Keep a bucket; how many rows are new, other than before, or gone."""
    model: Any = ProviderCost if report.is_cost else ProviderUsage  # Any: two models
    fresh = {
        row_id: (_cost if report.is_cost else _usage)(row, provider) for row_id, row in bucket.rows.items()
    }
    now = timezone.now()
    with transaction.atomic():
        found = model.objects.filter(
            provider=provider.name, report=report.name, starts_at=bucket.starts_at, ends_at=bucket.ends_at
        )
        known = {one.row_id: one for one in found}
        same = {row_id for row_id, one in known.items() if row_id in fresh and _is_same(one, fresh[row_id])}
        changed = {row_id: one for row_id, one in known.items() if row_id in fresh and row_id not in same}
        gone = {row_id: one for row_id, one in known.items() if row_id not in fresh and one.gone_at is None}
        ProviderReportChange.objects.bulk_create(
            ProviderReportChange(
                provider=provider.name,
                report=report.name,
                row_id=row_id,
                seen_at=now,
                before=_plain(one.raw),
                after=_plain(fresh[row_id]["raw"]) if row_id in fresh else None,
            )
            for row_id, one in {**changed, **gone}.items()
        )
        for row_id, one in changed.items():
            model.objects.filter(pk=one.pk).update(**fresh[row_id], changed_at=now, gone_at=None)
        model.objects.filter(pk__in=[one.pk for one in gone.values()]).update(gone_at=now, changed_at=now)
        new = [row_id for row_id in fresh if row_id not in known]
        model.objects.bulk_create(
            model(
                provider=provider.name,
                report=report.name,
                row_id=row_id,
                starts_at=bucket.starts_at,
                ends_at=bucket.ends_at,
                first_seen_at=now,
                changed_at=now,
                **fresh[row_id],
            )
            for row_id in new
        )
    return len(new) + len(changed) + len(gone)


def _is_same(one: ProviderUsage | ProviderCost, said: Mapping[str, Any]) -> bool:
    return one.gone_at is None and one.raw == said["raw"]


def _usage(row: Row, provider: Provider) -> dict[str, Any]:
    requests = row.get("num_model_requests")
    kept: dict[str, Any] = {
        "project": _text(row, provider.project),
        "api_key": _text(row, "api_key_id"),
        "model": _text(row, "model", 256),
        "requests": requests if isinstance(requests, int) else None,
        "usage": {},
        "event": {},
        "raw": _plain(row),
        "problem": "",
    }
    counted: Counter[str] = Counter()
    for event in provider.events([row]):
        if isinstance(event, InvalidInput):
            return {**kept, "problem": event.detail}
        usage = event["usage"]
        counted.update({name: count for name, count in usage.items() if name != "units"})
        if units := usage.get("units"):
            kept["usage"]["units"] = {name: as_text(count) for name, count in units.items()}
        kept["event"] = kept["event"] or {name: part for name, part in event.items() if name != "usage"}
    kept["usage"] |= {name: count for name, count in counted.items() if count}
    return kept


def _cost(row: Row, provider: Provider) -> dict[str, Any]:
    amount, currency = provider.cost(row)
    return {
        "project": _text(row, provider.project),
        "line": _text(row, provider.line, 1024),
        "amount": amount,
        "currency": currency,
        "raw": _plain(row),
    }


def _row_id(row: Row) -> str:
    """Of everything in the row that names and counts nothing. A name that is null is not said."""
    names = sorted(
        (name, str(value))
        for name, value in row.items()
        if isinstance(value, str | bool) and name not in ("amount", "currency", "quantity")
    )
    bounds = sorted((name, str(row[name])) for name in ("start_time", "end_time") if name in row)
    return xxh3_128_hexdigest(json.dumps([names, bounds]).encode())


def _plain(row: Json) -> Json:
    """As JSON that keeps every digit: decimals as texts."""
    return json.loads(json.dumps(row, default=lambda value: str(Decimal(value))))


def _text(row: Row, name: str, longest: int = _LONGEST) -> str:
    value = row.get(name)
    return str(value)[:longest].replace("\x00", "") if value is not None else ""


def _instant(value: Json) -> datetime:
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        return datetime.fromtimestamp(int(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise PullFailed("A bucket does not say when it starts and ends.") from None
