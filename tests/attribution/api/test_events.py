"""Reading single calls by HTTP."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import quote

import pytest
from django.test import Client

from tests.attribution.api.conftest import Caller

pytestmark = pytest.mark.usefixtures("traffic")
URL = "/api/v1/events?from=2026-10-01&to=2026-11-01"


def test_calls_are_listed_with_cost_price_and_attribution(reader: Client) -> None:
    found = reader.get(f"{URL}&event_id=e/1").json()["results"]

    assert len(found) == 1
    call = found[0]
    assert (call["source"], call["model"], call["team"], call["customer"]) == (
        "app",
        "gpt-x",
        "search",
        "a,b",
    )
    assert (call["cost_status"], call["cost"], call["usage"]["input_tokens"]) == ("priced", "0.002", 1000)
    assert call["price"]["source"] == "a test"
    assert call["attribution"]["rule"] == "event tag"


def test_pages_are_linked_and_sum_to_the_report(reader: Client) -> None:
    url, costs, pages = f"{URL}&limit=2&filter=team:search,", [], 0
    while url:
        page = reader.get(url).json()
        costs += [Decimal(call["cost"] or 0) for call in page["results"]]
        url, pages = page["next"], pages + 1

    assert (pages, len(costs), sum(costs)) == (2, 3, Decimal("0.004"))


@pytest.mark.parametrize(
    ("more", "expected"),
    [("&status=error", 0), ("&status=success,error", 3), ("&priced=false", 1), ("&end_user=u", 1)],
)
def test_calls_are_filtered(reader: Client, more: str, expected: int) -> None:
    assert len(reader.get(URL + more).json()["results"]) == expected


@pytest.mark.parametrize(
    "more", ["&limit=0", "&limit=x", "&status=sad", "&priced=1", "&cursor=!!", "&team=a"]
)
def test_what_makes_no_sense_is_refused(reader: Client, more: str) -> None:
    assert reader.get(URL + more).status_code == 400


@pytest.mark.parametrize("event_id", ["e/1", "e2"])
def test_the_explanation_is_found_also_where_ids_have_slashes(reader: Client, event_id: str) -> None:
    answer = reader.get(f"/api/v1/events/app/{quote(event_id, safe='')}/explain").json()

    assert answer["event"]["event_id"] == event_id
    assert [
        (line["meter"], line["quantity"], line["unit_price"], line["cost"]) for line in answer["lines"]
    ] == [("input", "1000", "0.000002", "0.002")]
    assert answer["lines"][0]["price"]["source"] == "a test"
    assert (answer["status"], answer["cost"], answer["statement_line"]) == ("priced", "0.002", None)
    assert answer["attribution"]["rule"] == "event tag"


def test_strangers_are_told_that_there_is_no_such_call(caller: Caller) -> None:
    other = caller("read", team="chat")

    assert other.get("/api/v1/events/app/e2/explain").status_code == 404
    assert other.get(URL).json()["results"] == []
    assert caller("ingest").get(URL).status_code == 403
