"""One price entered by hand, or corrected: it goes into a draft like any other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FieldProblem, FinopsError
from finops.core.money import as_text
from pricing.conditions import each
from pricing.entering import enter
from pricing.imports import next_midnight
from pricing.models import BookVersion, ContextMode, Evidence, Price, PriceKind
from pricing.placing import Priced
from pricing.price_bodies import read_price
from pricing.sheets import TOKEN_COLUMNS, as_of_sheet, body_of
from pricing.views.book import tabs
from pricing.views.into_draft import DAY_HELP, IntoDraftForm, as_typed

_MILLION = 1_000_000
_OWN_FIELDS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
_CONDITIONS = ("service_tier", "processing", "speed", "region", "host")


class PriceForm(IntoDraftForm):
    """The cells of one row of a sheet."""

    provider = forms.CharField(max_length=64)
    model = forms.CharField(max_length=256, help_text="A name, or a pattern with * and ?.")
    kind = forms.ChoiceField(choices=PriceKind.choices)
    service_tier = forms.CharField(max_length=64, required=False, help_text="Empty: standard.")
    processing = forms.CharField(max_length=32, required=False, help_text="Empty: sync.")
    speed = forms.CharField(max_length=32, required=False, help_text="Empty: standard.")
    region = forms.CharField(max_length=64, required=False)
    host = forms.CharField(max_length=64, required=False)
    context = forms.CharField(
        max_length=20, required=False, label="Prompt size", help_text="Such as >200000 or >=200000 tokens."
    )
    mode = forms.ChoiceField(choices=ContextMode.choices, label="Above that size")
    schedule = forms.CharField(
        max_length=2_000,
        required=False,
        label="Hours of the day",
        help_text='JSON, UTC; empty: always. {"name": "peak", "windows": [["01:00", "04:00"]], "days": [0]}',
    )
    input = forms.CharField(
        max_length=40, required=False, help_text="Dollars per 1M tokens, as all of these."
    )
    cache_read = forms.CharField(max_length=40, required=False)
    cache_write = forms.CharField(max_length=40, required=False)
    cache_write_1h = forms.CharField(max_length=40, required=False, label="Cache write, 1 h")
    output = forms.CharField(max_length=40, required=False)
    reasoning = forms.CharField(max_length=40, required=False, help_text="Empty: as output.")
    units = forms.CharField(
        max_length=2_000,
        required=False,
        label="Other meters",
        help_text="name=price/per, blanks between: web_search_calls=10/1000 audio_input=32/1000000.",
    )
    effective_from = forms.CharField(max_length=40, required=False, label="From", help_text=DAY_HELP)
    effective_to = forms.CharField(max_length=40, required=False, label="To", help_text="Empty: open.")
    source = forms.CharField(max_length=2_000, required=False, help_text="Where it can be looked up.")
    evidence = forms.ChoiceField(choices=Evidence.choices, initial=Evidence.OWN)
    note = forms.CharField(max_length=2_000, required=False)

    def read(self) -> Priced | None:
        """The price; or its problems, each at its field."""
        cells = {
            name: value
            for name, value in self.cleaned_data.items()
            if isinstance(value, str) and name != "draft"
        }
        cells["from"], cells["to"] = cells.pop("effective_from"), cells.pop("effective_to")
        if not cells["context"]:
            del cells["mode"]
        body = body_of(cells, "row")
        priced, wrong = (None, body) if isinstance(body, list) else read_price(body, "row")
        for problem in wrong:
            self._show(as_of_sheet(problem, body))
        return priced

    def _show(self, problem: FieldProblem) -> None:
        name = problem.field.removeprefix("row").lstrip(",. ")
        name = {"from": "effective_from", "to": "effective_to", "rates": "input"}.get(name, name)
        self.add_error(name if name in self.fields else None, as_typed(problem))

    @staticmethod
    def initial_of(price: Price) -> dict[str, str]:
        """The form as a price of the book fills it in, to hold from the next day on."""
        rates = {rate.meter: rate for rate in price.rates.all()}
        told = {name: getattr(price, name) for name in ("provider", "model", "kind", "mode", *_CONDITIONS)}
        own = {
            name: as_text(each(rate) * _MILLION)
            for name, rate in rates.items()
            if name in _OWN_FIELDS and rate.minimum is None
        }
        others = [
            f"{name}={as_text(rate.unit_price)}/{rate.per}"
            + (f":{as_text(rate.minimum)}" if rate.minimum is not None else "")
            for name, rate in rates.items()
            if name not in own
        ]
        sign = ">=" if price.context_operator == "ge" else ">"
        context = f"{sign}{price.context_threshold}" if price.context_threshold else ""
        end = price.effective_to.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if price.effective_to else ""
        more = {
            "units": " ".join(others),
            "context": context,
            "schedule": json.dumps(price.schedule) if price.schedule else "",
            "effective_from": f"{next_midnight(timezone.now()):%Y-%m-%d}",
            "effective_to": end,
        }
        return {**told, **own, **more, "source": price.source, "note": price.note}


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def enter_price(request: PersonRequest) -> HttpResponse:
    """An empty form, or one filled in from ``?price=``; what it says goes into a draft."""
    principal = principal_of_person(request.user)
    if not principal.may(Capability.EDIT_PRICES):
        raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
    form = PriceForm(request.POST) if request.method == "POST" else PriceForm(initial=_initial(request.GET))
    if form.is_bound and form.is_valid() and (made := _enter(form, request.user.email)):
        messages.success(request, "It is in the draft. Nothing is in force yet.")
        return HttpResponseRedirect(reverse("pricing:version", args=[made.pk]))
    context = {"tabs": tabs("pricing:prices"), "form": form, "tokens": TOKEN_COLUMNS}
    return render(request, "pricing/enter.html", context, status=422 if form.errors else 200)


def _initial(query: Mapping[str, str]) -> dict[str, str]:
    number = query.get("price", "")
    price = Price.objects.known().filter(pk=number).first() if number.isdecimal() else None
    if price is not None:
        return PriceForm.initial_of(price)
    return {name: query[name] for name in ("provider", "model") if name in query}


def _enter(form: PriceForm, by: str) -> BookVersion | None:
    priced = form.read()
    if priced is None:
        return None
    try:
        return enter([priced], by=by, version=form.version, makes_room=True)
    except FinopsError as error:
        form.refuse(error)
        return None
