"""The three probes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client

from finops import health

PARTITIONS = "SELECT ensure_call_partition(current_date + n) FROM generate_series(0, 2) n"


@pytest.fixture
def partitions(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS)


def test_live_needs_no_database(client: Client) -> None:
    answer = client.get("/healthz", headers={"host": "probe.invalid"})

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer["X-Request-Id"]


@pytest.mark.usefixtures("partitions")
def test_ready_when_database_migrations_and_partitions_are_there(client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "checks": {"database": "ok", "migrations": "ok", "partitions": "ok", "broker": "ok"},
    }


@pytest.mark.usefixtures("partitions")
def test_a_lost_broker_is_shown_and_does_not_stop_events(client: Client, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis+socket:///nowhere/broker.sock"

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["checks"]["broker"]) == (200, "unreachable")


@pytest.mark.usefixtures("partitions")
@pytest.mark.parametrize("fault", [OperationalError, InterfaceError])
def test_not_ready_when_the_database_leaves_between_two_questions(
    client: Client, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    def gone() -> str:
        raise fault("the server closed the connection")

    monkeypatch.setattr(health, "_partitions", gone)
    # The connection is the test's own: it must outlive this answer.
    monkeypatch.setattr(connection, "close", lambda: None)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "unreachable"


@pytest.mark.usefixtures("db")
def test_not_ready_without_the_day_partitions(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT format('call_event_%s', to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'))")
        name = cursor.fetchone()[0]
        cursor.execute(f"DROP TABLE IF EXISTS {name}")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["partitions"].startswith(f"missing: {name}")


@pytest.mark.usefixtures("partitions")
def test_not_ready_while_a_migration_is_missing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'attribution'")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"] == "not applied: run manage.py migrate"


@pytest.mark.usefixtures("partitions")
def test_the_fold_lag_is_the_age_of_the_oldest_waiting_batch(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_batch (received_at, accepted, duplicates, conflicts, rejected,"
            " content_dropped, first_at, last_at)"
            " SELECT now() - age, 7, 0, 0, 0, 0, now(), now()"
            " FROM unnest(array[interval '90 seconds', interval '10 seconds']) age"
        )

    lines = client.get("/metrics").content.decode().splitlines()

    values = dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    assert values["finops_fold_batches_waiting"] == "2.0"
    assert 90 <= float(values["finops_fold_lag_seconds"]) < 120
    assert values["finops_events_accepted_last_minute"] == "7.0"
    assert values["finops_partition_days_ahead"] == "2.0"


@pytest.mark.usefixtures("partitions")
def test_metrics_may_be_kept_from_strangers(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "scrape-me"

    refused = client.get("/metrics", headers={"authorization": "Bearer guess"})
    answered = client.get("/metrics", headers={"authorization": "Bearer scrape-me"})

    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer")
    assert answered.status_code == 200
