"""Registers ``attribution`` with Django."""

from __future__ import annotations

from django.apps import AppConfig

from finops.accounts.teams import learn_teams_from


class AttributionConfig(AppConfig):
    name = "attribution"

    def ready(self) -> None:
        """Hand the list of teams down to accounts, which knows them by slug."""
        learn_teams_from(lambda: self.get_model("Team")._default_manager.values_list("slug", flat=True))
