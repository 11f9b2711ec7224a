"""Contracts of sources: all of them with how they are kept, and one to change."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from attribution import contracts
from attribution.charging.placing import SOURCES
from attribution.contract_counts import DAYS, lapses, refusals
from attribution.models import DimensionSet, SourceContract
from attribution.views.governance import tabs
from attribution.views.governance_forms import ContractForm
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError


@require_safe
@for_people(Capability.VIEW_COSTS)
def contract_list(request: PersonRequest) -> HttpResponse:
    """What sources must say, and how they keep to it."""
    principal = principal_of_person(request.user)
    sees_all = principal.visible_teams is None
    found = lapses() if sees_all else []
    known = list(SourceContract.objects.all())
    # What no call causes has sources of its own, which keep to nothing.
    said = DimensionSet.objects.exclude(source__in=SOURCES.values())
    sources = said.values_list("source", flat=True).distinct().order_by("source")
    without = sorted(set(sources) - {one.source for one in known}) if sees_all else []
    context = {
        "tabs": tabs("attribution:governance-contracts"),
        "lines": [
            {"contract": one, "lapses": [lapse for lapse in found if lapse.source == one.source]}
            for one in known
        ],
        "without": [(source, entry_url(source)) for source in without],
        "refusals": refusals() if sees_all else [],
        "sees_all": sees_all,
        "days": DAYS,
        "may_edit": principal.may(Capability.EDIT_OWNERSHIP),
    }
    return render(request, "attribution/governance_contracts.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def contract_entry(request: PersonRequest) -> HttpResponse:
    """The contract of ``?source=``, or a new one."""
    principal = principal_of_person(request.user)
    may_edit = principal.may(Capability.EDIT_OWNERSHIP)
    if not may_edit:
        raise PermissionDenied(principal.refusal(Capability.EDIT_OWNERSHIP))
    source = request.GET.get("source", "")
    known = SourceContract.objects.filter(source=source).first()
    if request.method == "POST" and known and "drop" in request.POST:
        contracts.drop(source, actor=request.user.email)
        messages.success(request, f"Anything goes for {source} again.")
        return HttpResponseRedirect(reverse("attribution:governance-contracts"))
    initial = ContractForm.initial_of(known) if known else {"source": source, "mode": "count"}
    form = ContractForm(request.POST if request.method == "POST" else None, initial=initial)
    if known:
        form.fields["source"].disabled = True
    if form.is_bound and form.is_valid() and _put(form, request.user.email):
        messages.success(request, f"The contract of {form.cleaned_data['source']} was saved.")
        return HttpResponseRedirect(reverse("attribution:governance-contracts"))
    context = {"form": form, "contract": known, "source": source}
    status = 422 if form.errors else 200
    return render(request, "attribution/governance_contract.html", context, status=status)


def entry_url(source: str) -> str:
    """Where the contract of a source is set up."""
    return f"{reverse('attribution:governance-contract')}?{urlencode({'source': source})}"


def _put(form: ContractForm, actor: str) -> bool:
    told = form.cleaned_data
    try:
        contracts.put(
            told["source"],
            actor=actor,
            mode=told["mode"],
            required=told["required_keys"],
            allowed=told["allowed"],
            aliases=told["aliases"],
            teams=told["teams"],
            owner=told["owner"],
            account=told["account"],
        )
    except FinopsError as error:
        form.refuse(error)
        return False
    return True
