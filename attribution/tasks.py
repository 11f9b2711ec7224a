"""What the worker does for the books; the schedule is in ``finops.pipeline``."""

from __future__ import annotations

import logging
from datetime import date, timedelta

from celery import shared_task
from django.utils import timezone

from attribution import charging, identity_audit, imports, partitions, restating, rollups, verification
from attribution.ingest.otlp import settling
from attribution.pullers import pulling
from attribution.pullers.client import PullFailed
from attribution.pullers.providers import PROVIDERS, provider_of
from finops.core.errors import Conflict

RECENT = timedelta(days=3)
MOST_SEGMENTS = 8

logger = logging.getLogger(__name__)


@shared_task
def fold_batches() -> None:
    """Add what was acknowledged since the last time to the rollups; nothing while another does."""
    result = rollups.fold()
    if result.calls:
        logger.info(
            "folded", extra={"calls": result.calls, "batches": result.batches, "seconds": result.seconds}
        )


@shared_task
def derive_charges() -> None:
    """Let charges beside usage follow what was booked, priced and agreed; nothing where nothing changed."""
    derived = charging.derive()
    if derived.charges:
        logger.info(
            "derived charges",
            extra={"charges": derived.charges, "days": derived.days, "seconds": derived.seconds},
        )


@shared_task
def settle_prices() -> None:
    """Move calls whose slot a publication narrowed; nothing where none did."""
    moved = restating.settle()
    if moved.calls:
        logger.info("moved to narrower slots", extra={"calls": moved.calls, "days": moved.days})


@shared_task
def compact_recent() -> None:
    """Merge the segments that folds of the last days have left, where they are many."""
    rollups.compact(first=timezone.localdate() - RECENT, most=MOST_SEGMENTS)


@shared_task
def compact_all() -> None:
    """Leave one segment a group of each day."""
    rollups.compact(first=date.min, most=1, wait=True)


@shared_task
def settle_spans() -> None:
    """Book the calls that spans tell of, once these have waited for their relatives."""
    result = settling.settle()
    if result.decided or result.booked or result.refused:
        logger.info("settled spans", extra={"decided": result.decided, "booked": result.booked})


@shared_task
def forget_spans() -> None:
    """Drop spans whose relatives cannot be expected any more."""
    settling.forget()


@shared_task
def pull_provider_reports() -> None:
    """Read what is due of every provider that has an admin key; raises the last problem, after all others."""
    failed: PullFailed | None = None
    for provider in filter(lambda one: one.is_configured, map(provider_of, PROVIDERS)):
        try:
            pulled = pulling.pull_due(provider)
        except Conflict as error:
            logger.info("not pulled", extra={"provider": provider.name, "reason": error.detail})
        except PullFailed as error:
            failed = error
        else:
            logger.info("pulled", extra={"provider": provider.name, "rows": pulled.rows})
    if failed is not None:
        raise failed


@shared_task
def keep_partitions() -> None:
    """Make the days ahead, drop the calls past retention."""
    kept = partitions.keep_partitions(timezone.now())
    logger.info("kept partitions", extra={"made": kept.made, "dropped": len(kept.dropped)})


@shared_task
def audit_identities() -> None:
    """Take out what was booked twice under one identity, further apart than the door looks."""
    result = identity_audit.audit_identities()
    logger.info("audited identities", extra={"removed": result.removed})


@shared_task
def verify_books() -> None:
    """Check what must always hold; a failure is logged as an error and shown on Data health."""
    report = verification.verify()
    failed = [check.name for check in report.checks if check.failed]
    if failed:
        logger.error("the books do not hold", extra={"checks": failed})


@shared_task
def carry_out_import(import_id: int) -> None:
    """Import one file; nothing while another worker does."""
    imports.carry_out(import_id)


@shared_task
def resume_imports() -> None:
    """Carry on with imports whose worker was killed or never heard of them."""
    imports.resume()
