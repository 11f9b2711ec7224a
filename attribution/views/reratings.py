"""Re-ratings: what correcting a price would change, by owner and day, and the decision on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from attribution import reratings
from attribution.models import Rerating, ReratingStatus
from attribution.rerating_lines import Effect, effects
from finops.accounts.forms import OurForm
from finops.accounts.models import User
from finops.accounts.permissions import Capability, Principal, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError, NotFound
from finops.ui.exports import Column, Export, Format, Kind, respond
from finops.ui.screens import sign_in
from pricing.models import BookVersion, VersionStatus
from pricing.views.book import tabs

ON_A_PAGE = 30
MOST_ROWS = 200
_OPEN = (VersionStatus.DRAFT, VersionStatus.REVIEWED)
_OWNERS = ("team", "feature")


class VersionForm(OurForm):
    """Which version to look at."""

    version = forms.TypedChoiceField(coerce=int, label="Version of the price book")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        field = self.fields["version"]
        assert isinstance(field, forms.ChoiceField)
        found = BookVersion.objects.filter(status__in=_OPEN).order_by("-pk")
        field.choices = [
            (version.pk, f"{version} ({version.get_status_display().lower()})") for version in found
        ]


class ApproveForm(OurForm):
    """A confirmation that nobody gives in passing: the version's number, typed."""

    number = forms.CharField(max_length=20, label="Version number")

    def __init__(self, *args: Any, version: int, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        self.version = version
        self.fields["number"].help_text = f"Type {version} to approve."
        self.fields["number"].widget.attrs |= {"autocomplete": "off", "inputmode": "numeric"}

    def clean_number(self) -> str:
        number = str(self.cleaned_data["number"]).strip()
        if number != str(self.version):
            raise forms.ValidationError(f"This is version {self.version}: type its number.")
        return number


class DiscardForm(OurForm):
    """Why not."""

    reason = forms.CharField(required=False, max_length=reratings.LONGEST_REASON, label="Reason")


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def rerating_list(request: PersonRequest) -> HttpResponse:
    """What was shown and decided, newest first; and, for whoever may, the next version to look at."""
    principal = _reader(request.user)
    may_edit = principal.may(Capability.EDIT_PRICES)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
    form = VersionForm(
        request.POST if request.method == "POST" else None, initial={"version": request.GET.get("version")}
    )
    if form.is_bound and form.is_valid():
        try:
            version = BookVersion.objects.get(pk=form.cleaned_data["version"])
            return HttpResponseRedirect(_url(reratings.preview(version, by=request.user.email)))
        except FinopsError as error:
            form.refuse(error)
    page = Paginator(Rerating.objects.select_related("version"), ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "tabs": tabs(
            "attribution:reratings", sees_contracted=principal.may(Capability.VIEW_CONTRACTED_PRICES)
        ),
        "form": form if may_edit else None,
        "has_versions": BookVersion.objects.filter(status__in=_OPEN).exists(),
        "page": page,
        "total": page.paginator.count,
        "waiting": Rerating.objects.filter(status=ReratingStatus.PREVIEWED).count(),
    }
    return render(request, "attribution/reratings.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def rerating(request: PersonRequest, number: int) -> HttpResponse:
    """One re-rating: totals, by team, then feature and day; approved, discarded or shown anew from here."""
    principal = _reader(request.user)
    chosen = _found(number)
    may_edit = principal.may(Capability.EDIT_PRICES)
    approving = ApproveForm(version=chosen.version_id)
    discarding = DiscardForm()
    problem = ""
    if request.method == "POST":
        if not may_edit:
            raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
        if "approve" in request.POST:
            approving = ApproveForm(request.POST, version=chosen.version_id)
        elif "discard" in request.POST:
            discarding = DiscardForm(request.POST)
        try:
            if answer := _decided(request, chosen, approving, discarding):
                return HttpResponseRedirect(answer)
        except FinopsError as error:
            problem = error.detail
            chosen = _found(number)
    context = {
        **_shown(request, chosen),
        "chosen": chosen,
        "may_edit": may_edit,
        "may_audit": principal.may(Capability.VIEW_AUDIT),
        "is_waiting": chosen.status == ReratingStatus.PREVIEWED,
        "is_stale": chosen.status == ReratingStatus.STALE,
        "may_be_shown_anew": may_edit and chosen.version.status in _OPEN,
        "is_publishable": chosen.version.status == VersionStatus.REVIEWED,
        "approving": approving,
        "discarding": discarding,
        "problem": problem,
    }
    status = 409 if problem else 422 if approving.errors or discarding.errors else 200
    return render(request, "attribution/rerating.html", context, status=status)


@require_safe
def rerating_export(request: HttpRequest, number: int, wanted: str) -> HttpResponseBase:
    """All lines of a re-rating as a file."""
    if not isinstance(request.user, User):
        return sign_in(request)
    _reader(request.user)
    chosen = _found(number)
    if wanted not in set(Format):
        raise Http404
    by = ("day", *_OWNERS, "provider", "model")
    found = effects(chosen, by, by_day=True)
    export = Export(
        name=f"rerating-{chosen.pk}",
        columns=[
            Column("Day", Kind.DAY), Column("Team"), Column("Feature"), Column("Provider"), Column("Model"),
            Column("Calls", Kind.COUNT), Column("Newly priced", Kind.COUNT),
            Column("Newly unpriced", Kind.COUNT), Column("Before", Kind.MONEY),
            Column("After", Kind.MONEY), Column("Difference", Kind.MONEY),
        ],
        rows=(
            [
                *one.key, one.calls, one.newly_priced, one.newly_unpriced,
                one.before, one.after, one.difference,
            ]
            for one in found
        ),
        total=[
            None, None, None, None, None, chosen.calls, chosen.newly_priced, chosen.newly_unpriced,
            chosen.before, chosen.after, chosen.difference,
        ],
        about=[
            ("Version", str(chosen.version)),
            ("State", chosen.get_status_display()),
            ("Shown", chosen.made_at),
            ("Currency", "USD"),
        ],
    )  # fmt: skip
    return respond(export, Format(wanted))


def _reader(person: User) -> Principal:
    """The effect is on everybody: not for those who see some teams only."""
    principal = principal_of_person(person)
    if principal.visible_teams is not None:
        raise PermissionDenied("Re-ratings are for those who see all teams.")
    return principal


def _found(number: int) -> Rerating:
    try:
        return reratings.rerating_of(number)
    except NotFound as error:
        raise Http404(error.detail) from error


def _decided(
    request: PersonRequest, chosen: Rerating, approving: ApproveForm, discarding: DiscardForm
) -> str | None:
    """Do what was asked for; where to go then, None where something has to be said first."""
    by = request.user.email
    if approving.is_bound:
        if not approving.is_valid():
            return None
        reratings.approve(chosen, by)
        messages.success(request, "Published and posted: every report has the new prices.")
        return _url(chosen)
    if discarding.is_bound:
        if not discarding.is_valid():
            return None
        reratings.discard(chosen, by, discarding.cleaned_data["reason"])
        messages.success(request, "Discarded. The version stays as it is.")
        return _url(chosen)
    return _url(reratings.preview(chosen.version, by=by))


def _shown(request: HttpRequest, chosen: Rerating) -> dict[str, Any]:  # Any: a template context
    """The tables that the URL asks for: all, a team's, or a feature's of a team."""
    told = {name: request.GET[name] or None for name in _OWNERS if name in request.GET}
    only = Q(**{name if value else f"{name}__isnull": value or True for name, value in told.items()})
    by_owner = effects(chosen, [_OWNERS[min(len(told), 1)]], only=only)
    return {
        "told": told,
        "owner": "Feature" if told else "Team",
        "owners": [(effect, _link(told, effect)) for effect in by_owner[:MOST_ROWS]],
        "owners_left_out": max(0, len(by_owner) - MOST_ROWS),
        "models": effects(chosen, ["provider", "model"], only=only)[:MOST_ROWS],
        "days": effects(chosen, ["day"], only=only, by_day=True),
        "scope": _total(by_owner),
    }


def _link(told: dict[str, str | None], effect: Effect) -> str:
    """One step further in; '' where there is none."""
    if "feature" in told:
        return ""
    name = "feature" if "team" in told else "team"
    return "?" + urlencode({**{key: value or "" for key, value in told.items()}, name: effect.key[0] or ""})


def _total(found: Sequence[Effect]) -> Effect | None:
    if not found:
        return None
    sums = [
        sum(getattr(effect, name) for effect in found)
        for name in ("calls", "newly_priced", "newly_unpriced", "before", "after")
    ]
    return Effect((), *sums)


def _url(chosen: Rerating) -> str:
    return reverse("attribution:rerating", args=[chosen.pk])
