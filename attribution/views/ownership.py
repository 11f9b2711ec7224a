"""Ownership: who owns what today, by tabs, and the names that events brought in, for review."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db import transaction
from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from attribution.models import Feature, RegistryState, Tier
from attribution.views.names import names_of
from attribution.views.ownership_kinds import KINDS, Owned, label_of, owned
from finops.accounts.permissions import Capability, Principal, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import NotFound
from finops.ui.formats import sentence_list

ON_A_PAGE = 100
# The tabs: label, URL name, and the kinds each lists.
TABS = {
    "teams": ("Teams", "attribution:ownership", ("team",)),
    "features": ("Features", "attribution:ownership-features", ("feature",)),
    "tiers": ("Tiers", "attribution:ownership-tiers", ("tier",)),
    "cost-centres": (
        "Cost centres and business units",
        "attribution:ownership-cost-centres",
        ("cost-centre", "business-unit"),
    ),
}


@require_safe
@for_people(Capability.VIEW_COSTS)
def ownership(request: PersonRequest, tab: str) -> HttpResponse:
    """Who owns what today? At most ten queries, however many names there are."""
    principal = principal_of_person(request.user)
    waiting = _waiting()
    lists = [_listed(request, principal, kind) for kind in TABS[tab][2]]
    rows: list[Owned] = lists[0]["rows"]
    context = {
        "tab": tab,
        "tabs": _tabs(tab, waiting),
        "lists": lists,
        "heading": _heading(tab, rows, lists),
        "new_names": [row for row in rows if row.is_new][:ON_A_PAGE],
        "waiting": sum(waiting.values()),
        "may_edit": principal.may(Capability.EDIT_OWNERSHIP),
        "bound": principal.visible_teams is not None,
    }
    return render(request, "attribution/ownership.html", context)


@require_POST
@for_people(Capability.EDIT_OWNERSHIP)
def confirm(request: PersonRequest, kind: str) -> HttpResponse:
    """These new names are right as they are: those that were shown, never one that came meanwhile."""
    chosen = KINDS.get(kind)
    if chosen is None or chosen.confirm is None:
        raise Http404
    slugs = request.POST.getlist("slug")
    try:
        with transaction.atomic():
            for slug in slugs:
                chosen.confirm(slug, actor=request.user.email)
    except NotFound as error:
        raise Http404(error.detail) from error
    if len(slugs) == 1:
        messages.success(request, f"{slugs[0]} was confirmed.")
    elif slugs:
        messages.success(request, f"{len(slugs)} {chosen.plural} were confirmed.")
    return redirect(tab_url(chosen.tab))


def tab_url(tab: str) -> str:
    """Where a tab is."""
    return reverse(TABS[tab][1])


def _listed(request: PersonRequest, principal: Principal, slug: str) -> dict[str, Any]:
    # Any: a template context
    kind = KINDS[slug]
    rows = [row for row in owned(kind) if slug != "team" or principal.sees(row.entry.slug)]
    page: Page[Owned] = Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page"))
    placing = kind.placing
    names = names_of([placing.dimension] if placing else [])
    units = _units() if slug == "team" else {}
    return {
        "kind": kind,
        "rows": rows,
        "page": page,
        "lines": [
            {
                "row": row,
                "target": label_of(names, kind, row.target) if placing else "",
                "unit": units.get(row.target or "", ""),
                "moves": [(move, label_of(names, kind, move.target)) for move in row.moves],
            }
            for row in page.object_list
        ],
    }


def _units() -> dict[str, str]:
    """The name of the business unit of each cost centre today."""
    names = names_of(["business_unit"])
    return {
        centre.entry.slug: names.label("business_unit", centre.target)
        for centre in owned(KINDS["cost-centre"])
    }


def _waiting() -> dict[str, int]:
    """How many names wait for review, by tab."""
    new = Count("pk", filter=Q(state=RegistryState.NEW))
    return {
        "features": Feature.objects.aggregate(new=new)["new"],
        "tiers": Tier.objects.aggregate(new=new)["new"],
    }


def _tabs(current: str, waiting: dict[str, int]) -> list[tuple[str, str, bool]]:
    return [
        (f"{label} ({waiting[tab]} new)" if waiting.get(tab) else label, reverse(url_name), tab == current)
        for tab, (label, url_name, _) in TABS.items()
    ]


def _heading(tab: str, rows: Sequence[Owned], lists: Sequence[dict[str, Any]]) -> str:
    """What the tab answers, in words and numbers."""
    parts = [_counted(len(one["rows"]), one["kind"].title, one["kind"].plural) for one in lists]
    text = sentence_list(parts)
    text = text[0].upper() + text[1:]
    homeless = sum(1 for row in rows if row.target is None) if rows and rows[0].kind.placing else 0
    if not homeless:
        return text
    lack = {
        "teams": "no cost centre",
        "features": "no owner",
        "cost-centres": "no business unit",
    }[tab]
    whose = f" {'cost centre' if homeless == 1 else 'cost centres'}" if len(lists) > 1 else ""
    return f"{text}; {homeless}{whose} {'has' if homeless == 1 else 'have'} {lack}"


def _counted(number: int, one: str, many: str) -> str:
    if not number:
        return f"no {many}"
    return f"1 {one.lower()}" if number == 1 else f"{number:,} {many}"
