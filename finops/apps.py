"""Registers the frame with Django: system checks, and the Celery app that every task belongs to."""

from __future__ import annotations

from django.apps import AppConfig


class FrameConfig(AppConfig):
    name = "finops"

    def ready(self) -> None:
        """Import what registers itself."""
        # Both need settings, so they wait until here. A task called from a web process would
        # otherwise go to a Celery app without a broker.
        from finops import celery, checks  # noqa: F401, PLC0415
