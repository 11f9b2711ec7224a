"""An agreement entered by hand, corrected or ended: it goes into a draft like a price."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from finops.accounts.forms import OurForm
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError
from pricing.agreeing import enter_agreement
from pricing.agreement_bodies import read_agreement
from pricing.ambiguity import refuse_ambiguous
from pricing.catalogue import book_as_if
from pricing.ending import end_agreement, withdraw_agreement
from pricing.models import Agreement, BookVersion, UnitMeter
from pricing.views.agreed import show
from pricing.views.agreement_forms import MOST_ROWS, EntryForm
from pricing.views.book import tabs
from pricing.views.shown import TOKENS


class EndForm(OurForm):
    """When an agreement ends, or that it never was one."""

    ends_on = forms.DateField(
        required=False,
        label="First day without it",
        help_text="From its first instant in UTC on, list prices hold, or another agreement.",
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )
    withdraw = forms.BooleanField(required=False, label="It never held: take all of it back")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "ends_on" in cleaned and bool(cleaned["ends_on"]) == cleaned["withdraw"]:
            self.add_error("ends_on", "Give a day, or take all of it back.")
        return cleaned

    def end(self, agreement: Agreement, *, by: str) -> BookVersion | None:
        """The draft that ends it; None, with the problem at its field, where it cannot be ended so."""
        try:
            if self.cleaned_data["withdraw"]:
                return withdraw_agreement(agreement, by=by)
            at = datetime.combine(self.cleaned_data["ends_on"], time(), UTC)
            return end_agreement(agreement, at, by=by)
        except FinopsError as error:
            self.refuse(error)
            return None


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_CONTRACTED_PRICES)
def enter_agreement_by_hand(request: PersonRequest) -> HttpResponse:
    """An empty form, or one filled in from ``?agreement=``, which it then replaces."""
    principal = principal_of_person(request.user)
    if not principal.may(Capability.EDIT_PRICES):
        raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
    replaced = _replaced(request.GET.get("agreement", ""))
    if request.method != "POST":
        empty = EntryForm(None, {"provider": request.GET.get("provider", "")})
        return _page(request, EntryForm.of(show(replaced, timezone.now())) if replaced else empty, replaced)
    if "add" in request.POST:
        return _page(request, EntryForm.with_another_row(request.POST), replaced)
    entry = EntryForm(request.POST, {})
    if made := _enter(entry, replaced, request.user.email):
        messages.success(request, "It is in the draft. Nothing is in force yet.")
        return HttpResponseRedirect(reverse("pricing:version", args=[made.pk]))
    return _page(request, entry, replaced)


def _replaced(number: str) -> Agreement | None:
    found: QuerySet[Agreement] = (
        Agreement.objects.known().filter(pk=number) if number.isdecimal() else Agreement.objects.none()
    )
    return found.select_related("version").prefetch_related("bands__rates").first()


def _enter(entry: EntryForm, replaced: Agreement | None, by: str) -> BookVersion | None:
    """The draft that it is in now; None, with each problem at its field, where it is refused."""
    body = entry.body()
    if body is None:
        return None
    terms, problems = read_agreement(body)
    if terms is None:
        entry.refuse(problems)
        return None
    try:
        with transaction.atomic():
            replaces = [replaced.pk] if replaced else []
            version = enter_agreement(terms, by=by, version=entry.form.version, replaces=replaces).version
            refuse_ambiguous(book_as_if(version))
    except FinopsError as error:
        entry.form.refuse(error)
        return None
    return version


def _page(request: PersonRequest, entry: EntryForm, replaced: Agreement | None) -> HttpResponse:
    context = {
        "tabs": tabs("pricing:agreements"),
        "title": f"Correct {replaced.name}" if replaced else "Enter an agreement",
        "replaces": replaced,
        "entry": entry,
        "meters": [*sorted(TOKENS), *UnitMeter.objects.order_by("name").values_list("name", flat=True)],
        "most_rows": MOST_ROWS,
    }
    return render(request, "pricing/agreement_enter.html", context, status=422 if entry.has_errors else 200)
