"""Writes the audit log: one line for every change, in the transaction of the change."""

from __future__ import annotations

from typing import Any

from finops.accounts.models import AuditEntry
from finops.core.requests import request_id


def record(
    actor: str,
    action: str,
    *,
    subject_kind: str,
    subject: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Remember one change. ``before`` is None for what is new, ``after`` for what is gone."""
    current = request_id.get()
    AuditEntry.objects.create(
        actor=actor,
        action=action,
        subject_kind=subject_kind,
        subject=subject,
        before=before,
        after=after,
        request_id="" if current == "-" else current,
    )
