"""Whatever goes wrong, a program gets a problem body and a person a page."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.test import Client

from attribution.api import costs
from finops.accounts.models import ApiKey

pytestmark = pytest.mark.django_db
PROBLEM = "application/problem+json"


@pytest.mark.parametrize("address", ["/api/v1/nothing", "/api/nothing", "/v1/nothing"])
def test_an_address_of_the_api_that_nobody_has(client: Client, address: str) -> None:
    response = client.post(address, {}, content_type="application/json")

    assert (response.status_code, response["Content-Type"]) == (404, PROBLEM)
    assert response.json() == {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing at this address.",
        "errors": [],
    }


def test_a_page_that_nobody_has_is_a_page(client: Client) -> None:
    response = client.get("/nothing")

    assert (response.status_code, response["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    "address", ["/api/v1/costs?from=2026-10-01&to=2026-11-01&filter=team:%00", "/api/v1/events/a/%00/explain"]
)
def test_a_nul_in_an_address(client: Client, address: str) -> None:
    response = client.get(address)

    assert (response.status_code, response["Content-Type"]) == (400, PROBLEM)
    assert [problem["code"] for problem in response.json()["errors"]] == ["not_printable"]
    assert client.get("/explorer/?filter=team:%00").status_code == 400


@pytest.mark.parametrize("address", ["costs?from=2026-10-01&to=2026-11-01&", "prices?"])
def test_a_time_that_is_none_in_utc(address: str) -> None:
    key = ApiKey.issue("reader", ["read"])[1]
    client = Client(headers={"Authorization": f"Bearer {key}"})

    response = client.get(f"/api/v1/{address}as_of=0001-01-01T00:00:00%2B14:00")

    assert (response.status_code, response["Content-Type"]) == (400, PROBLEM)
    assert [problem["field"] for problem in response.json()["errors"]] == ["as_of"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(OperationalError("the connection is closed"), 503), (ArithmeticError("of ours, with a secret"), 500)],
)
def test_a_failure_nobody_expected(monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    key = ApiKey.issue("reader", ["read"])[1]
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {key}"})

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(costs, "costs", fail)
    response = client.get("/api/v1/costs?from=2026-10-01&to=2026-11-01")

    assert (response.status_code, response["Content-Type"]) == (status, PROBLEM)
    assert response.json()["status"] == status
    assert "secret" not in response.content.decode()
