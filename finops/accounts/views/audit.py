"""The audit log: every change, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from finops.accounts.forms import AuditFilter
from finops.accounts.models import AuditEntry
from finops.accounts.permissions import Capability
from finops.accounts.screens import PersonRequest, for_people
from finops.core.periods import midnight

PAGE = 50
_EMPTY: tuple[object, ...] = (None, "", [], {})
_LOOKUPS = {
    "actor": "actor__icontains",
    "action": "action__istartswith",
    "kind": "subject_kind",
    "subject": "subject__icontains",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of a change, as text; None where it was not, or is not any more."""

    field: str
    before: str | None
    after: str | None

    @property
    def label(self) -> str:
        return self.field.replace("_", " ")


@require_safe
@for_people(Capability.VIEW_AUDIT)
def audit_log(request: PersonRequest) -> HttpResponse:
    """Who changed what, and when? The URL holds the filter and the place in the list."""
    form = AuditFilter(request.GET)
    place = _place(request.GET.get("before", ""))
    if place is None and "before" in request.GET:
        form.add_error(None, "The place in the list cannot be read: start from the newest.")
    if not form.is_valid():
        return render(request, "accounts/audit.html", {"form": form, "rows": []}, status=400)
    entries = _matching(form.cleaned_data)
    if place is not None:
        at, entry_id = place
        entries = entries.filter(Q(at__lt=at) | Q(at=at, pk__lt=entry_id))
    found = list(entries[: PAGE + 1])
    context = {
        "form": form,
        "rows": [(entry, differences(entry.before, entry.after)) for entry in found[:PAGE]],
        "older": _older(form, found[PAGE - 1]) if len(found) > PAGE else "",
        "newest": f"?{urlencode(_query(form))}",
        "continued": place is not None,
        "filtered": any(form.cleaned_data.values()),
        "kinds": AuditEntry.objects.order_by("subject_kind")
        .values_list("subject_kind", flat=True)
        .distinct(),
    }
    return render(request, "accounts/audit.html", context)


def differences(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[Difference]:
    """What changed, field by field; of what is new or gone, all that it had."""
    old, new = _had(before, after), _had(after, before)
    fields = sorted(old.keys() | new.keys())
    return [
        Difference(field, _text(old, field), _text(new, field))
        for field in fields
        if field not in old or field not in new or old[field] != new[field]
    ]


def _had(facts: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any]:
    """The facts; without the empty ones where there is nothing to compare them with."""
    return {field: value for field, value in (facts or {}).items() if other or value not in _EMPTY}


def _text(facts: dict[str, Any], field: str) -> str | None:
    if field not in facts:
        return None
    value = facts[field]
    if value in _EMPTY:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    return str(value)


def _matching(wanted: dict[str, Any]) -> QuerySet[AuditEntry]:
    lookups = {lookup: wanted[field] for field, lookup in _LOOKUPS.items() if wanted[field]}
    zone = settings.REPORTING_TIME_ZONE
    if wanted["since"]:
        lookups["at__gte"] = midnight(wanted["since"], zone)
    if wanted["until"]:
        lookups["at__lt"] = midnight(wanted["until"] + timedelta(days=1), zone)
    return AuditEntry.objects.filter(**lookups)


def _place(cursor: str) -> tuple[datetime, int] | None:
    """The entry that a page comes after: its instant and its number."""
    instant, _, number = cursor.rpartition("_")
    try:
        at = datetime.fromisoformat(instant)
        return (at, int(number)) if at.tzinfo else None
    except ValueError:
        return None


def _older(form: AuditFilter, last: AuditEntry) -> str:
    return urlencode({**_query(form), "before": f"{last.at.isoformat()}_{last.pk}"})


def _query(form: AuditFilter) -> dict[str, Any]:
    return {name: value for name, value in form.cleaned_data.items() if value}
