"""System checks: misconfiguration is refused when it is made, not discovered in a report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import DatabaseError, connection
from rest_framework.settings import api_settings

from attribution.rollups import ZONE_SETTING


@register(Tags.compatibility)
def currency_is_supported(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Prices are in USD, and no exchange rates are kept yet to report in anything else."""
    if settings.REPORTING_CURRENCY == "USD":
        return []
    return [
        checks.Error(
            f"REPORTING_CURRENCY is {settings.REPORTING_CURRENCY}, and only USD can be reported in.",
            hint="Provider prices are in USD; reporting in another currency needs exchange rates, "
            "which are not kept yet.",
            id="finops.E001",
        )
    ]


@register(Tags.compatibility)
def public_url_is_a_url(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Links in messages and exports begin with it."""
    url = urlsplit(settings.PUBLIC_URL)
    if url.scheme in ("http", "https") and url.hostname and not url.query and not url.fragment:
        return []
    return [
        checks.Error(
            f"PUBLIC_URL is {settings.PUBLIC_URL!r}, which is not the address of a site.",
            hint="Give it as https://finops.example.com.",
            id="finops.E002",
        )
    ]


@register(Tags.compatibility)
def rate_limit_is_a_rate(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """It would otherwise fail at the first request."""
    rate = str(api_settings.DEFAULT_THROTTLE_RATES["principal"])
    if re.fullmatch(r"[1-9][0-9]*/(s|sec|m|min|h|hour|d|day)", rate):
        return []
    return [
        checks.Error(
            f"API_RATE_LIMIT is {rate!r}, which is not a rate.",
            hint="Give it as 6000/min: a whole number per s, min, hour or day.",
            id="finops.E004",
        )
    ]


@register(Tags.database)
def zone_is_that_of_the_books(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """A reporting day is a day of the zone that the first usage was rolled up in."""
    if not databases:
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT value FROM books_setting WHERE name = %s", [ZONE_SETTING])
            row = cursor.fetchone()
    except DatabaseError:
        # No database, or not migrated yet: others say so.
        return []
    if row is None or row[0] == settings.REPORTING_TIME_ZONE.key:
        return []
    return [
        checks.Error(
            f"REPORTING_TIME_ZONE is {settings.REPORTING_TIME_ZONE.key}, and the books were opened in "
            f"{row[0]}.",
            hint=f"Set REPORTING_TIME_ZONE={row[0]}: days and months already reported would change.",
            id="finops.E003",
        )
    ]


@register(Tags.security, deploy=True)
def deployment_is_private(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """What is fine on one's own machine and not on a shared one."""
    found: list[CheckMessage] = []
    if not settings.BEHIND_TLS:
        found.append(
            checks.Warning(
                "BEHIND_TLS is not set: keys and sessions travel in the clear.",
                hint="Serve behind a proxy that ends TLS and set BEHIND_TLS=true.",
                id="finops.W001",
            )
        )
    elif urlsplit(settings.PUBLIC_URL).scheme != "https":
        found.append(
            checks.Warning(
                f"BEHIND_TLS is set and PUBLIC_URL is {settings.PUBLIC_URL}.",
                hint="Give PUBLIC_URL with https.",
                id="finops.W002",
            )
        )
    if settings.EMAIL_BACKEND.endswith(("console.EmailBackend", "dummy.EmailBackend")):
        found.append(
            checks.Warning(
                "E-mail goes to the log: nobody can reset a password.",
                hint="Set EMAIL_BACKEND and the EMAIL_ variables.",
                id="finops.W003",
            )
        )
    if not settings.METRICS_TOKEN:
        found.append(
            checks.Warning(
                "METRICS_TOKEN is not set: whoever reaches the site can read /metrics.",
                hint="Set METRICS_TOKEN, or keep /metrics inside at the proxy.",
                id="finops.W004",
            )
        )
    return found
