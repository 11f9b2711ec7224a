"""Terms of ``docs/pricing.md``, entered by the API, make of days' usage what the page says."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal

import pytest
import time_machine
from django.db.models import F
from django.test import Client

from attribution import charging
from finops.core.meters import Meter
from pricing.models import SlotRate
from tests.attribution.charging.world import use
from tests.attribution.factory import dimension_set, price_slot
from tests.pricing.terms.desk import Desk
from tests.pricing.test_documented_examples import PAGE

BLOCKS = re.findall(r"^```charged\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
_DAY = re.compile(r"(\S+) (\d+) = (\S+) effective, (\S+) billed: .+")


def test_page_shows_terms() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.django_db
@pytest.mark.parametrize("block", BLOCKS)
def test_documented_terms_make_of_usage_what_the_page_says(client: Client, block: str) -> None:
    desk = Desk(client, "read", "write")
    made = dimension_set(feature="f"), price_slot({Meter.INPUT: "10"})
    SlotRate.objects.update(contracted_price=F("list_price"), effective_price=F("list_price"))
    days = {}
    with time_machine.travel("2026-11-24T12:00:00Z", tick=True):
        for line in block.splitlines():
            if line.startswith("POST "):
                _, path, body = line.split(" ", 2)
                desk.post(path, json.loads(body))
            elif said := _DAY.fullmatch(line):
                day, tokens, effective, billed = said.groups()
                use(date.fromisoformat(day), *made, {Meter.INPUT: int(tokens)})
                days[day] = (Decimal(effective), Decimal(billed))
        charging.derive(wait=True)
        answer = desk.get(
            "/api/v1/costs",
            {
                "from": "2026-10-01",
                "to": "2026-10-03",
                "granularity": "day",
                "measures": "effective_cost,billed_cost",
            },
        )

    (group,) = answer["groups"]
    found = {
        bucket["start"][:10]: (Decimal(bucket["effective_cost"]), Decimal(bucket["billed_cost"]))
        for bucket in group["buckets"]
    }
    assert len(days) == 2
    assert found == days
