"""What is paid, given and levied beside usage, on screen: lists, and one with how far it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from attribution.charging.reading import drawdown
from attribution.drawdowns import Totals, by_month, total_of, totals
from attribution.views import terms_kinds as kinds
from attribution.views.terms_forms import EndForm, TermFilter, WithdrawForm
from attribution.views.terms_kinds import SCREENS, AnyTerm, Screen
from finops.accounts.permissions import Capability, Principal, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError
from finops.core.money import as_text
from finops.core.periods import local_day
from finops.ui import charts
from finops.ui.charts import Buckets, Chart, Series
from finops.ui.formats import Currency
from pricing import fx, terms
from pricing.commitments import DrawnDay
from pricing.models import Commitment, Credit, CreditKind, Tax
from pricing.views.book import tabs

ON_A_PAGE = 50
MOST_BARS = 92  # days; a longer term is drawn by month
_FILTERS = ("provider", "q", "state")


@require_safe
@for_people(Capability.VIEW_CONTRACTED_PRICES)
def term_list(request: PersonRequest, plural: str) -> HttpResponse:
    """All of a kind that hold today, or as filtered. At most seven queries."""
    screen, principal = SCREENS[plural], principal_of_person(request.user)
    form = TermFilter(request.GET, kind=screen.model)
    page = Paginator(form.found(), ON_A_PAGE).get_page(request.GET.get("page"))
    sees_use = principal.visible_teams is None
    used = totals(term for term in page.object_list if not isinstance(term, Tax)) if sees_use else {}
    query = urlencode([(name, request.GET[name]) for name in _FILTERS if request.GET.get(name)])
    context = {
        "tabs": tabs(screen.list_name),
        "screen": screen,
        "form": form,
        "page": page,
        "total": page.paginator.count,
        "lines": [_line(screen, term, used.get(term)) for term in page.object_list],
        "is_drawn": screen.model is not Tax,
        "is_commitment": screen.model is Commitment,
        "sees_use": sees_use,
        "state": request.GET.get("state", ""),
        "query": query,
        "is_any": bool(query) and screen.model.objects.known().exists(),
        "may_edit": principal.may(Capability.EDIT_PRICES),
    }
    return render(request, "attribution/terms.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_CONTRACTED_PRICES)
def term(request: PersonRequest, plural: str, number: int) -> HttpResponse:
    """One: what was agreed, how far it is used, how it was corrected; ended early or withdrawn here."""
    screen, principal = SCREENS[plural], principal_of_person(request.user)
    chosen = screen.model.objects.filter(pk=number).first()
    if chosen is None:
        raise Http404
    is_post = request.method == "POST"
    if is_post and not principal.may(Capability.EDIT_PRICES):
        raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
    ending = EndForm(request.POST if is_post and "end" in request.POST else None)
    withdrawing = WithdrawForm(request.POST if is_post and "withdraw" in request.POST else None)
    if is_post and (done := _decide(request, screen, chosen, ending, withdrawing)):
        return done
    return _page(request, screen, chosen, (ending, withdrawing))


def _decide(
    request: PersonRequest, screen: Screen, chosen: AnyTerm, ending: EndForm, withdrawing: WithdrawForm
) -> HttpResponse | None:
    by, form = request.user.email, ending if ending.is_bound else withdrawing
    if not form.is_bound or not form.is_valid():
        return None
    try:
        if form is ending:
            made = terms.end(screen.model, chosen.pk, form.cleaned_data["ends_on"], by=by)
            messages.success(request, f"{made} ends on {made.ends_on:%-d %b %Y}.")
            return HttpResponseRedirect(screen.url_of(made))
        terms.withdraw(screen.model, chosen.pk, by=by, reason=form.cleaned_data["reason"])
    except FinopsError as error:
        form.refuse(error)
        return None
    messages.success(request, f"{chosen} is withdrawn.")
    return HttpResponseRedirect(screen.list_url)


def _page(
    request: PersonRequest, screen: Screen, chosen: AnyTerm, decisions: tuple[EndForm, WithdrawForm]
) -> HttpResponse:
    principal, (ending, withdrawing) = principal_of_person(request.user), decisions
    history = kinds.corrections(chosen)
    is_known = chosen.known_to is None
    context = {
        "tabs": tabs(screen.list_name),
        "screen": screen,
        "term": chosen,
        "is_commitment": isinstance(chosen, Commitment),
        "is_known": is_known,
        "current": history[0][0] if history[0][0].known_to is None else None,
        "scope": kinds.scope(chosen),
        "kind": kinds.kind_words(chosen),
        "prices": kinds.price_words(chosen),
        "bearer": kinds.bearer(chosen),
        "is_foreign": kinds.is_foreign(chosen),
        "fx_rate": as_text(chosen.fx_rate),
        "status": _status(chosen),
        "history": [(row, changes, screen.url_of(row)) for row, changes in history],
        "may_edit": is_known and principal.may(Capability.EDIT_PRICES),
        "correct_url": screen.correct_url(chosen),
        "may_end": (chosen.ends_on - chosen.starts_on).days > 1,
        "ending": ending,
        "withdrawing": withdrawing,
        **_use(chosen, principal),
    }
    status = 422 if ending.errors or withdrawing.errors else 200
    return render(request, "attribution/term.html", context, status=status)


def _use(chosen: AnyTerm, principal: Principal) -> Mapping[str, Any]:  # Any: a template context
    """How far it is used, for whoever sees all teams."""
    if isinstance(chosen, Tax) or getattr(chosen, "kind", "") == CreditKind.REFUND:
        return {"is_drawn": False}
    if principal.visible_teams is not None:
        return {"is_drawn": True, "sees_use": False}
    days = drawdown(chosen)
    months = by_month(days)
    total = total_of(days)
    return {
        "is_drawn": True,
        "sees_use": True,
        "total": total,
        "left": total.left(chosen),
        "utilisation": total.utilisation(chosen),
        "months": months,
        "upto": days[-1].day if days else None,
        "chart": _chart(chosen, days, months) if days else None,
    }


def _chart(
    chosen: Commitment | Credit,
    days: Sequence[DrawnDay],
    months: Sequence[tuple[date, Totals, Decimal | None]],
) -> Chart:
    """What a balance held, or what of a capacity was used and what not: by day, or by month."""
    is_long = len(days) > MOST_BARS
    if is_long:
        starts = [f"{month:%Y-%m-%d}" for month, _, _ in months]
        parts = [(total.used, total.unused, left) for _, total, left in months]
    else:
        starts = [f"{day.day:%Y-%m-%d}" for day in days]
        parts = [(day.used, day.unused, day.left) for day in days]
    is_running = chosen.ends_on > days[-1].day + timedelta(days=1)
    buckets = Buckets(
        starts, f"{days[-1].day + timedelta(days=1)}", "month" if is_long else "day", running=is_running
    )
    currency = Currency(fx.USD)
    if parts[-1][2] is not None:
        series = [Series("Left", [left or Decimal(0) for _, _, left in parts], "series-1")]
        heading = "What is left"
    else:
        series = [
            Series("Used", [used for used, _, _ in parts], "series-1"),
            Series("Unused", [unused for _, unused, _ in parts], charts.OTHER_TOKEN),
        ]
        heading = "What it costs, used and unused"
    return Chart(
        "drawdown",
        f"{heading} by {buckets.grain}",
        charts.trend_sentence(series, buckets, currency),
        charts.stacked_bars(series, buckets, currency),
        "months",
        series,
    )


def _line(screen: Screen, term: AnyTerm, used: Totals | None) -> Mapping[str, Any]:  # Any: a template context
    is_drawn = not isinstance(term, Tax) and getattr(term, "kind", "") != CreditKind.REFUND
    return {
        "term": term,
        "url": screen.url_of(term),
        "scope": kinds.scope(term),
        "kind": kinds.kind_words(term),
        "prices": kinds.price_words(term),
        "status": _status(term),
        "used": used if is_drawn else None,
        "left": used.left(term) if used and is_drawn and not isinstance(term, Tax) else None,
        "utilisation": used.utilisation(term) if used and is_drawn and not isinstance(term, Tax) else None,
    }


def _status(term: AnyTerm) -> tuple[str, str]:
    """A word for where it stands, and how that is shown."""
    today = local_day(timezone.now(), settings.REPORTING_TIME_ZONE)
    if term.known_to is not None:
        return "Replaced" if hasattr(term, "replaced_by") else "Withdrawn", ""
    if term.ends_on <= today:
        return "Over", ""
    return ("Holds", "ok") if term.starts_on <= today else ("Starts later", "")
