"""What every screen with a querystring does: who asks, what for, in which shape to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from finops.accounts.models import User
from finops.accounts.permissions import Capability, Principal, principal_of_person
from finops.core.errors import InvalidInput
from finops.core.periods import local_day
from finops.ui.exports import Format
from finops.ui.filter_bar import Bar
from finops.ui.filters import NEGOTIATED, Screen, Unknown, View, is_canonical, parse


@dataclass(frozen=True, slots=True)
class Asked:
    """A person's request for one view of one screen."""

    request: HttpRequest
    view: View
    principal: Principal

    @property
    def is_fragment(self) -> bool:
        """Whether a page that is open asks for its report only."""
        return _is_fragment(self.request)

    def bar(self, *offers: str) -> Bar:
        return Bar(self.view, offers)

    def exports(self) -> list[tuple[str, str]]:
        """Links to this view as a file: the screen's path with ``export.csv`` or ``export.xlsx``."""
        path, query = self.view.screen.path, self.view.url.partition("?")[2]
        suffix = f"?{query}" if query else ""
        return [
            ("CSV, every row and digit", f"{path}export.{Format.CSV}{suffix}"),
            ("Excel workbook", f"{path}export.{Format.XLSX}{suffix}"),
        ]

    def answer(self, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
        """The whole page, or its ``_report`` part for a page that is open.

        ``app/name.html`` includes ``app/_name.html``, whose root is ``<div id="report">``.
        """
        folder, _, name = template.rpartition("/")
        chosen = f"{folder}/_{name}" if self.is_fragment else template
        full = {"view": self.view, "principal": self.principal, "report_template": f"{folder}/_{name}"}
        response = render(self.request, chosen, {**full, **context}, status=status)
        patch_vary_headers(response, ["HX-Request"])
        if self.is_fragment:
            response["HX-Push-Url"] = self.view.url
        return response


Answer = Callable[..., HttpResponseBase]


def opens(screen: Screen, *, file: bool = False) -> Callable[[Answer], Answer]:
    """Decorates a view: it gets an ``Asked`` in place of the request.

    A stranger is sent to sign in; what the querystring cannot mean is a 400 page that names it; a
    querystring that is not canonical is redirected, unless a ``file`` is asked for. ``{slug}`` in the
    screen's path is filled from the URL.
    """

    def decorate(answer: Answer) -> Answer:
        @require_safe
        @wraps(answer)
        def respond(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if not isinstance(request.user, User):
                return sign_in(request)
            principal = principal_of_person(request.user)
            here = _as_seen_by(principal, screen, kwargs)
            today = local_day(timezone.now(), settings.REPORTING_TIME_ZONE)
            try:
                view = parse(here, request.GET, today)
            except Unknown as problem:
                template = "partials/_unknown.html" if _is_fragment(request) else "400.html"
                return render(request, template, {"problem": problem}, status=400)
            asked = Asked(request, view, principal)
            if not file and not asked.is_fragment and not is_canonical(view, request.GET):
                return HttpResponseRedirect(view.url)
            try:
                return answer(asked, **kwargs)
            except Unknown as problem:  # known only to the books, such as a page that is none
                return render(request, "400.html", {"problem": problem}, status=400)
            except InvalidInput as error:  # each part is known, together they make no question
                refusal = {"sentence": error.detail, "without": here.path}
                return render(request, "400.html", {"problem": refusal}, status=400)

        return respond

    return decorate


def _is_fragment(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def sign_in(request: HttpRequest) -> HttpResponse:
    """The way to the sign-in page; an open page is sent there as a whole."""
    if not _is_fragment(request):
        return redirect_to_login(request.get_full_path())
    answer = HttpResponse(status=204)
    answer["HX-Redirect"] = redirect_to_login(request.get_full_path()).url
    return answer


def _as_seen_by(principal: Principal, screen: Screen, kwargs: Mapping[str, Any]) -> Screen:
    costs: Sequence[str] = screen.costs
    if not principal.may(Capability.VIEW_CONTRACTED_PRICES):
        costs = tuple(cost for cost in costs if cost not in NEGOTIATED)
    path, period = screen.path, screen.period
    for name, value in kwargs.items():
        path = path.replace(f"{{{name}}}", str(value))
        period = period.replace(f"{{{name}}}", str(value))
    dimensions = (*screen.dimensions, *screen.more())
    return replace(screen, costs=costs, path=path, period=period, dimensions=dimensions)
