"""``/api/v1/fx_rates``: one rate or a list, all or none, and the past stays."""

from __future__ import annotations

import pytest
import time_machine
from django.test import Client

from pricing.models import FxRate
from tests.pricing.terms.desk import Desk

pytestmark = pytest.mark.django_db
PATH = "/api/v1/fx_rates"


@pytest.fixture
def desk(client: Client) -> Desk:
    return Desk(client, "read", "write")


def test_one_rate_or_several_are_booked_and_listed(desk: Desk) -> None:
    with time_machine.travel("2026-10-15T12:00:00Z", tick=True):
        one = desk.post(
            PATH,
            {"currency": "eur", "month": "2026-09", "rate": "0.910", "source": "ECB"},
            key="a",
        )
        many = {
            "rates": [
                {"currency": "EUR", "month": "2026-10-31", "rate": "0.92"},
                {"currency": "EUR", "month": "2026-09", "rate": "0.91"},
                {"currency": "JPY", "month": "2026-10", "rate": 151.25},
            ]
        }
        assert desk.post(PATH, many)["booked"] == 2
    with time_machine.travel("2026-10-20T12:00:00Z", tick=True):
        desk.post(PATH, {"currency": "EUR", "month": "2026-10", "rate": "0.93"})

    (booked,) = one["rates"]
    assert (booked["currency"], booked["month"], booked["rate"], booked["source"]) == (
        "EUR", "2026-09", "0.91", "ECB",
    )  # fmt: skip
    now = desk.get(PATH, {"from": "2026-10", "to": "2026-11"})["results"]
    assert [(row["currency"], row["rate"]) for row in now] == [("EUR", "0.93"), ("JPY", "151.25")]
    then = desk.get(PATH, {"currency": "eur", "as_of": "2026-10-18T00:00:00Z", "limit": "1"})
    assert [row["rate"] for row in then["results"]] == ["0.91"]
    assert desk.get(then["next"])["results"][0]["rate"] == "0.92"
    desk.get(PATH, {"from": "October"}, expect=400)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"month": "2026-10", "rate": "1"}, ("currency", "required")),
        ({"currency": "USD", "month": "2026-10", "rate": "1"}, ("currency", "invalid")),
        ({"currency": "EUR", "month": "2026", "rate": "1"}, ("month", "invalid")),
        ({"currency": "EUR", "month": 202610, "rate": "1"}, ("month", "invalid")),
        ({"currency": "EUR", "month": "2026-10", "rate": "0"}, ("rate", "invalid")),
        ({"currency": "EUR", "month": "2026-10", "rate": "1", "rates_": 1}, ("rates_", "unknown")),
        ({"rates": []}, ("rates", "invalid")),
        ({"rates": [{}], "currency": "EUR"}, ("currency", "unknown")),
        ([], ("body", "invalid")),
        (
            {"rates": [{"currency": "EUR", "month": "2026-10", "rate": "1"}, 7]},
            ("rates.1", "invalid"),
        ),
        (
            {
                "rates": [
                    {"currency": "EUR", "month": "2026-10", "rate": "1"},
                    {"currency": "EUR", "month": "2026-10", "rate": "-1"},
                ]
            },
            ("rates.1.rate", "invalid"),
        ),
    ],
)
def test_what_is_wrong_is_named_and_nothing_booked(
    desk: Desk, body: object, problem: tuple[str, str]
) -> None:
    refused = desk.post(PATH, body, expect=400)

    assert [(one["field"], one["code"]) for one in refused["errors"]] == [problem]
    assert not FxRate.objects.exists()


def test_a_past_rate_is_refused_with_its_place_and_takes_the_rest_with_it(desk: Desk, client: Client) -> None:
    desk.post(PATH, {"currency": "EUR", "month": "2020-01", "rate": "0.9"})
    other = {"currency": "EUR", "month": "2020-02", "rate": "0.9"}
    again = {"currency": "EUR", "month": "2020-01", "rate": "0.8"}

    refused = desk.post(PATH, {"rates": [other, again]}, expect=409)

    assert [(one["field"], one["code"]) for one in refused["errors"]] == [("rates.1.rate", "final")]
    assert FxRate.objects.count() == 1
    reader = Desk(client, "read")
    reader.post(PATH, other, expect=403)
    assert len(reader.get(PATH)["results"]) == 1
    assert client.get(PATH).status_code == 401
