"""``GET /api/v1/costs`` as it is promised."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from attribution.reports import DIMENSIONS, MEASURES
from finops.accounts.models import Role, User
from pricing.fx import book_rate
from tests.attribution.api.conftest import Caller

pytestmark = pytest.mark.usefixtures("traffic")
URL = "/api/v1/costs?from=2026-10-01&to=2026-11-01"


def get(client: Client, more: str = "", status: int = 200) -> dict[str, Any]:
    response = client.get(URL + more)
    assert response.status_code == status, response.content
    answer: dict[str, Any] = response.json()
    return answer


def test_the_answer_has_groups_buckets_total_and_coverage(reader: Client) -> None:
    answer = get(reader, "&granularity=day&group_by=team,model")

    as_of, complete_to = answer.pop("as_of"), answer["coverage"].pop("complete_to")
    assert as_of.endswith("Z")
    assert complete_to.endswith("Z")
    assert answer == {
        "from": "2026-10-01",
        "to": "2026-11-01",
        "time_zone": "UTC",
        "currency": "USD",
        "groups": [
            {
                "key": {"team": "search", "model": "gpt-x"},
                "buckets": [
                    {
                        "start": f"2026-10-0{day}",
                        "effective_cost": "0.002",
                        "calls": 1,
                        "input_tokens": 1000,
                        "output_tokens": 0,
                    }
                    for day in (5, 6)
                ],
            },
            {
                "key": {"team": None, "model": "mystery"},
                "buckets": [
                    {
                        "start": "2026-10-05",
                        "effective_cost": None,
                        "calls": 1,
                        "input_tokens": 7,
                        "output_tokens": 0,
                    }
                ],
            },
        ],
        "total": {"effective_cost": "0.004", "calls": 3, "input_tokens": 2007, "output_tokens": 0},
        "coverage": {
            "calls": 3,
            "unpriced_calls": 1,
            "unpriced_quantities": {"input": "7"},
            "unattributed_calls": 1,
            "unattributed_cost": None,
            "pending_calls": 0,
        },
    }


def test_every_dimension_groups_to_the_same_total(reader: Client) -> None:
    totals = {str(get(reader, f"&group_by={name}&measures=list_cost,calls")["total"]) for name in DIMENSIONS}
    assert totals == {str({"list_cost": "0.005", "calls": 3})}


def test_every_measure_is_answered(reader: Client) -> None:
    total = get(reader, f"&granularity=month&measures={','.join(MEASURES)}")["total"]

    assert set(total) == set(MEASURES)
    assert total["active_users"] == 1
    assert total["p50_duration_ms"] == pytest.approx(120, rel=0.03)


@pytest.mark.parametrize(
    ("filters", "calls"),
    [
        ("&filter=team:search", 2),
        ("&filter=team:search,chat&filter=model:mystery", 0),
        ("&filter=team:", 1),
        ("&filter=!team:", 2),
        ("&filter=!team:search", 1),
        ("&filter=team:search,", 3),
        ('&filter=customer:"a,b"', 1),
        ("&filter=team:se%27%3B--", 0),
    ],
)
def test_filters_are_read_from_the_url(reader: Client, filters: str, calls: int) -> None:
    assert get(reader, f"{filters}&measures=calls")["total"] == {"calls": calls}


def test_hours_start_at_instants_in_utc(reader: Client) -> None:
    groups = get(reader, "&granularity=hour&measures=calls")["groups"]
    assert [bucket["start"] for bucket in groups[0]["buckets"]] == [
        "2026-10-05T12:00:00Z",
        "2026-10-06T12:00:00Z",
    ]


def test_every_fault_of_a_question_is_named_at_once(reader: Client) -> None:
    url = (
        "/api/v1/costs?from=yesterday&granularity=minute&group_by=colour&measures=beauty&filter=team"
        "&currency=euros&as_of=2026-10-01T00:00:00&page=2"
    )
    response = reader.get(url)

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert {(error["field"], error["code"]) for error in response.json()["errors"]} == {
        ("page", "unknown"),
        ("from", "invalid"),
        ("to", "required"),
        ("granularity", "invalid"),
        ("filter", "invalid"),
        ("currency", "invalid"),
        ("as_of", "invalid"),
        ("group_by", "unknown"),
        ("measures", "unknown"),
    }


@pytest.mark.parametrize("measure", ["tasks", "active_users", "p95_duration_ms"])
def test_what_is_kept_by_day_is_refused_by_the_hour_by_name(reader: Client, measure: str) -> None:
    problem = get(reader, f"&granularity=hour&measures={measure}", 400)
    assert problem["errors"] == [
        {"field": "measures", "code": "too_fine", "message": f"{measure} is kept by day, not by hour."}
    ]


@pytest.mark.parametrize(
    "more", ["&to=2026-10-01", "&from=0001-01-01", "&filter=team:a&filter=team:b", "&to=2026-10-01T00:00:00Z"]
)
def test_ranges_and_filters_that_make_no_sense_are_refused(reader: Client, more: str) -> None:
    get(reader, more, 400)


def test_a_key_bound_to_a_team_sees_that_team_alone(caller: Caller) -> None:
    assert get(caller("read", team="search"), "&measures=calls")["total"] == {"calls": 2}
    assert get(caller("read", team="chat"), "&measures=calls&group_by=team")["groups"] == []


def test_without_a_key_or_its_scope_there_is_no_answer(client: Client, caller: Caller) -> None:
    assert client.get(URL).status_code == 401
    assert caller("ingest").get(URL).status_code == 403


def test_amounts_are_converted_by_the_rate_booked_for_their_month(reader: Client) -> None:
    problem = get(reader, "&currency=EUR", 400)
    assert problem["errors"] == [
        {
            "field": "currency",
            "code": "no_rate",
            "message": "No rate of exchange of EUR is booked for 2026-10.",
        }
    ]

    book_rate("EUR", date(2026, 10, 1), Decimal("0.9"), by="ann")
    answer = get(reader, "&currency=EUR&measures=billed_cost")
    assert (answer["currency"], answer["total"]) == ("EUR", {"billed_cost": "0.00405"})


@pytest.mark.parametrize("measure", ["contracted_cost", "billed_cost"])
def test_what_was_negotiated_needs_a_right_of_its_own(client: Client, measure: str) -> None:
    engineer = User.objects.create_user("eve@example.com", role=Role.ENGINEER)
    client.force_login(engineer)

    assert client.get(f"{URL}&measures={measure}").status_code == 403
    assert client.get(f"{URL}&measures=effective_cost").status_code == 200
