"""Days of single calls are tables: those that a test commits stay for the tests after it."""

from __future__ import annotations

import pytest
from django.db import connection

from attribution import partitions


@pytest.fixture
def _no_days(db: None) -> None:
    """Take out every day that is there, until the test is rolled back."""
    with connection.cursor() as cursor:
        for day in partitions.raw_days():
            cursor.execute(f"DROP TABLE call_unit_{day:%Y%m%d}, call_event_{day:%Y%m%d}")
