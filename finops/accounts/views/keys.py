"""API keys: the list, and making, rotating and revoking one."""

from __future__ import annotations

import json
from uuid import UUID

from django.contrib import messages
from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from finops.accounts import keys
from finops.accounts.forms import KeyForm, RotateForm
from finops.accounts.models import ApiKey, Scope
from finops.accounts.permissions import Capability, Principal, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.accounts.teams import team_slugs
from finops.core.errors import FinopsError

FORM_REMEMBERED_SECONDS = 24 * 3600

readers = for_people(Capability.VIEW_ALL_KEYS, Capability.MANAGE_OWN_KEYS)
makers = for_people(Capability.MANAGE_OWN_KEYS)


@require_safe
@readers
def key_list(request: PersonRequest) -> HttpResponse:
    """Which programs may talk to us, as what, and are they alive?"""
    person = principal_of_person(request.user)
    shown_all = request.GET.get("show") == "all"
    visible = keys.keys_visible_to(request.user).order_by("name", "-created_at")
    rows = list(visible if shown_all else visible.active())
    context = {
        "rows": [(key, keys.may_rotate(person, key), keys.may_revoke(person, key)) for key in rows],
        "shown_all": shown_all,
        "ended": not shown_all and visible.count() - len(rows),
        "may_create": keys.may_create(person),
        "bound": person.visible_teams is not None,
        "now": timezone.now(),
    }
    return render(request, "accounts/keys.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@makers
def create(request: PersonRequest) -> HttpResponse:
    """Make a key. The answer to the form shows the secret, and nothing of ours keeps it."""
    maker = principal_of_person(request.user)
    teams = team_slugs()
    if request.method != "POST":
        form = KeyForm(maker=maker, teams=teams)
        return render(request, "accounts/key_create.html", {"form": form, "may": keys.may_create(maker)})
    form = KeyForm(request.POST, maker=maker, teams=teams)
    if form.is_valid() and _is_sent_again(form.cleaned_data["once"]):
        messages.warning(request, "This form made its key already. The secret is shown only once.")
        return redirect("accounts:keys")
    if form.is_valid():
        try:
            return _created(request, form, maker)
        except FinopsError as error:
            form.refuse(error)
    return render(
        request, "accounts/key_create.html", {"form": form, "may": keys.may_create(maker)}, status=422
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@makers
def rotate(request: PersonRequest, key_id: int) -> HttpResponse:
    """Give a key a new secret; the old one works until the chosen grace is over."""
    key = _mine(request, key_id)
    person = principal_of_person(request.user)
    form = RotateForm(request.POST if request.method == "POST" else None)
    if not keys.may_rotate(person, key):
        problem = "This key may do more than you may: somebody who holds all of its scopes has to rotate it."
        return render(request, "accounts/key_rotate.html", {"key": key, "problem": problem}, status=403)
    if request.method == "POST" and form.is_valid():
        try:
            new, secret = keys.rotate_key(key.pk, actor=person.label, grace=form.cleaned_data["grace"])
        except FinopsError as error:
            form.refuse(error)
        else:
            old = ApiKey.objects.get(pk=key.pk)
            return _shown_once(request, new, secret, old)
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/key_rotate.html", {"key": key, "form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@makers
def revoke(request: PersonRequest, key_id: int) -> HttpResponse:
    """End a key, once that is confirmed."""
    key = _mine(request, key_id)
    problem = ""
    if request.method == "POST":
        try:
            keys.revoke_key(key.pk, actor=request.user.email)
        except FinopsError as error:
            problem = error.detail
        else:
            messages.success(request, f"{key.name} ({key.prefix}…) was revoked.")
            return redirect("accounts:keys")
    context = {"key": key, "problem": problem}
    return render(request, "accounts/key_revoke.html", context, status=422 if problem else 200)


def _mine(request: PersonRequest, key_id: int) -> ApiKey:
    """A key this person may act on; a stranger's is a 404."""
    return get_object_or_404(keys.keys_visible_to(request.user), pk=key_id)


def _is_sent_again(once: UUID) -> bool:
    return not cache.add(f"key-form:{once}", 1, FORM_REMEMBERED_SECONDS)


def _created(request: PersonRequest, form: KeyForm, maker: Principal) -> HttpResponse:
    data = form.cleaned_data
    keys.check_may_hand_out(maker, data["scopes"], data["team"])
    key, secret = keys.create_key(
        data["name"],
        data["scopes"],
        actor=maker.label,
        team=data["team"],
        source=data["source"],
        created_by=request.user,
        expires_at=timezone.now() + form.life if form.life else None,
    )
    return _shown_once(request, key, secret)


def _shown_once(
    request: PersonRequest, key: ApiKey, secret: str, replaced: ApiKey | None = None
) -> HttpResponse:
    address = request.build_absolute_uri("/").rstrip("/")
    context = {
        "key": key,
        "secret": secret,
        "replaced": replaced,
        "curl": _curl(address, key, secret),
    }
    return render(request, "accounts/key_created.html", context)


def _curl(address: str, key: ApiKey, secret: str) -> str:
    """A line that works as it is, for the first thing this key may do."""
    authorized = f"-H 'Authorization: Bearer {secret}'"
    if not key.allows(Scope.INGEST):
        return f"curl -sS {address}/api/v1/me {authorized}"
    now = timezone.now()
    event = {
        "event_id": f"first-{now:%H%M%S}",
        "occurred_at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "usage": {"input_tokens": 120, "output_tokens": 30},
    }
    lines = (
        f"curl -sS {address}/api/v1/events",
        authorized,
        "-H 'Content-Type: application/json'",
        f"-d '{json.dumps([event])}'",
    )
    return " \\\n  ".join(lines)
