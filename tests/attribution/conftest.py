"""Single calls are not a managed table: tests that commit must take them out themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection


@pytest.fixture(autouse=True)
def _no_calls_left(request: pytest.FixtureRequest) -> Iterator[None]:
    marker = request.node.get_closest_marker("django_db")
    is_committing = marker is not None and marker.kwargs.get("transaction", False)
    if is_committing:
        request.getfixturevalue("transactional_db")
    yield
    if is_committing:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE call_event, call_unit")
