"""Versions on screen: what a draft changes, what stands in its way, and who let it pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import Http404, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from finops.accounts.permissions import Capability, principal_of_person
from finops.accounts.screens import PersonRequest, for_people
from finops.core.errors import FinopsError
from pricing import drafts
from pricing.diffs import ChangeKind, Diff, diff
from pricing.in_use import usage_touched
from pricing.models import BookVersion, DraftBlock, VersionStatus
from pricing.views.agreed import ShownAgreement, show
from pricing.views.book import tabs

ON_A_PAGE = 50
LEVELS = {
    VersionStatus.DRAFT: "warn", VersionStatus.REVIEWED: "warn", VersionStatus.PUBLISHED: "ok",
    VersionStatus.DISCARDED: "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChangedAgreement:
    """An agreement without a version and with it."""

    before: ShownAgreement | None
    after: ShownAgreement | None

    @property
    def shown(self) -> ShownAgreement:
        """The one that speaks for the change: the new one, where there is one."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def kind(self) -> ChangeKind:
        if self.before is None:
            return ChangeKind.NEW
        return ChangeKind.CHANGED if self.after is not None else ChangeKind.ENDED


@require_safe
@for_people(Capability.VIEW_COSTS)
def version_list(request: PersonRequest) -> HttpResponse:
    """Versions, newest first; drafts that wait on top of the page."""
    found = BookVersion.objects.annotate(waiting=Count("blocks", filter=Q(blocks__acknowledged_at=None)))
    page = Paginator(found.order_by("-pk"), ON_A_PAGE).get_page(request.GET.get("page"))
    principal = principal_of_person(request.user)
    open_states = (VersionStatus.DRAFT, VersionStatus.REVIEWED)
    context = {
        "tabs": tabs("pricing:versions", sees_contracted=principal.may(Capability.VIEW_CONTRACTED_PRICES)),
        "page": page,
        "lines": [(one, LEVELS[VersionStatus(one.status)]) for one in page.object_list],
        "open": BookVersion.objects.filter(status__in=open_states).count(),
        "may_edit": principal.may(Capability.EDIT_PRICES),
    }
    return render(request, "pricing/versions.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_people(Capability.VIEW_COSTS)
def version(request: PersonRequest, number: int) -> HttpResponse:
    """One version: its diff, its findings, and for whoever may the next step of its life."""
    chosen = BookVersion.objects.filter(pk=number).first()
    if chosen is None:
        raise Http404
    if request.method != "POST":
        return _page(request, chosen)
    principal = principal_of_person(request.user)
    if not principal.may(Capability.EDIT_PRICES):
        raise PermissionDenied(principal.refusal(Capability.EDIT_PRICES))
    try:
        done = _act(request.POST, chosen, request.user.email)
    except FinopsError as error:
        chosen.refresh_from_db()
        return _page(request, chosen, problem=error.detail, status=409 if error.status == 409 else 422)
    messages.success(request, done)
    return HttpResponseRedirect(reverse("pricing:version", args=[number]))


def _act(told: QueryDict, chosen: BookVersion, by: str) -> str:
    """Take the step whose button was pressed; what was done."""
    steps: Mapping[str, Callable[[], str]] = {
        "acknowledge": lambda: _acknowledge(told, chosen, by),
        "leave_out": lambda: _leave_out(told, chosen, by),
        "review": lambda: _said(drafts.review(chosen, by=by), "Reviewed. It can be published."),
        "publish": lambda: _said(drafts.publish_untouching(chosen, by=by), "Published: it is in force."),
        "discard": lambda: _said(drafts.discard(chosen, by=by), "Discarded. It stays to be read."),
    }
    for name, step in steps.items():
        if name in told:
            return step()
    raise Http404


def _acknowledge(told: QueryDict, chosen: BookVersion, by: str) -> str:
    number = str(told["acknowledge"])
    block = drafts.acknowledge(
        chosen, int(number) if number.isdecimal() else 0, reason=str(told.get(f"reason-{number}", "")), by=by
    )
    return f"Acknowledged: {block.provider}/{block.model}."


def _leave_out(told: QueryDict, chosen: BookVersion, by: str) -> str:
    provider, _, model = str(told["leave_out"]).partition("/")
    drafts.leave_out(chosen, provider, model, by=by)
    return f"{provider}/{model} was left out."


def _said(_done: object, sentence: str) -> str:
    return sentence


def _page(
    request: PersonRequest, chosen: BookVersion, *, problem: str = "", status: int = 200
) -> HttpResponse:
    principal = principal_of_person(request.user)
    sees_contracted = principal.may(Capability.VIEW_CONTRACTED_PRICES)
    changed = diff(chosen)
    kind = request.GET.get("kind", "")
    changes = changed.of_kind(ChangeKind(kind)) if kind in tuple(ChangeKind) else changed.changes
    page = Paginator(changes, ON_A_PAGE).get_page(request.GET.get("page"))
    blocks = list(chosen.blocks.order_by("acknowledged_at", "kind", "provider", "model"))
    touched = usage_touched(chosen, changed) if chosen.is_open else []
    context = {
        "tabs": tabs("pricing:versions", sees_contracted=sees_contracted),
        "version": chosen,
        "level": LEVELS[VersionStatus(chosen.status)],
        "kinds": _kinds(changed, kind),
        "kind": kind,
        "page": page,
        "others": _others(changed),
        **_agreements(changed, sees_contracted=sees_contracted),
        "has_prices": bool(changed.changes),
        "is_empty": changed.is_empty,
        "blocks": [(block, _told(block, changed, sees_contracted=sees_contracted)) for block in blocks],
        "waiting": sum(1 for block in blocks if block.acknowledged_at is None),
        "touched": touched,
        "rerating_url": _rerating_url(chosen) if touched else "",
        "may_edit": principal.may(Capability.EDIT_PRICES),
        "is_draft": chosen.status == VersionStatus.DRAFT,
        "is_reviewed": chosen.status == VersionStatus.REVIEWED,
        "problem": problem,
    }
    return render(request, "pricing/version.html", context, status=status)


def _others(changed: Diff) -> list[tuple[ChangeKind, str]]:
    """Multipliers and aliases; agreements, which are among them in words, have a table."""
    agreed = {change.words for change in changed.agreements}
    return [(kind, words) for kind, words in changed.others if words not in agreed]


def _agreements(changed: Diff, *, sees_contracted: bool) -> dict[str, object]:
    """What a version changes of what was negotiated; no more than how many to others."""
    now = timezone.now()
    lines = [
        ChangedAgreement(
            show(change.before, now) if change.before else None,
            show(change.after, now) if change.after else None,
        )
        for change in changed.agreements
        if sees_contracted
    ]
    return {"agreements": lines, "agreements_total": len(changed.agreements)}


def _told(block: DraftBlock, changed: Diff, *, sees_contracted: bool) -> list[str]:
    """What was found, less what tells of agreements to whoever may not see them."""
    hidden = () if sees_contracted else tuple(change.words for change in changed.agreements)
    return [sentence for sentence in block.findings if not sentence.startswith(hidden)]


def _kinds(changed: Diff, chosen: str) -> list[tuple[str, int, bool]]:
    return [(kind, number, kind == chosen) for kind, number in changed.counts.items()]


def _rerating_url(chosen: BookVersion) -> str:
    try:
        return f"{reverse('attribution:reratings')}?version={chosen.pk}"
    except NoReverseMatch:  # an installation without the books' screens
        return ""
