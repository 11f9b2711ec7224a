"""What the product stands on: whether database and broker answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from kombu import Connection

BROKER_SECONDS = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engines:
    """The database answered, or there would be no page: its version, size in bytes, connections."""

    database_version: str
    database_bytes: int
    database_connections: int
    broker_answers: bool


def engines() -> Engines:
    """One query, and one knock at the broker."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), pg_database_size(current_database()),"
            " (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())"
        )
        version, size, connections = cursor.fetchone()
    return Engines(str(version).partition(" ")[0], size, connections, _broker_answers())


def _broker_answers() -> bool:
    try:
        with Connection(settings.CELERY_BROKER_URL, connect_timeout=BROKER_SECONDS) as broker:
            broker.ensure_connection(max_retries=0, timeout=BROKER_SECONDS)
    except Exception as error:  # noqa: BLE001  (each transport raises its own)
        logger.warning("data health: broker: %s", error)
        return False
    return True
