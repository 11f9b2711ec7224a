"""How django-allauth behaves here: accounts are made by an administrator, never by a visitor."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """No public sign-up: whoever may enter has been added under People or by ``manage.py user``."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
