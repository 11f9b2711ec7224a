"""The quarantine on screen: what is outside the books and why; put right, replayed, dismissed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from attribution import quarantining
from attribution.models import Quarantined, QuarantineReason, SourceContract
from attribution.quarantining import LONGEST_NOTE, Done, Wanted
from finops.accounts.forms import OurForm
from finops.accounts.models import AuditEntry
from finops.accounts.permissions import Capability, Principal, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError, NotFound

ON_A_PAGE = 50
_AGES = (("", "Any age"), ("1", "Older than a day"), ("7", "Older than a week"), ("30", "Older than a month"))


class FilterForm(OurForm):
    """The query string; absent means all that is open."""

    state = forms.ChoiceField(choices=[("", "Open"), ("resolved", "Resolved")], required=False)
    reason = forms.ChoiceField(choices=[("", "Any reason"), *QuarantineReason.choices], required=False)
    source = forms.CharField(max_length=128, required=False)
    code = forms.CharField(max_length=64, required=False, label="Rule")
    age = forms.ChoiceField(choices=_AGES, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "field"

    @property
    def wanted(self) -> Wanted:
        told = self.cleaned_data if self.is_valid() else {}
        return Wanted(
            reason=told.get("reason", ""),
            source=told.get("source", ""),
            code=told.get("code", ""),
            days=int(told["age"]) if told.get("age") else None,
            is_resolved=told.get("state") == "resolved",
        )


class EventForm(OurForm):
    """The event as it should have been."""

    event = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 18, "spellcheck": "false", "class": "code"}),
        help_text="JSON, as POST /api/v1/events takes it. Prompt and completion text is refused.",
    )

    def clean_event(self) -> dict[str, Any]:  # Any: JSON
        """One JSON object."""
        try:
            event = json.loads(self.cleaned_data["event"])
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from None
        if not isinstance(event, dict):
            raise forms.ValidationError("Expected one event: a JSON object.")
        return event

    def refuse(self, error: FinopsError) -> None:
        """The problems name fields of the event."""
        for problem in error.problems:
            where = f"{problem.field}: " if problem.field not in ("", "event") else ""
            self.add_error("event", f"{where}{problem.message}")
        if not error.problems:
            self.add_error(None, error.detail)


class DismissForm(OurForm):
    """Why something stays outside the books."""

    note = forms.CharField(max_length=LONGEST_NOTE, label="Why it stays outside the books")


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def quarantine(request: PersonRequest) -> HttpResponse:
    """What is outside the books? Six queries; several records can be replayed or dismissed at once."""
    principal = principal_of_person(request.user)
    if request.method == "POST":
        return _several(request, principal)
    form = FilterForm(request.GET)
    records = quarantining.wanted(quarantining.visible(principal), form.wanted).order_by(
        "-received_at", "-pk"
    )
    page = Paginator(records, ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "page": page,
        "lines": _with_owners(page.object_list),
        "total": page.paginator.count,
        "query": _query(request),
        "filtered": any(request.GET.get(name) for name in form.fields),
        "is_resolved": form.wanted.is_resolved,
        "may_replay": principal.may(Capability.REPLAY_QUARANTINE),
    }
    return render(request, "attribution/quarantine.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def record(request: PersonRequest, number: int) -> HttpResponse:
    """One record: what it said, why it is here, what was done."""
    principal = principal_of_person(request.user)
    try:
        found = quarantining.find(number, principal)
    except NotFound as error:
        raise Http404(error.detail) from error
    may_replay = principal.may(Capability.REPLAY_QUARANTINE)
    sent = request.POST if request.method == "POST" else None
    if sent is not None and not may_replay:
        raise PermissionDenied(principal.refusal(Capability.REPLAY_QUARANTINE))
    dismissing = sent is not None and "dismiss" in sent
    initial = {"event": json.dumps(found.payload, indent=2, ensure_ascii=False)}
    form = EventForm(sent if not dismissing else None, initial=initial)
    note = DismissForm(sent if dismissing else None)
    if sent is not None and (note if dismissing else form).is_valid():
        try:
            if dismissing:
                quarantining.dismiss(found, principal, note.cleaned_data["note"])
                messages.success(request, "Dismissed. The record is kept with the reason.")
            else:
                became = quarantining.replay(found, principal, form.cleaned_data["event"])
                was_new = became == "accepted"
                messages.success(request, "Replayed." if was_new else "It was in the books already.")
            return HttpResponseRedirect(reverse("attribution:quarantine"))
        except FinopsError as error:
            (note if dismissing else form).refuse(error)
    context = {
        "record": found,
        "form": form,
        "note": note,
        "refused": note if note.errors else form if form.errors else None,
        "owner": _owners([found]).get(found.source, ""),
        "may_replay": may_replay,
        "history": _history(found),
        "payload": initial["event"],
    }
    status = 422 if context["refused"] else 200
    return render(request, "attribution/quarantine_record.html", context, status=status)


def _several(request: PersonRequest, principal: Principal) -> HttpResponse:
    if not principal.may(Capability.REPLAY_QUARANTINE):
        raise PermissionDenied(principal.refusal(Capability.REPLAY_QUARANTINE))
    numbers = [int(text) for text in request.POST.getlist("id") if text.isdecimal() and len(text) < 18]
    try:
        if "dismiss" in request.POST:
            done = quarantining.dismiss_all(numbers, principal, request.POST.get("note", ""))
            _tell(request, done, "dismissed")
        else:
            _tell(request, quarantining.replay_all(numbers, principal), "replayed")
    except FinopsError as error:
        messages.error(request, error.detail)
    query = _query(request)
    return HttpResponseRedirect(f"{request.path}{'?' if query else ''}{query}")


def _tell(request: PersonRequest, done: Done, verb: str) -> None:
    if done.resolved:
        messages.success(request, f"{len(done.resolved)} {verb}.")
    if done.failed:
        first = next(iter(done.failed.values())).detail
        messages.error(request, f"{len(done.failed)} could not be {verb} and stay here: {first}")


def _query(request: PersonRequest) -> str:
    """The filter as a query string, without the page."""
    return urlencode({name: value for name, value in request.GET.items() if value and name != "page"})


def _with_owners(records: Iterable[Quarantined]) -> list[tuple[Quarantined, str]]:
    rows = list(records)
    owners = _owners(rows)
    return [(row, owners.get(row.source, "")) for row in rows]


def _owners(records: list[Quarantined]) -> dict[str, str]:
    """Whom to ask, by source."""
    named = SourceContract.objects.filter(source__in={one.source for one in records}).exclude(owner="")
    return dict(named.values_list("source", "owner"))


def _history(found: Quarantined) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(subject_kind="quarantine", subject=str(found.pk)))
