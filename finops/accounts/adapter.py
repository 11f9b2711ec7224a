"""How django-allauth behaves here: accounts are made by an administrator, never by a visitor."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.shortcuts import render
from django.urls import reverse

from finops.accounts.models import User
from finops.accounts.people import set_password

logger = logging.getLogger(__name__)
_RETRY_SECONDS = 300  # the longest of ACCOUNT_RATE_LIMITS


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """No public sign-up: whoever may enter has been added under People or by ``manage.py user``."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def set_password(self, user: User, password: str) -> None:
        """Changed or reset by the person, which the audit log says."""
        set_password(user, password, actor=user.email)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """A log line for whoever watches sign-ins."""
        logger.warning("Sign-in failed", extra={"email": credentials.get("email", "")})

    def validation_error(self, code: str, *args: Any) -> ValidationError:
        """Too many wrong passwords are answered 429, not with a form to try again."""
        if code == "too_many_login_attempts" and context.request is not None:
            response = render(context.request, "429.html", {"retry_seconds": _RETRY_SECONDS}, status=429)
            response["Retry-After"] = str(_RETRY_SECONDS)
            raise ImmediateHttpResponse(response)
        error: ValidationError = super().validation_error(code, *args)
        return error

    def get_reset_password_from_key_url(self, key: str) -> str:
        """The link in a mail leads to our public address, whatever host the request named."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.PUBLIC_URL.rstrip("/") + path.replace("UID-KEY", quote(key))

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("accounts:profile")
