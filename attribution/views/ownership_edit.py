"""One name of the organisation: its history, and adding, renaming and moving it with a preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from attribution import organisation, ownership
from attribution.move_preview import OwnerChange, affected_period, preview
from attribution.views.names import names_of
from attribution.views.ownership import tab_url
from attribution.views.ownership_forms import MoveForm, NameForm, NewForm
from attribution.views.ownership_kinds import KINDS, Kind, Owned, label_of, owned
from finops.accounts.forms import OurForm
from finops.accounts.models import AuditEntry
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import Conflict, FinopsError
from finops.core.money import ZERO
from finops.core.periods import Period
from finops.ui import formats, presets


@dataclass(frozen=True, slots=True)
class Preview:
    """What would move in the days that are looked at; ``rows`` come with the owners' names."""

    period: Period
    rows: Sequence[tuple[str, OwnerChange]]

    @property
    def moved(self) -> Decimal:
        return sum((change.change for _, change in self.rows if change.change > 0), ZERO)

    @property
    def is_future(self) -> bool:
        return not self.period.days


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def entry(request: PersonRequest, kind: str) -> HttpResponse:
    """One name, ``?slug=``, or the form for a new one. Whoever may not edit sees its history."""
    chosen = KINDS.get(kind)
    if chosen is None:
        raise Http404
    principal = principal_of_person(request.user)
    may_edit = principal.may(Capability.EDIT_OWNERSHIP)
    slug = request.GET.get("slug", "")
    if not may_edit and (request.method == "POST" or not slug):
        raise PermissionDenied(principal.refusal(Capability.EDIT_OWNERSHIP))
    if not slug:
        return _add(request, chosen)
    found = owned(chosen, slug)
    if not found or (kind == "team" and not principal.sees(slug)):
        raise Http404
    context = {"may_edit": may_edit, "may_audit": principal.may(Capability.VIEW_AUDIT)}
    if not may_edit:
        return _page(request, found[0], context)
    return _edit(request, found[0], context)


def _add(request: PersonRequest, kind: Kind) -> HttpResponse:
    sent = request.POST if request.method == "POST" else None
    form = NewForm(sent, kind=kind)
    shown = None
    if sent is not None and form.is_valid():
        make = _making(kind, form, request.user.email)
        try:
            if "preview" in sent:
                # What a new team or feature changes is whose the calls are that named it already.
                dimension = kind.placing.dimension if kind.slug == "feature" and kind.placing else "team"
                shown = previewed(make, months(), dimension)
            else:
                make()
                messages.success(request, f"{kind.title} {form.cleaned_data['slug']} was added.")
                return HttpResponseRedirect(tab_url(kind.tab))
        except FinopsError as error:
            form.refuse(error)
    status = 422 if form.errors else 200
    context = {
        "kind": kind,
        "form": form,
        "preview": shown,
        "previews": kind.slug in ("team", "feature"),
        "back": tab_url(kind.tab),
    }
    return render(request, "attribution/ownership_add.html", context, status=status)


def _making(kind: Kind, form: NewForm, actor: str) -> Callable[[], None]:
    said = form.cleaned_data

    @transaction.atomic
    def make() -> None:
        kind.create(said["slug"], name=said["name"] or None, actor=actor)
        if kind.placing and form.target_or_none is not None:
            kind.placing.move(
                said["slug"], form.target_or_none, effective_from=said["effective_from"], actor=actor
            )

    return make


def _edit(request: PersonRequest, row: Owned, context: dict[str, Any]) -> HttpResponse:
    # Any: a template context
    kind, sent = row.kind, request.POST if request.method == "POST" else None
    renaming = sent is not None and "rename" in sent
    naming = NameForm(sent if renaming else None, initial={"name": row.entry.name}, prefix="name")
    moving = None
    if kind.placing:
        data = sent if sent is not None and not renaming else None
        moving = MoveForm(data, kind=kind, initial=_standing(row))
    form: OurForm | None = naming if renaming else moving
    if sent is not None and form is not None and form.is_valid():
        try:
            if renaming:
                _rename(request, row, naming.cleaned_data["name"])
            elif moving is not None and ("preview" in sent or not moving.is_previewed):
                context["preview"] = _preview_of(row, moving, request.user.email)
            elif moving is not None:
                _move(request, row, moving)
            if "preview" not in context:
                return HttpResponseRedirect(entry_url(kind, row.entry.slug))
        except Conflict as error:
            moving = MoveForm(kind=kind, initial={**_standing(row), **(moving or naming).cleaned_data})
            moving.initial["seen"] = _last_change(row)
            context["conflict"] = error.detail
        except FinopsError as error:
            form.refuse(error)
    refused = form is not None and bool(form.errors)
    status = 409 if "conflict" in context else 422 if refused else 200
    context |= {"naming": naming, "moving": moving, "refused": form if refused else None}
    return _page(request, row, context, status=status)


def _page(request: PersonRequest, row: Owned, context: dict[str, Any], status: int = 200) -> HttpResponse:
    # Any: a template context
    kind = row.kind
    names = names_of([kind.placing.dimension] if kind.placing else [])
    context |= {
        "kind": kind,
        "row": row,
        "target": label_of(names, kind, row.target) if kind.placing else "",
        "moves": [(move, label_of(names, kind, move.target)) for move in reversed(row.moves)],
        "today": organisation.today(),
        "back": tab_url(kind.tab),
        "url": entry_url(kind, row.entry.slug),
    }
    return render(request, "attribution/ownership_entry.html", context, status=status)


def entry_url(kind: Kind, slug: str) -> str:
    """Where one name is set up."""
    return f"{reverse('attribution:ownership-entry', args=[kind.slug])}?{urlencode({'slug': slug})}"


def _standing(row: Owned) -> dict[str, object]:
    """What the form of a move starts with: from today on, or since ever where it never moved."""
    day = organisation.today() if row.moves else None
    return {"target": row.target or "", "effective_from": day, "seen": _last_change(row)}


def _last_change(row: Owned) -> int:
    last = _changes(row).first()
    return last.pk if last else 0


def _changes(row: Owned) -> Any:  # Any: a query set
    return AuditEntry.objects.filter(subject_kind=row.kind.audit_kind, subject=row.entry.slug)


def _rename(request: PersonRequest, row: Owned, name: str) -> None:
    row.kind.rename(row.entry.slug, name, actor=request.user.email)
    messages.success(request, f"{row.entry.slug} is now called {name.strip()}.")


@transaction.atomic
def _move(request: PersonRequest, row: Owned, form: MoveForm) -> None:
    """Raises Conflict when somebody changed it since the form was shown."""
    ownership.lock()
    seen = form.cleaned_data["seen"]
    later = _changes(row).first()
    if seen is not None and later is not None and later.pk != seen:
        at = formats.moment(later.at, settings.REPORTING_TIME_ZONE)
        raise Conflict(f"{later.actor} changed this on {at}. Nothing was moved; look at it again first.")
    _moving(row, form, request.user.email)()
    day: date | None = form.cleaned_data["effective_from"]
    since = f"from {formats.day(day)} on" if day else "since ever"
    label = dict(form.fields["target"].choices)[form.cleaned_data["target"]]  # type: ignore[attr-defined]
    placing = row.kind.placing
    verb = placing.verb if placing else ""
    messages.success(request, f"{row.entry.name} {verb} {label} {since}.")


def _moving(row: Owned, form: MoveForm, actor: str) -> Callable[[], Any]:
    placing = row.kind.placing
    assert placing is not None
    day = form.cleaned_data["effective_from"]
    return lambda: placing.move(row.entry.slug, form.target_or_none, effective_from=day, actor=actor)


def _preview_of(row: Owned, form: MoveForm, actor: str) -> Preview:
    placing, seen = row.kind.placing, months()
    assert placing is not None
    period = affected_period(form.cleaned_data["effective_from"], seen.first, seen.end)
    return previewed(_moving(row, form, actor), period, placing.dimension)


def previewed(change: Callable[[], Any], period: Period, dimension: str) -> Preview:
    """What a change would move, by the owners' names."""
    changes = preview(change, period, dimension=dimension)
    names = names_of([dimension])
    return Preview(period, [(names.label(dimension, one.owner), one) for one in changes])


def months() -> Period:
    """Last month and this one: the days that people look at after a move."""
    this_month = Period.month_of(organisation.today())
    return Period(presets.add_months(this_month.first, -1), this_month.end)
