"""Registers ``finops.pages`` with Django, and what it remembers of the worker's tasks with Celery."""

from __future__ import annotations

from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "finops.pages"
    label = "pages"

    def ready(self) -> None:
        """Connect the signals; only a worker ever sends them."""
        from finops.pages import job_runs  # noqa: F401, PLC0415  (models are there only now)
