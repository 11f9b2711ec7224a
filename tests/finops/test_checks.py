"""Misconfiguration is refused when it is made."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from attribution.models import BooksSetting
from attribution.rollups import ZONE_SETTING
from finops import checks


def _ids(messages: list[Any]) -> list[str]:
    return [message.id for message in messages]


def test_no_other_currency_without_exchange_rates(settings: Any) -> None:
    assert _ids(checks.currency_is_supported(None)) == []

    settings.REPORTING_CURRENCY = "EUR"

    assert _ids(checks.currency_is_supported(None)) == ["finops.E001"]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://finops.example.com", []),
        ("http://127.0.0.1:8000", []),
        ("finops.example.com", ["finops.E002"]),
        ("https://finops.example.com/?a=1", ["finops.E002"]),
    ],
)
def test_the_public_address_is_one(settings: Any, url: str, found: list[str]) -> None:
    settings.PUBLIC_URL = url

    assert _ids(checks.public_url_is_a_url(None)) == found


@pytest.mark.parametrize(
    ("rate", "found"), [("600/min", []), ("600", ["finops.E004"]), ("0/s", ["finops.E004"])]
)
def test_the_rate_limit_is_a_rate(settings: Any, rate: str, found: list[str]) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"principal": rate}}

    assert _ids(checks.rate_limit_is_a_rate(None)) == found


@pytest.mark.django_db
def test_the_zone_of_the_books_is_kept(settings: Any) -> None:
    BooksSetting.objects.create(name=ZONE_SETTING, value="Europe/Lisbon")

    settings.REPORTING_TIME_ZONE = ZoneInfo("Europe/Lisbon")
    assert _ids(checks.zone_is_that_of_the_books(None, databases=["default"])) == []

    settings.REPORTING_TIME_ZONE = ZoneInfo("Asia/Kathmandu")
    assert _ids(checks.zone_is_that_of_the_books(None, databases=["default"])) == ["finops.E003"]
    assert checks.zone_is_that_of_the_books(None, databases=None) == []


def test_a_deployment_is_told_what_is_open(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert _ids(checks.deployment_is_private(None)) == ["finops.W001", "finops.W003", "finops.W004"]

    settings.BEHIND_TLS = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.METRICS_TOKEN = "secret"
    assert _ids(checks.deployment_is_private(None)) == ["finops.W002"]

    settings.PUBLIC_URL = "https://finops.example.com"
    assert checks.deployment_is_private(None) == []
