"""Several processes at once: one publication, one slot, the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import numpy as np
import pytest
from django.db import connection

from pricing.facts import Facts
from pricing.models import BookVersion, PriceSlot, SlotRate, UnitMeter
from pricing.publishing import load_vendored
from pricing.slots import SlotBook

pytestmark = pytest.mark.django_db(transaction=True)
Result = TypeVar("Result")
AT_ONCE = 4


def at_once(task: Callable[[], Result]) -> list[Result]:
    """The results of a task that threads with connections of their own begin together."""
    start = Barrier(AT_ONCE)

    def run() -> Result:
        try:
            start.wait()
            return task()
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [running.result() for running in [pool.submit(run) for _ in range(AT_ONCE)]]


def test_list_is_published_once_by_many() -> None:
    done = at_once(load_vendored)

    assert sum(publication.version is not None for publication in done) == 1
    assert BookVersion.objects.count() == 1


def test_slots_are_made_once_by_many_and_are_rated() -> None:
    load_vendored()
    models = ("gpt-5", "gpt-5-mini", "o3", "gpt-4o", "none-such")
    facts = [Facts("openai", model) for model in models]
    times, prompts = np.full(5, 1_793_000_000_000_000), np.full(5, 100)

    ids = at_once(lambda: tuple(SlotBook().resolve(facts, times, prompts).tolist()))

    assert len(set(ids)) == 1
    assert PriceSlot.objects.count() == 5
    assert SlotRate.objects.values("slot").distinct().count() == 4


def test_units_are_numbered_once_by_many_from_a_hundred_on() -> None:
    numbered = at_once(lambda: SlotBook().unit_meter_ids(["web_search_calls", "audio_seconds"]))

    assert all(numbers == numbered[0] for numbers in numbered)
    assert UnitMeter.objects.count() == 2
    assert min(numbered[0].values()) >= 100
