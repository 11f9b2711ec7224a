"""Imports of prices: a sheet or the library becomes a draft, whose page is the preview."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from finops.accounts.forms import OurForm
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError
from pricing import imports, library
from pricing.drafts import NothingChanged
from pricing.models import BookVersion, Price
from pricing.sheets import COLUMNS, MOST_BYTES
from pricing.views.book import tabs


def _tomorrow() -> date:
    return timezone.now().astimezone(UTC).date() + timedelta(days=1)


def _day(**said: Any) -> forms.DateField:  # Any: Django's arguments
    return forms.DateField(
        initial=_tomorrow,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        label="Apply from (UTC)",
        **said,
    )


class SheetForm(OurForm):
    """A sheet, and what becomes of what it does not say."""

    file = forms.FileField(label="CSV or JSON sheet")
    apply_from = _day(help_text="For prices that the sheet does not date.")
    is_complete = forms.BooleanField(
        required=False,
        label="The sheet is complete",
        help_text="Prices of its providers that it does not list end on that day.",
    )

    def refuse(self, error: FinopsError) -> None:
        """What is wrong is wrong with the file, wherever in it."""
        for problem in error.problems:
            place = "" if problem.field == "file" else f"{problem.field}: "
            self.add_error("file", f"{place}{problem.message}")
        if not error.problems:
            self.add_error(None, error.detail)


class LibraryForm(OurForm):
    """Which part of the library, and what it may replace."""

    apply_from = _day()
    providers = forms.MultipleChoiceField(
        required=False, help_text="All that the book knows, if none is chosen."
    )
    replaces_first_hand = forms.BooleanField(
        required=False,
        label="Propose to replace first-hand prices as well",
        help_text="What rests on a provider's own page, a bill or somebody here; each is a conflict then.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, prefix="library", **kwargs)
        known = Price.objects.known().order_by("provider").values_list("provider", flat=True).distinct()
        field = self.fields["providers"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(name, name) for name in known]


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def import_prices(request: PersonRequest) -> HttpResponse:
    """Two ways to a draft. Nothing is in force before somebody reviews and publishes it."""
    principal = principal_of_person(request.user)
    may_edit = principal.may(Capability.EDIT_PRICES)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
    is_library = request.method == "POST" and "library" in request.POST
    is_sheet = request.method == "POST" and not is_library
    sheet = SheetForm(request.POST, request.FILES) if is_sheet else SheetForm()
    listed = LibraryForm(request.POST) if is_library else LibraryForm()
    made = _from_library(request, listed) if is_library else _from_sheet(request, sheet) if is_sheet else None
    if made is not None:
        messages.success(request, "A draft was made. This is what it would change; nothing is in force yet.")
        return HttpResponseRedirect(reverse("pricing:version", args=[made.pk]))
    context = {
        "tabs": tabs("pricing:import", sees_contracted=principal.may(Capability.VIEW_CONTRACTED_PRICES)),
        "sheet": sheet,
        "listed": listed,
        "library": library.name(),
        "package": library.PACKAGE,
        "columns": COLUMNS,
        "most_bytes": MOST_BYTES,
        "may_edit": may_edit,
    }
    status = 422 if sheet.errors or listed.errors else 200
    return render(request, "pricing/import.html", context, status=status)


def _from_sheet(request: PersonRequest, form: SheetForm) -> BookVersion | None:
    if not form.is_valid():
        return None
    told, file = form.cleaned_data, form.cleaned_data["file"]
    try:
        return imports.import_sheet(
            file.read(MOST_BYTES + 1),
            name=file.name,
            by=request.user.email,
            apply_from=_start(told["apply_from"]),
            is_json=file.name.lower().endswith(".json"),
            is_complete=told["is_complete"],
        )
    except NothingChanged as nothing:
        messages.info(request, nothing.detail)
    except FinopsError as error:
        form.refuse(error)
    return None


def _from_library(request: PersonRequest, form: LibraryForm) -> BookVersion | None:
    if not form.is_valid():
        return None
    told = form.cleaned_data
    try:
        return imports.import_library(
            by=request.user.email,
            apply_from=_start(told["apply_from"]),
            providers=told["providers"],
            keeps_first_hand=not told["replaces_first_hand"],
        )
    except NothingChanged as nothing:
        messages.info(request, nothing.detail)
    except FinopsError as error:
        form.refuse(error)
    return None


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
