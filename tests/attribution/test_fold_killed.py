"""The worker is killed in the middle of a fold: nothing is lost, nothing counted twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from django.db import connection, transaction

from attribution import rollups
from attribution.models import IngestBatch, UsageDay
from attribution.verification import verify
from tests.attribution.factory import Call, book, dimension_set, price_slot

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
FOLD = "import django; django.setup(); from attribution import rollups; rollups.fold()"


def database_url() -> str:
    values = connection.settings_dict
    return f"postgresql://{values['USER']}@/{values['NAME']}?host={quote(values['HOST'], safe='')}"


def is_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_middle_of_a_fold_leaves_it_to_the_next() -> None:
    made = dimension_set(), price_slot()
    book(Call(NOON, *made, {"input": 1}, duration_ms=1) for _ in range(50))
    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "finops.settings"}

    with transaction.atomic():
        # A day's row that is not committed: the fold comes to it with other rows written, and waits.
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO duration_owner_day (day, dimension_set_id, step, calls)"
                " VALUES ('2026-10-05', %s, 16, 1)",
                made[:1],
            )
        worker = subprocess.Popen([sys.executable, "-c", FOLD], env=environment)
        deadline = time.monotonic() + 30
        while not is_waiting():
            assert worker.poll() is None, "the fold ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        worker.kill()
        worker.wait()
        transaction.set_rollback(True)

    assert not UsageDay.objects.exists()
    assert IngestBatch.objects.filter(folded_at=None).count() == 1
    rollups.fold(wait=True)
    assert UsageDay.objects.get().calls == 50
    assert verify().passed
