"""Whether the instance lives and is ready: ``/healthz``, ``/readyz`` and ``/metrics``.

Answered before anything else looks at the request, for a probe comes with whatever Host header and
scheme it likes, and must not cost a session.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from kombu import Connection

from finops import metrics

logger = logging.getLogger(__name__)

OK: Final = "ok"
BROKER_SECONDS = 2


class ProbeMiddleware:
    """Answers the three probes; every other request passes by, counted and timed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.answers: Mapping[str, Callable[[HttpRequest], HttpResponse]] = {
            "/healthz": live,
            "/readyz": ready,
            "/metrics": exposition,
        }

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.answers.get(request.path_info)
        if answer is not None and request.method in ("GET", "HEAD"):
            return answer(request)
        with metrics.timed(request) as outcome:
            response = self.get_response(request)
            outcome.status = response.status_code
        return response


def live(request: HttpRequest) -> HttpResponse:
    """200 while this process answers at all: whoever probes it may restart it otherwise."""
    return _json({"status": OK})


def ready(request: HttpRequest) -> HttpResponse:
    """200 when events can be taken: database, migrations and today's partition are there, else 503.

    The broker is reported too but does not decide: it only triggers work, and events are taken and
    kept without it.
    """
    checks = _database()
    is_ready = all(found == OK for found in checks.values())
    checks["broker"] = _broker()
    return _json({"status": OK if is_ready else "not ready", "checks": checks}, 200 if is_ready else 503)


def exposition(request: HttpRequest) -> HttpResponse:
    """Prometheus text; with METRICS_TOKEN set, only for ``Authorization: Bearer`` that token."""
    expected = settings.METRICS_TOKEN
    offered = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if expected and not hmac.compare_digest(offered.encode(), expected.encode()):
        refusal = _answer(b"A bearer token is needed.\n", "text/plain", 401)
        refusal["WWW-Authenticate"] = "Bearer"
        return refusal
    return _answer(metrics.exposition(), metrics.CONTENT_TYPE)


def _database() -> dict[str, str]:
    """What depends on the database; it may also leave between two of these questions."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return {"database": OK, "migrations": _migrations(), "partitions": _partitions()}
    except DatabaseFault as error:
        logger.warning("readiness: database: %s", error)
        # What is broken is dropped, so that the next probe connects anew.
        with suppress(DatabaseFault):
            connection.close()
        return {"database": "unreachable"}


_migrated = False


def _migrations() -> str:
    """Looked at until complete once: code and its migrations do not change under a process."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return OK if _migrated else "not applied: run manage.py migrate"


def _partitions() -> str:
    """Today's and tomorrow's day partitions of the calls."""
    today = datetime.now(UTC).date()
    names = [f"call_event_{day:%Y%m%d}" for day in (today, today + timedelta(days=1))]
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM unnest(%s::text[]) name WHERE to_regclass(name) IS NULL", [names])
        missing = [name for (name,) in cursor.fetchall()]
    return OK if not missing else f"missing: {', '.join(missing)}"


def _broker() -> str:
    try:
        with Connection(settings.CELERY_BROKER_URL, connect_timeout=BROKER_SECONDS) as broker:
            broker.ensure_connection(max_retries=0, timeout=BROKER_SECONDS)
    except Exception as error:  # noqa: BLE001  (each transport raises its own)
        logger.warning("readiness: broker: %s", error)
        return "unreachable"
    return OK


def _json(body: object, status: int = 200) -> HttpResponse:
    return _answer(msgspec.json.encode(body), "application/json", status)


def _answer(body: bytes, content_type: str, status: int = 200) -> HttpResponse:
    response = HttpResponse(body, content_type, status)
    response["Cache-Control"] = "no-store"
    response["Content-Length"] = str(len(body))
    return response
