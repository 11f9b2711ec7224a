"""Allocation keys: declared, with how they are used, and one to limit or to drop."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from attribution import allocation_keys
from attribution.allocation_keys import DAYS, DEFAULT_VALUES, Usage
from attribution.models import AllocationKey
from attribution.tag_names import name_of
from attribution.views.governance import tabs
from attribution.views.governance_forms import KeyForm, LimitForm
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError, NotFound

_LIST = "attribution:governance-keys"


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def key_list(request: PersonRequest) -> HttpResponse:
    """The keys that calls are allocated by, those that were dropped, and a form to declare one."""
    principal = principal_of_person(request.user)
    may_edit, sees_all = principal.may(Capability.EDIT_OWNERSHIP), principal.visible_teams is None
    if request.method == "POST" and not may_edit:
        raise PermissionDenied(principal.refusal(Capability.EDIT_OWNERSHIP))
    form = KeyForm(
        request.POST if request.method == "POST" else None, initial={"most_values": DEFAULT_VALUES}
    )
    if form.is_bound and form.is_valid():
        told = form.cleaned_data
        try:
            made = allocation_keys.declare(
                told["key"], actor=request.user.email, most_values=told["most_values"]
            )
            messages.success(request, f"Calls that arrive from now on carry {name_of(made.key)}.")
            return HttpResponseRedirect(reverse(_LIST))
        except FinopsError as error:
            form.refuse(error)
    used = allocation_keys.usage() if sees_all else {}
    rows = [(row, name_of(row.key), used.get(row.key, Usage())) for row in AllocationKey.objects.all()]
    context = {
        "tabs": tabs(_LIST),
        "form": form,
        "lines": [line for line in rows if line[0].dropped_at is None],
        "dropped": [line for line in rows if line[0].dropped_at is not None],
        "overflows": allocation_keys.overflows() if sees_all else [],
        "sees_all": sees_all,
        "days": DAYS,
        "may_edit": may_edit,
    }
    status = 422 if form.errors else 200
    return render(request, "attribution/governance_keys.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def key_entry(request: PersonRequest, key: str) -> HttpResponse:
    """How many values of a key are kept; and its end."""
    principal = principal_of_person(request.user)
    if not principal.may(Capability.EDIT_OWNERSHIP):
        raise PermissionDenied(principal.refusal(Capability.EDIT_OWNERSHIP))
    try:
        row = allocation_keys.declared_key(key)
    except NotFound as error:
        raise Http404(error.detail) from error
    is_sent = request.method == "POST"
    form = LimitForm(request.POST if is_sent else None, initial={"most_values": row.most_values})
    if is_sent and ("drop" in request.POST or form.is_valid()) and _changed(request, row, form):
        return HttpResponseRedirect(reverse(_LIST))
    context = {
        "form": form,
        "key": row,
        "name": name_of(key),
        "may_audit": principal.may(Capability.VIEW_AUDIT),
    }
    return render(
        request, "attribution/governance_key.html", context, status=422 if is_sent and form.errors else 200
    )


def _changed(request: PersonRequest, row: AllocationKey, form: LimitForm) -> bool:
    actor, name = request.user.email, name_of(row.key)
    try:
        if "drop" in request.POST:
            allocation_keys.drop(row.key, actor=actor)
            messages.success(request, f"Calls that arrive from now on do not carry {name}.")
        else:
            most = form.cleaned_data["most_values"]
            allocation_keys.limit(row.key, most, actor=actor)
            messages.success(request, f"Up to {most} values of {name} are kept for each source.")
    except FinopsError as error:
        form.full_clean()
        form.refuse(error)
        return False
    return True
