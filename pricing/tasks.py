"""What the worker does for prices; the schedule is in ``finops.pipeline``."""

from __future__ import annotations

import logging

from celery import shared_task

from pricing import proposals

logger = logging.getLogger(__name__)


@shared_task
def propose_prices() -> None:
    """Draft what the library says otherwise than the book; nothing is applied. Safe to run twice."""
    done = proposals.propose()
    if done.version is None:
        logger.info("no prices proposed: %s", done.why)
    else:
        logger.info("prices proposed", extra={"version": done.version.pk})
