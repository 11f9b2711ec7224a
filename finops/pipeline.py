"""The schedule: everything the worker does by itself, on one screen.

Tasks only trigger. What there is to do is in the database, each task is safe to run twice, and one
that finds its predecessor at work returns at once; so a beat that was lost is made up for by the
next one, and ``expires`` keeps missed beats from piling up.
"""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

# Any: Celery's own shape of a schedule entry.
SCHEDULE: dict[str, dict[str, Any]] = {
    # Acknowledged calls into the rollups: visible in reports a second or two later.
    "fold": {
        "task": "attribution.tasks.fold_batches",
        "schedule": 1.0,
        "options": {"queue": "books", "expires": 2},
    },
    # What commitments, volume bands, credits and taxes make of it: soon after usage, prices or terms changed.
    "charges": {
        "task": "attribution.tasks.derive_charges",
        "schedule": 10.0,
        "options": {"queue": "books", "expires": 10},
    },
    # Calls whose slot a publication narrowed: soon after it, or after a worker that was killed at it.
    "prices": {
        "task": "attribution.tasks.settle_prices",
        "schedule": 10.0,
        "options": {"queue": "books", "expires": 10},
    },
    # Segments of users and tasks: one a group in the end, a handful meanwhile.
    "recent_segments": {
        "task": "attribution.tasks.compact_recent",
        "schedule": crontab(minute="*/10"),
        "options": {"queue": "books", "expires": 600},
    },
    "segments": {
        "task": "attribution.tasks.compact_all",
        "schedule": crontab(minute="50", hour="2"),
        "options": {"queue": "books", "expires": 3600},
    },
    # Calls out of the spans that tell of them.
    "spans": {
        "task": "attribution.tasks.settle_spans",
        "schedule": 1.0,
        "options": {"queue": "books", "expires": 2},
    },
    "old_spans": {
        "task": "attribution.tasks.forget_spans",
        "schedule": crontab(minute="*/5"),
        "options": {"queue": "books", "expires": 300},
    },
    # Imports whose worker was killed, or that no worker heard of.
    "imports": {
        "task": "attribution.tasks.resume_imports",
        "schedule": 30.0,
        "options": {"queue": "books", "expires": 30},
    },
    # Usage and cost as providers report them; nothing where no admin key is configured.
    "provider_reports": {
        "task": "attribution.tasks.pull_provider_reports",
        "schedule": crontab(minute="35"),
        "options": {"queue": "books", "expires": 1800},
    },
    # Partitions of the days ahead; single calls past retention.
    "partitions": {
        "task": "attribution.tasks.keep_partitions",
        "schedule": crontab(minute="17", hour="*/6"),
        "options": {"queue": "books", "expires": 3600},
    },
    # Retries re-stamped by more than a day.
    "identities": {
        "task": "attribution.tasks.audit_identities",
        "schedule": crontab(minute="40", hour="1"),
        "options": {"queue": "books", "expires": 3600},
    },
    # Answers kept for repeated POSTs, and sessions that are over.
    "leftovers": {
        "task": "finops.accounts.tasks.forget_leftovers",
        "schedule": crontab(minute="25", hour="*"),
        "options": {"queue": "books", "expires": 3600},
    },
    # What must always hold.
    "verify": {
        "task": "attribution.tasks.verify_books",
        "schedule": crontab(minute="10", hour="3"),
        "options": {"queue": "books", "expires": 3600},
    },
    # What the installed open price list says otherwise than the book: proposed, never applied.
    "price_proposals": {
        "task": "pricing.tasks.propose_prices",
        "schedule": crontab(minute="30", hour="4", day_of_week="1"),
        "options": {"queue": "books", "expires": 86_400},
    },
}
