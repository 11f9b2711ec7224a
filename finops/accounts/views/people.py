"""Who may enter, with which role and for which teams; for administrators."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from finops.accounts.forms import NewPersonForm, PersonForm
from finops.accounts.models import ApiKey, Role, User
from finops.accounts.people import add_person, change_person, note_password_link, password_link
from finops.accounts.permissions import Capability
from finops.accounts.screens import PersonRequest, for_people
from finops.accounts.teams import team_slugs
from finops.core.errors import FinopsError

administrators = for_people(Capability.MANAGE_PEOPLE)


@require_safe
@administrators
def people(request: PersonRequest) -> HttpResponse:
    """Who may enter, and as what?"""
    context = {"people": _people(), "alone": User.objects.count() == 1}
    return render(request, "accounts/people.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@administrators
def add(request: PersonRequest) -> HttpResponse:
    """Add somebody; the answer shows, once, the link with which they set their password."""
    form = NewPersonForm(_sent(request), teams=team_slugs(), initial={"role": Role.VIEWER})
    if request.method == "POST" and form.is_valid():
        try:
            person = add_person(actor=request.user.email, **form.cleaned_data)
        except FinopsError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{person.email} was added.")
            return _show_link(request, person)
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/person_add.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators
def edit(request: PersonRequest, person_id: int) -> HttpResponse:
    """Change somebody's role, teams or name."""
    person = get_object_or_404(User, pk=person_id)
    teams = sorted({*team_slugs(), *person.team_slugs})
    initial = {"name": person.name, "role": person.role, "teams": sorted(person.team_slugs)}
    form = PersonForm(_sent(request), teams=teams, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            change_person(person.pk, actor=request.user.email, **form.cleaned_data)
        except FinopsError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{person.email} was changed.")
            return redirect("accounts:people")
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "person": person, "myself": person == request.user}
    return render(request, "accounts/person.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators
def deactivate(request: PersonRequest, person_id: int) -> HttpResponse:
    """Shut somebody out, once they confirm; what they did stays in the audit log."""
    person = get_object_or_404(User, pk=person_id, is_active=True)
    problem = "You cannot deactivate yourself: ask another administrator." if person == request.user else ""
    if request.method == "POST" and not problem:
        try:
            change_person(person.pk, actor=request.user.email, active=False)
        except FinopsError as error:
            problem = error.detail
        else:
            messages.success(request, f"{person.email} may not enter any more.")
            return redirect("accounts:people")
    keys = ApiKey.objects.active().filter(created_by=person)
    context = {"person": person, "keys": keys, "problem": problem}
    return render(request, "accounts/person_deactivate.html", context, status=422 if problem else 200)


@require_POST
@administrators
def activate(request: PersonRequest, person_id: int) -> HttpResponse:
    """Let somebody in again, as who they were."""
    person = get_object_or_404(User, pk=person_id)
    change_person(person.pk, actor=request.user.email, active=True)
    messages.success(request, f"{person.email} may enter again.")
    return redirect("accounts:people")


@never_cache
@require_POST
@administrators
def link(request: PersonRequest, person_id: int) -> HttpResponse:
    """A link with which somebody sets a new password; shown once, to be passed on."""
    return _show_link(request, get_object_or_404(User, pk=person_id, is_active=True))


def _show_link(request: PersonRequest, person: User) -> HttpResponse:
    note_password_link(person, actor=request.user.email)
    context = {"person": person, "link": request.build_absolute_uri(password_link(person))}
    return render(request, "accounts/person_link.html", context)


def _sent(request: PersonRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _people() -> QuerySet[User]:
    return User.objects.prefetch_related("memberships").order_by("-is_active", "email")
