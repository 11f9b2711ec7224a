"""The price book on screen: which price applies, and when?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.core.paginator import Paginator
from django.db.models import F, OrderBy, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from finops.accounts.models import User
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.ui.exports import Cell, Column, Export, Format, Kind, respond
from finops.ui.screens import sign_in
from pricing.expiring import Expiry, expiring
from pricing.models import BookVersion, Price, Rate, VersionStatus
from pricing.views.contracted import Line, Negotiated
from pricing.views.in_force import InForceForm, filters_of
from pricing.views.shown import conditions

ON_A_PAGE = 100
_BOOK = (("Prices", "pricing:prices"),)
_NEGOTIATED = (
    ("Agreements", "pricing:agreements"),
    ("Commitments", "attribution:commitments"),
    ("Credits", "attribution:credits"),
    ("Taxes", "attribution:taxes"),
    ("Exchange rates", "pricing:fx-rates"),
)
_UPKEEP = (
    ("Versions", "pricing:versions"),
    ("Import", "pricing:import"),
    ("Re-ratings", "attribution:reratings"),
    ("Prices health", "prices-health"),
)
_ORDER: tuple[str | OrderBy, ...] = (
    *(f"price__{name}" for name in ("provider", "model", "kind", "region", "host")),
    *(f"price__{name}" for name in ("service_tier", "processing", "speed")),
    F("price__context_threshold").asc(nulls_first=True),
    F("price__effective_from").asc(nulls_first=True),
    "price_id",
    "id",
)


class BookForm(InForceForm):
    """Prices by the model that they are for."""

    rows = Price
    searched = ("model",)


@require_safe
@for_people(Capability.VIEW_COSTS)
def prices(request: PersonRequest) -> HttpResponse:
    """The book, one row a meter. Nine queries, two more where anything is negotiated, and three more while
    prices are about to end."""
    principal = principal_of_person(request.user)
    form = BookForm(request.GET)
    found = form.found()
    rates = _rates(found)
    page = Paginator(rates, ON_A_PAGE).get_page(request.GET.get("page"))
    sees_contracted = principal.may(Capability.VIEW_CONTRACTED_PRICES)
    negotiated = Negotiated.known() if sees_contracted else Negotiated()
    query = filters_of(request)
    context = {
        "tabs": tabs("pricing:prices", sees_contracted=sees_contracted),
        "form": form,
        "total": found.count(),
        "page": page,
        "lines": [_line(negotiated.line(rate, form.at)) for rate in page.object_list],
        "query": query,
        "filtered": bool(query),
        "at": form.at,
        "when": request.GET.get("when", ""),
        "has_contracted": bool(negotiated),
        "expiring": _ending_for_good(),
        "version": BookVersion.objects.filter(status=VersionStatus.PUBLISHED).last(),
        "may_edit": principal.may(Capability.EDIT_PRICES),
    }
    return render(request, "pricing/prices.html", context, status=400 if form.errors else 200)


@require_safe
def prices_export(request: HttpRequest, wanted: str) -> HttpResponseBase:
    """The same rows as a file, every digit."""
    if not isinstance(request.user, User):
        return sign_in(request)
    if wanted not in tuple(Format):
        raise Http404
    form = BookForm(request.GET)
    principal = principal_of_person(request.user)
    columns = [
        Column("Provider"), Column("Model"), Column("Conditions"), Column("Meter"),
        Column("List price USD", Kind.UNIT_PRICE), Column("Per units", Kind.COUNT),
        Column("Effective from"), Column("Effective to"), Column("Known from", Kind.MOMENT),
        Column("Evidence"), Column("Source"),
    ]  # fmt: skip
    sees_contracted = principal.may(Capability.VIEW_CONTRACTED_PRICES)
    negotiated = Negotiated.known() if sees_contracted else None
    if negotiated is not None:
        columns += [Column("Contracted price USD", Kind.UNIT_PRICE), Column("Agreement"), Column("Accounts")]
    export = Export(
        name="prices",
        columns=columns,
        rows=_rows(form, negotiated),
        about=[
            ("Prices", "as known now"),
            ("In force", form.at.isoformat() if not request.GET.get("when") else request.GET["when"]),
            ("Filter", filters_of(request) or "none"),
            ("By", principal.label),
        ],
    )
    return respond(export, Format(wanted))


def tabs(current: str, *, sees_contracted: bool = True) -> list[tuple[str, str, bool]]:
    """Links between the pages of prices; those of what is negotiated for whoever may see it."""
    pages = (*_BOOK, *(_NEGOTIATED if sees_contracted else ()), *_UPKEEP)
    return [(label, url, name == current) for label, name in pages if (url := _url_of(name))]


def _url_of(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:  # a page that this installation does not have
        return ""


def _ending_for_good() -> list[Expiry]:
    return [one for one in expiring(timezone.now(), looks_at_use=False) if one.successor is None]


def _rates(found: QuerySet[Price]) -> QuerySet[Rate]:
    """The rates of these prices, which are looked up first: a planner that knows nothing of a table that
    was filled a moment ago would take the rows of one for each row of the other."""
    ids = list(found.values_list("pk", flat=True))
    return Rate.objects.filter(price_id__in=ids).select_related("price__version").order_by(*_ORDER)


def _line(line: Line) -> tuple[Line, Sequence[str]]:
    return line, conditions(line.shown.price)


def _rows(form: BookForm, negotiated: Negotiated | None) -> Iterator[Sequence[Cell]]:
    """A row a rate; where accounts have agreements of their own, one for each contracted price."""
    rates, at = _rates(form.found()), form.at
    for rate in rates.iterator(chunk_size=1_000):
        line, price = (negotiated or Negotiated()).line(rate, at), rate.price
        cells: list[Cell] = [
            price.provider,
            price.model,
            ", ".join(conditions(price)),
            line.shown.meter,
            line.shown.amount,
            line.shown.per,
            price.effective_from,
            price.effective_to,
            price.version.published_at,
            price.get_evidence_display(),
            price.source,
        ]
        if negotiated is None:
            yield cells
            continue
        if not line.is_negotiated_for_all:
            yield [*cells, line.shown.amount, "", ""]
        for one in line.contracted:
            yield [*cells, one.amount, one.agreement.name, one.account]
