"""One's own page: name, appearance, keyboard."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from finops.accounts.forms import ProfileForm
from finops.accounts.people import change_profile
from finops.accounts.permissions import ROLE_SCOPES, principal_of_person
from finops.accounts.screens import PersonRequest, for_people


@require_http_methods(["GET", "HEAD", "POST"])
@for_people()
def profile(request: PersonRequest) -> HttpResponse:
    """Who am I here, and how do I want it to look?"""
    status = 200
    form = ProfileForm.of(request.user)
    if request.method == "POST":
        form = ProfileForm(request.POST)
        if form.is_valid():
            change_profile(request.user, **form.cleaned_data)
            messages.success(request, "Your profile was saved.")
            return redirect("accounts:profile")
        status = 422
    person = principal_of_person(request.user)
    teams = None if person.visible_teams is None else sorted(person.visible_teams)
    context = {"form": form, "teams": teams, "scopes": sorted(ROLE_SCOPES[request.user.role])}
    return render(request, "accounts/profile.html", context, status=status)
