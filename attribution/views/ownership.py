"""Ownership: who owns what, from which day; new names for review; moves with a preview."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from attribution import organisation, registry
from attribution.models import (
    CostCentre,
    CostCentrePlacement,
    Feature,
    FeatureOwnership,
    RegistryState,
    Team,
    TeamPlacement,
    Tier,
)
from attribution.move_preview import OwnerChange, affected_period, preview
from attribution.organisation import Move
from attribution.views.names import names_of
from attribution.views.ownership_forms import CostCentreForm, FeatureForm, SubjectForm, TeamForm, TierForm
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError, NotFound
from finops.core.periods import Period
from finops.ui import presets

Placed = TypeVar("Placed", TeamPlacement, CostCentrePlacement, FeatureOwnership)


@dataclass(frozen=True, slots=True)
class Owned:
    """One team, cost centre or feature with where it belongs today and since when."""

    slug: str
    name: str
    target: str | None
    since: date | None
    moves: Sequence[Move]
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Editor:
    """One kind of subject that a form makes or changes."""

    title: str
    dimension: str  # of the preview
    form: type[SubjectForm]
    put: Callable[..., bool]


EDITORS = {
    "team": Editor("Team", "team", TeamForm, organisation.put_team),
    "cost-centre": Editor("Cost centre", "business_unit", CostCentreForm, organisation.put_cost_centre),
    "feature": Editor("Feature", "team", FeatureForm, organisation.put_feature),
    "tier": Editor("Tier", "team", TierForm, organisation.put_tier),
}


@require_safe
@for_people()
def ownership(request: PersonRequest) -> HttpResponse:
    """The organisation as it stands today, and the names that events brought in."""
    principal = principal_of_person(request.user)
    teams = _owned(Team.objects.all(), TeamPlacement.objects.select_related("cost_centre"), "team_id")
    centres = _owned(
        CostCentre.objects.all(),
        CostCentrePlacement.objects.select_related("business_unit"),
        "cost_centre_id",
    )
    features = _owned(Feature.objects.all(), FeatureOwnership.objects.select_related("team"), "feature_id")
    tiers = [_entry(tier, []) for tier in Tier.objects.all()]
    context = {
        "teams": [(team, _unit_of(team, centres)) for team in teams],
        "centres": centres,
        "features": features,
        "tiers": tiers,
        "new_names": [("feature", one) for one in features if one.is_new]
        + [("tier", one) for one in tiers if one.is_new],
        "ownerless": sum(1 for one in features if one.target is None),
        "may_edit": principal.may(Capability.EDIT_OWNERSHIP),
    }
    return render(request, "attribution/ownership.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.EDIT_OWNERSHIP)
def edit(request: PersonRequest, kind: str) -> HttpResponse:
    """Make or change one; "Preview" tells what would move before anything is saved."""
    editor = EDITORS.get(kind)
    if editor is None:
        raise Http404
    sent = request.POST if request.method == "POST" else None
    form = editor.form(sent, initial=_initial(kind, request.GET.get("slug", "")))
    shown: Sequence[OwnerChange] | None = None
    period = _months_to_preview()
    if sent is not None and form.is_valid():
        said = form.said()
        try:
            if "preview" in sent:
                span = affected_period(form.day(), period.first, period.end)
                change = _change(editor, said, request.user.email)
                shown = preview(change, span, dimension=editor.dimension)
            else:
                is_new = editor.put(**said, actor=request.user.email)
                messages.success(
                    request, f"{editor.title} {said['slug']} was {'added' if is_new else 'changed'}."
                )
                return redirect("attribution:ownership")
        except FinopsError as error:
            form.refuse(error)
    status = 422 if sent is not None and form.errors else 200
    context = {
        "form": form,
        "editor": editor,
        "kind": kind,
        "changes": shown,
        "period": period,
    }
    if shown is not None:
        context["rows"] = [
            (names_of([editor.dimension]).label(editor.dimension, one.owner), one) for one in shown
        ]
    return render(request, "attribution/ownership_edit.html", context, status=status)


@require_POST
@for_people(Capability.EDIT_OWNERSHIP)
def confirm(request: PersonRequest, kind: str) -> HttpResponse:
    """A new name is right as it is."""
    slug, actor = request.POST.get("slug", ""), request.user.email
    try:
        if kind == "feature":
            registry.confirm(Feature, slug, actor=actor)
        elif kind == "tier":
            registry.confirm(Tier, slug, actor=actor)
        else:
            raise Http404
    except NotFound as error:
        raise Http404 from error
    messages.success(request, f"{slug} was confirmed.")
    return redirect("attribution:ownership")


def _change(editor: Editor, said: dict[str, Any], actor: str) -> Callable[[], bool]:
    # Any: what a form said.
    return lambda: editor.put(**said, actor=actor)


def _months_to_preview() -> Period:
    """The last month and this one: what people look at after a move."""
    today = organisation.today()
    first = presets.add_months(today.replace(day=1), -1)
    return Period(first, presets.add_months(first, 2))


def _initial(kind: str, slug: str) -> dict[str, object]:
    """What the form starts with: the subject as it stands today."""
    model = {"team": Team, "cost-centre": CostCentre, "feature": Feature, "tier": Tier}[kind]
    entry: Any = model._default_manager.filter(slug=slug).first() if slug else None  # Any: one of four
    if entry is None:
        return {"slug": slug}
    target: str | None = None
    if kind != "tier":
        moves = entry.ownerships if kind == "feature" else entry.placements
        target = organisation.on(organisation.today(), organisation.history(moves.all()))
    return {"slug": slug, "name": entry.name, "target": target or ""}


def _owned(entries: Iterable[Any], moves: Iterable[Placed], key: str) -> list[Owned]:
    # Any: the registries share slug and name, not a base class.
    by_subject: dict[int, list[Placed]] = defaultdict(list)
    for move in moves:
        by_subject[getattr(move, key)].append(move)
    return [_entry(entry, organisation.history(by_subject[entry.pk])) for entry in entries]


def _entry(entry: Any, moves: Sequence[Move]) -> Owned:  # Any: as above
    today = organisation.today()
    standing = [move for move in moves if move.valid_from is None or move.valid_from <= today]
    return Owned(
        slug=entry.slug,
        name=entry.name,
        target=organisation.on(today, moves),
        since=standing[-1].valid_from if standing else None,
        moves=moves,
        is_new=getattr(entry, "state", None) == RegistryState.NEW,
    )


def _unit_of(team: Owned, centres: Iterable[Owned]) -> str | None:
    return next((centre.target for centre in centres if centre.slug == team.target), None)
