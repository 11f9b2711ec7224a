"""Outcomes and revenue stated at the same moment: nobody waits in a circle, nothing is there twice."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection

from attribution import outcomes, revenue
from attribution.models import Revenue, TaskOutcome
from attribution.outcomes import Sender
from attribution.revenue import Earned
from finops.accounts.models import ApiKey
from finops.accounts.permissions import principal_of_key

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = 4


def test_the_same_outcomes_in_any_order_at_once() -> None:
    start = datetime(2026, 10, 5, tzinfo=UTC)
    items = [
        {
            "task_id": f"t-{number % 200}",
            "outcome": ("success", "failure")[number % 2],
            "occurred_at": (start + timedelta(seconds=number // 200)).isoformat(),
        }
        for number in range(1_000)
    ]
    together = Barrier(AT_ONCE)

    def send(seed: int) -> int:
        mixed = random.Random(seed).sample(items, len(items))
        together.wait(20)
        try:
            return outcomes.record(mixed, Sender("k", "s")).accepted
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        accepted = list(pool.map(send, range(AT_ONCE)))

    assert sum(accepted) == TaskOutcome.objects.count() == len(items)


def test_amounts_told_at_once_leave_one_that_holds() -> None:
    principal = principal_of_key(ApiKey.issue("k", ["write"])[0])
    together = Barrier(AT_ONCE)

    def tell(amount: int) -> None:
        together.wait(20)
        try:
            revenue.record(Earned(period="2026-10", currency="USD", revenue=Decimal(amount)), principal)
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(tell, range(AT_ONCE)))

    assert Revenue.objects.filter(known_to=None).count() == 1
    assert Revenue.objects.count() == AT_ONCE
