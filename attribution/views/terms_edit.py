"""Commitments, credits and taxes: entered and corrected by form."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from attribution.api.terms import is_team
from attribution.views.terms_forms import TermForm
from attribution.views.terms_kinds import SCREENS, AnyTerm, Screen
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FieldProblem, FinopsError
from finops.core.money import as_text
from pricing import terms
from pricing.term_bodies import read_term
from pricing.views.book import tabs

# Where the form says otherwise than the API what is said of another field.
_SHOWN_AT = {"capacity_per_unit_hour": "capacity_per_hour", "hourly": "hourly_price"}


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_CONTRACTED_PRICES)
def enter(request: PersonRequest, plural: str) -> HttpResponse:
    """A new one."""
    return _answer(request, SCREENS[plural], None)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_CONTRACTED_PRICES)
def correct(request: PersonRequest, plural: str, number: int) -> HttpResponse:
    """The form as it was filled in; what is changed makes a further row."""
    screen = SCREENS[plural]
    before = screen.model.objects.filter(pk=number).first()
    if before is None:
        raise Http404
    return _answer(request, screen, before)


def _answer(request: PersonRequest, screen: Screen, before: AnyTerm | None) -> HttpResponse:
    principal = principal_of_person(request.user)
    if not principal.may(Capability.EDIT_PRICES):
        raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
    initial = screen.form.initial_of(before) if before else None
    form = screen.form(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound and form.is_valid() and (made := _save(form, screen, before, request.user.email)):
        messages.success(
            request, f"{made} is {'corrected' if before else 'entered'}. Costs follow in a moment."
        )
        return HttpResponseRedirect(screen.url_of(made))
    context: dict[str, Any] = {  # Any: a template context
        "tabs": tabs(screen.list_name),
        "screen": screen,
        "form": form,
        "before": before,
        "fx_rate": as_text(before.fx_rate) if before else "",
        "back": screen.url_of(before) if before else screen.list_url,
    }
    return render(request, "attribution/term_enter.html", context, status=422 if form.errors else 200)


def _save(form: TermForm, screen: Screen, before: AnyTerm | None, by: str) -> AnyTerm | None:
    try:
        term = read_term(screen.model, form.body())
        if before is None:
            return terms.enter(term, by=by, is_team=is_team)
        return terms.correct(before.pk, term, by=by, is_team=is_team)
    except FinopsError as error:
        problems = [
            FieldProblem(_SHOWN_AT.get(one.field, one.field), one.code, one.message) for one in error.problems
        ]
        form.refuse(FinopsError(error.detail, problems))
        return None
