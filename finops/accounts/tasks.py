"""What the worker does for accounts: forgetting."""

from __future__ import annotations

from importlib import import_module

from celery import shared_task
from django.conf import settings

from finops.accounts.idempotency import forget_old_answers


@shared_task
def forget_leftovers() -> None:
    """Answers past their keeping and sessions that are over. Safe to run twice."""
    forget_old_answers()
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
