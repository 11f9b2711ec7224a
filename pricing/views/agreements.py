"""What was negotiated, on screen: all agreements, and one with what it makes of the prices in use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import F, OrderBy
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from finops.accounts.models import User
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.ui.exports import Cell, Column, Export, Format, Kind, respond
from finops.ui.screens import sign_in
from pricing.models import Agreement, BookVersion, VersionedQuerySet, VersionStatus
from pricing.views.agreed import show
from pricing.views.agreed_slots import applied
from pricing.views.agreement_entry import EndForm
from pricing.views.book import tabs
from pricing.views.in_force import InForceForm, filters_of

ON_A_PAGE = 100
MOST_GROUPS = 50
_OPEN = (VersionStatus.DRAFT, VersionStatus.REVIEWED)
_ORDER: tuple[str | OrderBy, ...] = (
    "provider",
    "name",
    F("effective_from").asc(nulls_first=True),
    "pk",
)


class AgreementsForm(InForceForm):
    """Agreements by their name, or by what they are for."""

    rows = Agreement
    searched = ("name", "model", "account")


@require_safe
@for_people(Capability.VIEW_CONTRACTED_PRICES)
def agreements(request: PersonRequest) -> HttpResponse:
    """Every agreement in force on a day, or as filtered. Eight queries."""
    form = AgreementsForm(request.GET)
    page = Paginator(_read(form.found()), ON_A_PAGE).get_page(request.GET.get("page"))
    now, query = timezone.now(), filters_of(request)
    drafts = BookVersion.objects.filter(status__in=_OPEN, pk__in=Agreement.objects.values("version"))
    context = {
        "tabs": tabs("pricing:agreements"),
        "form": form,
        "page": page,
        "total": page.paginator.count,
        "lines": [show(row, now) for row in page.object_list],
        "query": query,
        "filtered": bool(query),
        "at": form.at,
        "when": request.GET.get("when", ""),
        "drafts": drafts.order_by("-pk"),
        "is_any": Agreement.objects.known().exists(),
        "may_edit": principal_of_person(request.user).may(Capability.EDIT_PRICES),
    }
    return render(request, "pricing/agreements.html", context, status=400 if form.errors else 200)


@require_safe
def agreements_export(request: HttpRequest, wanted: str) -> HttpResponseBase:
    """The same agreements as a file: a row for each percentage and each fixed rate, every digit."""
    if not isinstance(request.user, User):
        return sign_in(request)
    principal = principal_of_person(request.user)
    if not principal.may(Capability.VIEW_CONTRACTED_PRICES):
        raise PermissionDenied(principal.refusal(Capability.VIEW_CONTRACTED_PRICES))
    if wanted not in tuple(Format):
        raise Http404
    form = AgreementsForm(request.GET)
    columns = [
        Column("Agreement"), Column("Provider"), Column("Model"), Column("Account"), Column("Host"),
        Column("Region"), Column("Tier"), Column("Processing"), Column("Speed"), Column("Only meters"),
        Column("Fees"), Column("Volume of"), Column("Bands"), Column("Over", Kind.COUNT),
        Column("Percent off", Kind.SHARE), Column("Meter"), Column("Unit price USD", Kind.UNIT_PRICE),
        Column("Per units", Kind.COUNT), Column("Effective from"), Column("Effective to"),
        Column("Version", Kind.COUNT), Column("Known from", Kind.MOMENT), Column("State"), Column("Source"),
        Column("Note"),
    ]  # fmt: skip
    export = Export(
        name="agreements",
        columns=columns,
        rows=_rows(form, timezone.now()),
        about=[
            ("Agreements", "as known now"),
            ("In force", form.at.isoformat() if not request.GET.get("when") else request.GET["when"]),
            ("Filter", filters_of(request) or "none"),
            ("By", principal.label),
        ],
    )
    return respond(export, Format(wanted))


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_CONTRACTED_PRICES)
def agreement(request: PersonRequest, number: int) -> HttpResponse:
    """One agreement: what it says, since when that is known, and what it makes of list prices now."""
    chosen = _read(Agreement.objects.filter(pk=number)).first()
    if chosen is None:
        raise Http404
    form = EndForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        principal = principal_of_person(request.user)
        if not principal.may(Capability.EDIT_PRICES):
            raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
        if form.is_valid() and (made := form.end(chosen, by=request.user.email)):
            messages.success(request, "Its end is in the draft. It goes on until somebody publishes that.")
            return HttpResponseRedirect(reverse("pricing:version", args=[made.pk]))
    return _page(request, chosen, form)


def _page(request: PersonRequest, chosen: Agreement, form: EndForm) -> HttpResponse:
    now = timezone.now()
    shown = show(chosen, now)
    groups = applied(chosen, now)
    namesakes = _read(Agreement.objects.filter(provider=chosen.provider, name=chosen.name)).order_by("-pk")
    is_known = chosen.version.status == VersionStatus.PUBLISHED and chosen.superseded_by_id is None
    context = {
        "tabs": tabs("pricing:agreements"),
        "shown": shown,
        "agreement": chosen,
        "groups": groups[:MOST_GROUPS],
        "total": len(groups),
        "models": len({group[0].name for group in groups}),
        "history": [show(row, now) for row in namesakes],
        "form": form,
        "may_edit": is_known and principal_of_person(request.user).may(Capability.EDIT_PRICES),
    }
    return render(request, "pricing/agreement.html", context, status=422 if form.errors else 200)


def _read(found: VersionedQuerySet) -> VersionedQuerySet:
    """With all that is shown of each, in four queries."""
    related = found.select_related("version", "superseded_by").prefetch_related("bands__rates")
    return related.order_by(*_ORDER)


def _rows(form: AgreementsForm, now: datetime) -> Iterator[Sequence[Cell]]:
    for row in _read(form.found()):
        shown = show(row, now)
        for term in shown.terms:
            band, rate = term.band, term.rate
            yield [
                row.name,
                row.provider,
                row.model,
                row.account,
                row.host,
                row.region,
                row.service_tier,
                row.processing,
                row.speed,
                " ".join(row.meters),
                shown.fees,
                row.volume_of,
                row.band_mode,
                band.over,
                band.percent_off,
                rate.meter if rate else "",
                rate.unit_price if rate else None,
                rate.per if rate else None,
                row.effective_from,
                row.effective_to,
                row.version_id,
                row.version.published_at,
                shown.state,
                row.source,
                row.note,
            ]
