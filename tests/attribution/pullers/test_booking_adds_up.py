"""For any calls and any report: what is booked and what was told add up to what was reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribution.ingest.intake import Sender, take_in
from attribution.ingest.native import from_records
from attribution.models import ProviderUsage
from attribution.pullers import booking
from attribution.pullers.providers import midnight, provider_of
from tests.attribution.pullers.conftest import in_the_books, mapped

pytestmark = pytest.mark.django_db(transaction=True)

COUNTS = st.fixed_dictionaries(
    {
        "fresh": st.integers(0, 50),
        "read": st.integers(0, 50),
        "written": st.integers(0, 9),
        "out": st.integers(0, 9),
    }
)


def _usage(counts: Mapping[str, int]) -> dict[str, int]:
    return {
        "input_tokens": counts["fresh"] + counts["read"] + counts["written"],
        "cache_read_tokens": counts["read"],
        "cache_write_tokens": counts["written"],
        "output_tokens": counts["out"],
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reported=COUNTS, told=st.lists(COUNTS, max_size=3))
def test_booked_and_told_add_up_to_reported_or_nothing_is_booked(
    first: date, reported: dict[str, int], told: list[dict[str, int]]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE call_event, call_unit, ingest_batch, usage_hour, unit_hour,"
            " provider_usage, provider_day, provider_mapping CASCADE"
        )
    mapping = mapped(first)
    usage = _usage(reported)
    ProviderUsage.objects.create(
        provider="openai",
        report="completions",
        row_id="1",
        starts_at=midnight(first),
        ends_at=midnight(first + timedelta(days=1)),
        api_key="key_web",
        usage=usage,
        event={
            "event_id": "row",
            "occurred_at": datetime.combine(first, time(12), UTC).isoformat(),
            "provider": "openai",
            "model": "gpt-4o-2024-08-06",
            "operation": "usage_report",
        },
        raw={},
        first_seen_at=midnight(first),
        changed_at=midnight(first),
    )
    sent = [
        {
            "event_id": f"e{number}",
            "occurred_at": datetime.combine(first, time(number), UTC).isoformat(),
            "provider": "openai",
            "model": "gpt-4o",
            "usage": _usage(counts),
        }
        for number, counts in enumerate(told)
    ]
    take_in(from_records(sent), Sender("shop"))

    for _ in range(2):
        booking.settle(provider_of("openai"), first, first + timedelta(days=1))

    total: Counter[str] = Counter()
    for counts in told:
        total.update(counts)
    fits = all(total[name] <= reported[name] for name in reported)
    booked = in_the_books()
    if not fits:
        assert booked == []
    else:
        left = {name: reported[name] - total[name] for name in reported}
        assert [row[2:5] for row in booked] == (
            [(left["fresh"], left["read"], left["out"])] if any(left.values()) else []
        )
    assert mapping.days.count() <= 1
