"""Rates of exchange on screen: a table by month, one rate to book, or several pasted as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from finops.accounts.forms import OurForm
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError
from finops.core.money import as_text
from finops.core.periods import local_day
from pricing import fx
from pricing.models import FxRate
from pricing.rate_bodies import COLUMNS, book_all, csv_bodies, read_rates
from pricing.views.book import tabs

MONTHS_ON_A_PAGE = 24
MOST_REPLACED = 20


@dataclass(frozen=True, slots=True)
class _Cell:
    """A booked rate as the table shows it."""

    booked: FxRate

    @property
    def text(self) -> str:
        return as_text(self.booked.rate)


class RateForm(OurForm):
    """The rate of one month."""

    currency = forms.CharField(max_length=3, help_text="A code of three letters, such as EUR.")
    month = forms.CharField(max_length=7, widget=forms.TextInput({"type": "month", "placeholder": "2026-10"}))
    rate = forms.CharField(
        max_length=25,
        widget=forms.TextInput({"inputmode": "decimal"}),
        help_text="Units of the currency for one dollar, such as 0.92.",
    )
    source = forms.CharField(max_length=fx.LONGEST_SOURCE, required=False, help_text="Such as ECB average.")

    def said(self) -> tuple[list[dict[str, Any]], list[str]]:  # Any: what was typed
        return [dict(self.cleaned_data)], [""]


class PasteForm(OurForm):
    """Several rates, a line each."""

    csv = forms.CharField(
        label="Lines",
        max_length=200_000,
        widget=forms.Textarea({"rows": 6, "spellcheck": "false"}),
        help_text=f"{','.join(COLUMNS)}: such as EUR,2026-10,0.92,ECB. All of them are booked, or none.",
    )

    def said(self) -> tuple[list[dict[str, str]], list[str]]:
        return csv_bodies(self.cleaned_data["csv"])

    def refuse(self, error: FinopsError) -> None:
        """What is wrong is wrong with the lines, wherever in them."""
        for problem in error.problems:
            place = "" if problem.field == "csv" else f"{problem.field.replace('.', ', ')}: "
            self.add_error("csv", f"{place}{problem.message}")
        if not error.problems:
            self.add_error("csv", error.detail)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def fx_rates(request: PersonRequest) -> HttpResponse:
    """Every booked month, the latest first, a column a currency; past months are locked. Six queries."""
    principal = principal_of_person(request.user)
    may_edit = principal.may(Capability.EDIT_PRICES)
    is_post = request.method == "POST"
    if is_post and not may_edit:
        raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
    is_paste = is_post and "paste" in request.POST
    one = RateForm(request.POST if is_post and not is_paste else None, initial=_next(request))
    many = PasteForm(request.POST if is_paste else None)
    form = many if is_paste else one
    if form.is_bound and form.is_valid() and _book(request, form):
        return HttpResponseRedirect(request.get_full_path())
    return _page(request, one, many, may_edit=may_edit)


def _page(request: PersonRequest, one: RateForm, many: PasteForm, *, may_edit: bool) -> HttpResponse:
    principal, currency = principal_of_person(request.user), request.GET.get("currency", "").upper()
    replaced = FxRate.objects.filter(known_to__isnull=False)
    known = FxRate.objects.known()
    currencies = sorted(set(known.values_list("currency", flat=True)))
    shown = [currency] if currency in currencies else currencies
    months = known.filter(currency__in=shown).order_by("-month").values_list("month", flat=True).distinct()
    page = Paginator(months, MONTHS_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "tabs": tabs("pricing:fx-rates", sees_contracted=principal.may(Capability.VIEW_CONTRACTED_PRICES)),
        "one": one,
        "many": many,
        "currencies": currencies,
        "shown": shown,
        "currency": currency if currency in currencies else "",
        "page": page,
        "lines": _lines(known, shown, list(page.object_list), timezone.now()),
        "replaced": [_Cell(rate) for rate in replaced.order_by("-known_to")[:MOST_REPLACED]],
        "zone": settings.REPORTING_TIME_ZONE,
        "may_edit": may_edit,
    }
    return render(request, "pricing/fx_rates.html", context, status=422 if one.errors or many.errors else 200)


def _book(request: PersonRequest, form: RateForm | PasteForm) -> bool:
    try:
        bodies, places = form.said()
        done = book_all(read_rates(bodies, places), places, by=request.user.email)
    except FinopsError as error:
        form.refuse(error)
        return False
    changed = [rate for rate, is_new in done if is_new]
    if not changed:
        messages.info(request, "All of it was booked like that already.")
    elif len(changed) == 1:
        messages.success(request, f"The rate of {changed[0]} is booked.")
    else:
        messages.success(request, f"{len(changed)} rates are booked.")
    return True


def _lines(
    known: QuerySet[FxRate], currencies: Sequence[str], months: Sequence[date], now: datetime
) -> list[tuple[date, bool, list[_Cell | None]]]:
    """Per month: whether it is over, and its rate in each currency."""
    found = {
        (rate.month, rate.currency): _Cell(rate)
        for rate in known.filter(month__in=months, currency__in=currencies)
    }
    return [
        (month, fx.is_past(month, now), [found.get((month, currency)) for currency in currencies])
        for month in months
    ]


def _next(request: PersonRequest) -> dict[str, str]:
    today = local_day(timezone.now(), settings.REPORTING_TIME_ZONE)
    return {"month": f"{today:%Y-%m}", "currency": request.GET.get("currency", "").upper()}
