"""Provider keys: whose a provider's keys and projects are, so that what it reports of them may be booked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from attribution.ingest.rules import SLUG
from attribution.models import ProviderMapping, Team
from attribution.pullers import mappings
from attribution.pullers.mappings import NAMES, Mapped
from attribution.pullers.providers import PROVIDERS, provider_of
from attribution.pullers.status import Unmapped, unmapped
from finops.accounts.forms import OurForm
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError, NotFound

_BETWEEN = re.compile(r"[\s,]+")
_FEW_LINES = {"rows": 2, "spellcheck": "false"}


class Listed(forms.CharField):
    """Ids or names, one a line or with commas between them."""

    widget = forms.Textarea

    def __init__(self, **said: Any) -> None:  # Any: Django's arguments
        super().__init__(required=False, widget=forms.Textarea(attrs=_FEW_LINES), **said)

    def clean(self, value: Any) -> list[str]:  # Any: as Django types it
        """Each once, in the order in which they were written."""
        return list(dict.fromkeys(part for part in _BETWEEN.split(super().clean(value) or "") if part))


class MappingForm(OurForm):
    """One mapping. Saved under the name of another, it takes that one's place."""

    provider = forms.ChoiceField(choices=[(name, provider_of(name).title) for name in PROVIDERS])
    name = forms.CharField(max_length=mappings.LONGEST, help_text="How you call these keys.")
    api_keys = Listed(label="Keys", help_text="Ids as the provider reports them, never the keys. One a line.")
    projects = Listed(
        label="Projects or workspaces", help_text="All their keys that no other mapping names. By id."
    )
    sources = Listed(
        label="Told of by", help_text="Every source that calls with these keys: what it told is taken off."
    )
    no_source = forms.BooleanField(required=False, label="No client tells of these calls")
    team = forms.ChoiceField(required=False)
    feature = forms.CharField(required=False, max_length=mappings.LONGEST)
    tier = forms.CharField(required=False, max_length=mappings.LONGEST)
    environment = forms.CharField(required=False, max_length=mappings.LONGEST)
    book_from = forms.DateField(
        label="Booked from",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="The first UTC day. Days that are booked already stay.",
    )

    def __init__(self, *args: Any, **said: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **said)
        choices = [(slug, slug) for slug in Team.objects.order_by("slug").values_list("slug", flat=True)]
        self.fields["team"].choices = [("", "By rules, or nobody's"), *choices]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:  # Any: the cleaned values
        """Whether clients tell of these calls has to be said, for it decides what is booked."""
        told = super().clean() or {}
        if bool(told.get("sources")) == bool(told.get("no_source")):
            self.add_error("sources", "Name the sources, or tick that no client tells of these calls.")
        for name in ("feature", "tier", "environment"):
            if (value := told.get(name)) and not SLUG.fullmatch(value):
                self.add_error(name, "Letters, digits and - _ . : / @ + # only; no spaces.")
        return told

    @property
    def mapped(self) -> Mapped:
        told = self.cleaned_data
        return Mapped(
            provider=told["provider"],
            name=told["name"],
            api_keys=told["api_keys"],
            projects=told["projects"],
            sources=told["sources"],
            names={name: told[name] for name in NAMES if told[name]},
            book_from=told["book_from"],
        )


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def provider_keys(request: PersonRequest) -> HttpResponse:
    """The mappings, and the keys without one; ``?provider=&name=`` fills the form with one of them."""
    principal = principal_of_person(request.user)
    may_edit = principal.may(Capability.EDIT_OWNERSHIP)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied(principal.refusal(Capability.EDIT_OWNERSHIP))
    if "drop" in request.POST:
        return _drop(request)
    form = MappingForm(request.POST if request.method == "POST" else None, initial=_initial(request))
    if form.is_bound and form.is_valid() and _put(request, form):
        return HttpResponseRedirect(request.path)
    sees_all = principal.visible_teams is None
    context = {
        "form": form,
        "lines": [(one, provider_of(one.provider).title, _edit_url(one)) for one in mappings.active()],
        "unmapped": [
            (one, provider_of(one.provider).title, _map_url(one)) for one in (unmapped() if sees_all else ())
        ],
        "may_edit": may_edit,
        "may_audit": principal.may(Capability.VIEW_AUDIT),
        "unasked": [one.title for one in map(provider_of, PROVIDERS) if not one.is_configured],
    }
    return render(request, "attribution/provider_keys.html", context, status=422 if form.errors else 200)


def _initial(request: PersonRequest) -> dict[str, Any]:
    given = request.GET
    asked = {"provider": given.get("provider", ""), "name": given.get("name", "")}
    known = next((one for one in mappings.active() if asked == _key(one)), None)
    if known is None:
        listed = {"api_keys": given.get("api_key", ""), "projects": given.get("project", "")}
        return {**asked, **listed, "book_from": datetime.now(UTC).date()}
    return {
        **asked,
        **known.names,
        **{name: "\n".join(getattr(known, name)) for name in ("api_keys", "projects", "sources")},
        "no_source": not known.sources,
        "book_from": known.book_from,
    }


def _key(one: ProviderMapping) -> dict[str, str]:
    return {"provider": one.provider, "name": one.name}


def _edit_url(one: ProviderMapping) -> str:
    return f"?{urlencode(_key(one))}#mapping"


def _map_url(one: Unmapped) -> str:
    keyed = {"api_key": one.api_key} if one.api_key else {"project": one.project}
    return f"?{urlencode({'provider': one.provider, **keyed})}#mapping"


def _put(request: PersonRequest, form: MappingForm) -> bool:
    try:
        made = mappings.put(form.mapped, actor=request.user.email)
    except FinopsError as error:
        form.refuse(error)
        return False
    messages.success(request, f"{made.name}: what nobody told of is booked from {made.book_from} on.")
    return True


def _drop(request: PersonRequest) -> HttpResponse:
    provider, _, name = request.POST["drop"].partition(" ")
    try:
        mappings.drop(provider, name, actor=request.user.email)
    except NotFound as error:
        raise Http404(error.detail) from error
    messages.success(request, f"{name}: nothing more is booked. What is booked stays.")
    return HttpResponseRedirect(reverse("attribution:provider-keys"))
