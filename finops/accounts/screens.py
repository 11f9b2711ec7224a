"""What every screen of ours starts with: somebody signed in, whose role may see it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from finops.accounts.models import User
from finops.accounts.permissions import Capability, principal_of_person

P = ParamSpec("P")
Screen = Callable[Concatenate["PersonRequest", P], HttpResponse]


class PersonRequest(HttpRequest):
    """A request of somebody signed in: how a screen behind ``for_people`` may type it."""

    user: User


def for_people(
    *needs: Capability,
) -> Callable[[Screen[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """Decorates a screen: sends strangers to sign in, and answers 403 to a role that has none of ``needs``.

    Without ``needs``, everybody who is signed in may come.
    """

    def decorate(screen: Screen[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(screen)
        def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not isinstance(request.user, User):
                return redirect_to_login(request.get_full_path())
            person = principal_of_person(request.user)
            if needs and not any(person.may(need) for need in needs):
                raise PermissionDenied(person.refusal(needs[0]))
            return screen(request, *args, **kwargs)  # type: ignore[arg-type]  # narrowed above

        return answer

    return decorate
