"""Sign-in, sign-out and passwords: django-allauth's views, answering 422 where a form is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse

View = Callable[..., HttpResponseBase]


def refusing(view: View) -> View:
    """The same view; a form that comes back with problems has the status that says so."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # Any: as routed
        response = view(request, *args, **kwargs)
        if request.method == "POST" and isinstance(response, TemplateResponse):
            form = (response.context_data or {}).get("form")
            if response.status_code == 200 and form is not None and form.errors:
                response.status_code = 422
        return response

    return answer


login = refusing(views.login)
logout = views.logout
password_change = refusing(views.password_change)
password_set = refusing(views.password_set)
password_reset = refusing(views.password_reset)
password_reset_done = views.password_reset_done
password_reset_from_key = refusing(views.password_reset_from_key)
password_reset_from_key_done = views.password_reset_from_key_done
inactive = views.account_inactive
signup = views.signup
