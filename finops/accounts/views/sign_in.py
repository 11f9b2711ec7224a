"""Sign-in, sign-out and passwords: django-allauth's views, answering 422 where a form is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views
from allauth.account.forms import LoginForm
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


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth ships no types
    """Two labelled fields and nothing else on the way from one to the other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: Django's arguments
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "E-mail address"
        self.fields["password"].help_text = ""
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class SignIn(views.LoginView):  # type: ignore[misc]
    form_class = SignInForm


login = refusing(SignIn.as_view())
logout = views.logout
password_change = refusing(views.password_change)
password_set = refusing(views.password_set)
password_reset = refusing(views.password_reset)
password_reset_done = views.password_reset_done
password_reset_from_key = refusing(views.password_reset_from_key)
password_reset_from_key_done = views.password_reset_from_key_done
inactive = views.account_inactive
signup = views.signup
