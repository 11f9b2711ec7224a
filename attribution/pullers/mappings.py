"""Whose a provider's keys and projects are. Without this nothing of a report is ever booked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from attribution.models.provider_reports import DayState, ProviderMapping, ProviderUsage
from attribution.pullers.providers import PROVIDERS, provider_of
from finops.accounts import audit
from finops.core.errors import InvalidInput, NotFound

NAMES = ("team", "feature", "tier", "environment")
LONGEST = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A mapping as it is told. ``sources`` may be empty: of these keys no client tells anything."""

    provider: str
    name: str
    book_from: date
    api_keys: Sequence[str] = ()
    projects: Sequence[str] = ()
    sources: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)


def put(mapped: Mapped, *, actor: str) -> ProviderMapping:
    """Make a mapping, or change it for days that are not booked yet.

    Raises InvalidInput for a provider or name that there is not, for texts that are no ids, for a mapping of
    nothing, and for a key, project or source that belongs to another mapping: its calls would be taken off
    twice.
    """
    if mapped.provider not in PROVIDERS:
        raise InvalidInput.field("provider", "not_a_choice", f"One of {', '.join(PROVIDERS)}.")
    if not mapped.api_keys and not mapped.projects:
        raise InvalidInput.field("api_keys", "required", "Name a key or a project.")
    for kind in ("api_keys", "projects", "sources"):
        _refuse_strange(kind, getattr(mapped, kind))
    _refuse_strange("name", [mapped.name])
    if unknown := sorted(set(mapped.names) - set(NAMES)):
        raise InvalidInput.field(unknown[0], "unknown", f"One of {', '.join(NAMES)}.")
    if provider_of(mapped.provider).source in mapped.sources:
        raise InvalidInput.field(
            "sources", "not_allowed", "That is the source of what is booked from reports."
        )
    said = {
        "api_keys": sorted(set(mapped.api_keys)),
        "projects": sorted(set(mapped.projects)),
        "sources": sorted(set(mapped.sources)),
        "names": dict(mapped.names),
        "book_from": mapped.book_from,
        "is_active": True,
    }
    with transaction.atomic():
        others = ProviderMapping.objects.select_for_update().filter(provider=mapped.provider)
        before = next((one for one in others if one.name == mapped.name), None)
        for other in others:
            if other.is_active and other.name != mapped.name:
                _refuse_shared(other, said)
        row, _ = ProviderMapping.objects.update_or_create(
            provider=mapped.provider, name=mapped.name, defaults=said
        )
        _note(row, before, "changed" if before else "created", actor)
    return row


def active() -> QuerySet[ProviderMapping]:
    """The mappings, with how many of their days are ``booked`` and ``held``. One query."""
    return ProviderMapping.objects.filter(is_active=True).annotate(
        booked=Count("days", filter=Q(days__state=DayState.BOOKED)),
        held=Count("days", filter=Q(days__state=DayState.HELD)),
    )


def drop(provider: str, name: str, *, actor: str) -> None:
    """Book nothing more for it. What is booked stays. Raises NotFound."""
    with transaction.atomic():
        row = ProviderMapping.objects.filter(provider=provider, name=name, is_active=True).first()
        if row is None:
            raise NotFound(f'There is no mapping "{name}" of {provider}.')
        ProviderMapping.objects.filter(pk=row.pk).update(is_active=False)
        _note(row, row, "dropped", actor)


def rows_of(mapping: ProviderMapping, rows: Iterable[ProviderUsage]) -> list[ProviderUsage]:
    """Those made with its keys, and in its projects with a key that is nobody else's."""
    others = ProviderMapping.objects.filter(provider=mapping.provider, is_active=True).exclude(pk=mapping.pk)
    taken = {key for other in others for key in other.api_keys}
    return [
        row
        for row in rows
        if row.api_key in mapping.api_keys or (row.project in mapping.projects and row.api_key not in taken)
    ]


def _refuse_strange(kind: str, texts: Iterable[str]) -> None:
    for text in texts:
        if not text or len(text) > LONGEST or not text.isprintable():
            message = f"Expected 1 to {LONGEST} printable characters."
            raise InvalidInput.field(kind, "invalid", message)


def _refuse_shared(other: ProviderMapping, said: Mapping[str, Any]) -> None:
    for kind in ("api_keys", "projects", "sources"):
        if shared := sorted(set(said[kind]) & set(getattr(other, kind))):
            message = f'"{shared[0]}" belongs to the mapping "{other.name}" already.'
            raise InvalidInput.field(kind, "taken", message)


def _note(row: ProviderMapping, before: ProviderMapping | None, what: str, actor: str) -> None:
    audit.record(
        actor,
        f"provider_mapping.{what}",
        subject_kind="provider mapping",
        subject=f"{row.provider} {row.name}",
        before=as_json(before) if before else None,
        after=None if what == "dropped" else as_json(row),
    )


def as_json(row: ProviderMapping) -> dict[str, Any]:
    """For the audit log and the API, without what names it."""
    return {
        "api_keys": list(row.api_keys),
        "projects": list(row.projects),
        "sources": list(row.sources),
        "names": row.names,
        "book_from": row.book_from.isoformat(),
    }
