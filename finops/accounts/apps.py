"""Registers ``finops.accounts`` with Django, and how it signs in with the API description."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "finops.accounts"
    label = "accounts"

    def ready(self) -> None:
        from finops.accounts import schema  # noqa: F401, PLC0415  # importing it registers it
