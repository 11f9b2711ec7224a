"""Governance: tagging rules in their order, one rule with a preview before it is saved, and a trial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from attribution import tagging_changes
from attribution.models import TaggingRuleVersion
from attribution.move_preview import affected_period
from attribution.organisation import today
from attribution.tagging import Standing, history, rule_on, rules_on, saying_of, try_out
from attribution.tagging_sql import SET
from attribution.views.governance_forms import RuleForm, TrialForm, written
from attribution.views.ownership_edit import months, previewed
from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError, InvalidInput, NotFound

_TABS = (
    ("Tagging rules", "attribution:governance"),
    ("Try tags", "attribution:governance-try"),
    ("Source contracts", "attribution:governance-contracts"),
    ("Allocation keys", "attribution:governance-keys"),
)


def tabs(current: str) -> list[tuple[str, str, bool]]:
    """The tabs of Governance."""
    return [(label, reverse(name), name == current) for label, name in _TABS]


@require_safe
@for_people(Capability.VIEW_COSTS)
def rules(request: PersonRequest) -> HttpResponse:
    """All rules in the order in which they are asked today; those that are retired below."""
    standing = rules_on(today())
    active = [one for one in standing if one.is_active]
    context = {
        "tabs": tabs("attribution:governance"),
        "active": [_line(one) for one in active],
        "others": [_line(one) for one in standing if not one.is_active],
        "may_edit": principal_of_person(request.user).may(Capability.EDIT_OWNERSHIP),
    }
    return render(request, "attribution/governance.html", context)


@require_POST
@for_people(Capability.EDIT_OWNERSHIP)
def move(request: PersonRequest, number: int) -> HttpResponse:
    """One place up or down, from today on."""
    active = [one for one in rules_on(today()) if one.is_active]
    order = [one.rule.pk for one in active]
    if number not in order:
        raise Http404
    place = order.index(number)
    other = place + (-1 if "up" in request.POST else 1)
    if 0 <= other < len(order):
        order.insert(other, order.pop(place))
        _put_in_order(active[place], other + 1, order, request.user.email)
        messages.success(request, "The rules are asked in the new order from today on.")
    return HttpResponseRedirect(reverse("attribution:governance"))


def _put_in_order(standing: Standing, place: int, order: list[int], actor: str) -> None:
    """Only this rule gets a new version, as long as there is room between its neighbours."""
    saying, day = saying_of(standing.shown), today()
    try:
        tagging_changes.change(standing.rule.pk, saying, actor=actor, effective_from=day, place=place)
    except InvalidInput:
        tagging_changes.reorder(order, actor=actor, effective_from=day)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def rule(request: PersonRequest, number: int | None = None) -> HttpResponse:
    """One rule, or a new one. Whoever may not edit sees what it says and said."""
    principal = principal_of_person(request.user)
    may_edit = principal.may(Capability.EDIT_OWNERSHIP)
    if not may_edit and (request.method == "POST" or number is None):
        raise PermissionDenied(principal.refusal(Capability.EDIT_OWNERSHIP))
    standing = _found(number)
    sent = request.POST if request.method == "POST" else None
    form = RuleForm(sent, initial=_initial(standing))
    shown = None
    if sent is not None and standing and "retire" in sent:
        return _retired(request, standing)
    if sent is not None and form.is_valid():
        change = _change(standing, form, request.user.email)
        try:
            if "preview" in sent or not form.is_previewed:
                seen = months()
                period = affected_period(form.day, seen.first, seen.end)
                # Of what it sets, what matters most; a rule that sets nothing is refused all the same.
                seen_by = next((name for name in SET if name in form.saying.sets), "team")
                shown = previewed(change, period, seen_by)
            else:
                change()
                messages.success(request, f"The rule {form.cleaned_data['name']} was saved.")
                return HttpResponseRedirect(reverse("attribution:governance"))
        except FinopsError as error:
            form.refuse(error)
    context = {
        "form": form,
        "standing": standing,
        "preview": shown,
        "may_edit": may_edit,
        "may_audit": principal.may(Capability.VIEW_AUDIT),
        "versions": [_version(one) for one in history(standing.rule.pk)] if standing else [],
        "line": _line(standing) if standing else None,
    }
    return render(request, "attribution/governance_rule.html", context, status=422 if form.errors else 200)


@require_safe
@for_people(Capability.VIEW_COSTS)
def trial(request: PersonRequest) -> HttpResponse:
    """Whose would a call be that says so? The query string is all there is to it."""
    form = TrialForm(request.GET if "tags" in request.GET else None)
    told = None
    if form.is_bound and form.is_valid():
        told = try_out(form.cleaned_data["tags"], form.on)
    context = {
        "tabs": tabs("attribution:governance-try"),
        "form": form,
        "told": told,
        "met": [(name, written(saying.match), saying) for name, saying in told.met] if told else [],
    }
    return render(request, "attribution/governance_try.html", context, status=422 if form.errors else 200)


def _found(number: int | None) -> Standing | None:
    if number is None:
        return None
    try:
        return rule_on(number, today())
    except NotFound as error:
        raise Http404(error.detail) from error


def _initial(standing: Standing | None) -> dict[str, object]:
    if standing is None:
        return {"only_missing": True, "effective_from": today()}
    saying = saying_of(standing.shown)
    return {
        "name": standing.rule.name,
        "match": written(saying.match),
        **saying.sets,
        "only_missing": saying.only_missing,
        "effective_from": today(),
    }


def _change(standing: Standing | None, form: RuleForm, actor: str) -> Callable[[], object]:
    name, place = form.cleaned_data["name"], form.cleaned_data["position"]
    if standing is None:
        return lambda: tagging_changes.add(
            name, form.saying, actor=actor, effective_from=form.day, place=place
        )
    return lambda: tagging_changes.change(
        standing.rule.pk, form.saying, actor=actor, effective_from=form.day, name=name, place=place
    )


def _retired(request: PersonRequest, standing: Standing) -> HttpResponse:
    tagging_changes.retire(standing.rule.pk, actor=request.user.email, effective_from=today())
    messages.success(
        request, f"{standing.rule.name} says nothing from today on. Earlier days stay as they are."
    )
    return HttpResponseRedirect(reverse("attribution:governance"))


def _line(standing: Standing) -> dict[str, Any]:  # Any: a template context
    return {"standing": standing, **_version(standing.shown)}


def _version(version: TaggingRuleVersion) -> dict[str, Any]:  # Any: a template context
    saying = saying_of(version)
    return {
        "version": version,
        "match": written(saying.match).splitlines(),
        "sets": saying.sets,
        "only_missing": saying.only_missing,
    }
