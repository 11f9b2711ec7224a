"""Provider keys on screen and by HTTP: mapped by those who may, told why not, remembered in the audit log."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from attribution.models import DayState, ProviderDay, ProviderMapping, ProviderUsage
from attribution.registry import ensure_team
from finops.accounts.models import ApiKey, AuditEntry, Role
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db
URL = "/provider-keys/"
API = "/api/v1/provider_keys"
WEB = {
    "provider": "openai",
    "name": "web",
    "api_keys": "key_web\nkey_shop, key_web",
    "sources": "shop",
    "team": "search",
    "feature": "finder",
    "book_from": "2026-10-01",
}


def reported(**said: Any) -> None:
    now = timezone.now()
    ProviderUsage.objects.create(
        provider="openai",
        report="completions",
        row_id=said["api_key"] or said["project"],
        starts_at=now - timedelta(days=2),
        ends_at=now - timedelta(days=1),
        usage={"input_tokens": 1_200_000},
        event={},
        raw={},
        first_seen_at=now,
        changed_at=now,
        **said,
    )


def test_a_key_is_mapped_changed_and_dropped() -> None:
    ensure_team("search", actor="ann")
    admin = signed_in(Role.ADMIN)
    assert "Nothing is mapped" in admin.get(URL).content.decode()

    answer = admin.post(URL, WEB, follow=True).content.decode()

    assert "web: what nobody told of is booked from 2026-10-01 on" in answer
    mapping = ProviderMapping.objects.get()
    assert (mapping.api_keys, mapping.sources) == (["key_shop", "key_web"], ["shop"])
    assert (mapping.names, mapping.book_from) == ({"team": "search", "feature": "finder"}, date(2026, 10, 1))
    ProviderDay.objects.create(
        mapping=mapping,
        day=date(2026, 10, 2),
        state=DayState.HELD,
        decided_at=timezone.now(),
        checked_at=timezone.now(),
    )
    shown = admin.get(f"{URL}?provider=openai&name=web").content.decode()
    assert "key_shop\nkey_web</textarea>" in shown
    assert 'value="2026-10-01"' in shown
    assert "1 held of web, and why" in shown

    assert admin.post(URL, {**WEB, "sources": "", "no_source": "on"}).status_code == 302
    assert admin.post(URL, {"drop": "openai web"}).status_code == 302
    assert admin.post(URL, {"drop": "openai web"}).status_code == 404
    entries = AuditEntry.objects.filter(subject_kind="provider mapping").order_by("pk")
    assert [(one.actor, one.action.partition(".")[2]) for one in entries] == [
        ("admin@example.com", what) for what in ("created", "changed", "dropped")
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"api_keys": ""}, "Name a key or a project"),
        ({"sources": ""}, "tick that no client tells"),
        ({"no_source": "on"}, "tick that no client tells"),
        ({"sources": "openai-usage-api"}, "the source of what is booked from reports"),
        ({"api_keys": "key_taken"}, "belongs to the mapping"),
        ({"api_keys": "k" * 129}, "1 to 128 printable characters"),
        ({"feature": "two words"}, "no spaces"),
        ({"team": "unknown"}, "Select a valid choice"),
        ({"book_from": "soon"}, "Enter a valid date"),
    ],
)
def test_what_cannot_be_mapped_is_told_at_its_field(said: dict[str, str], told: str) -> None:
    ProviderMapping.objects.create(
        provider="openai", name="taken", api_keys=["key_taken"], book_from=date(2026, 10, 1)
    )
    ensure_team("search", actor="ann")

    answer = signed_in(Role.FINANCE).post(URL, {**WEB, **said})

    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert ProviderMapping.objects.count() == 1


def test_keys_that_are_reported_and_in_no_cost_lead_to_the_form() -> None:
    reported(api_key="key_new", project="proj_1")

    shown = signed_in(Role.PLATFORM).get(URL).content.decode()

    assert re.search(r"1\.20?M", shown)
    assert '?provider=openai&amp;api_key=key_new#mapping"' in shown
    filled = signed_in(Role.ADMIN).get(f"{URL}?provider=openai&api_key=key_new").content.decode()
    assert "key_new</textarea>" in filled


def test_who_may_not_change_it_reads_it() -> None:
    ProviderMapping.objects.create(
        provider="openai", name="web", api_keys=["key_web"], book_from=date(2026, 10, 1)
    )
    reported(api_key="key_new", project="")
    lead = signed_in(Role.LEAD)

    page = lead.get(URL).content.decode()

    assert "key_web" in page
    assert "key_new" not in page  # of a team that they may not see
    assert "Map keys" not in page
    assert lead.post(URL, WEB).status_code == 403


def test_the_same_by_http(client: Client) -> None:
    _, secret = ApiKey.issue("boss", ["read", "write"])
    headers = {"Authorization": f"Bearer {secret}"}

    def call(verb: str, path: str = API, **body: Any) -> tuple[int, Any]:
        answer = client.generic(
            verb,
            path,
            data=json.dumps(body) if body else "",
            content_type="application/json",
            headers=headers,
        )
        return answer.status_code, answer.json() if answer.content else None

    status, made = call(
        "POST", provider="anthropic", name="care/eu", projects=["wrkspc_1"], sources=[], names={"tier": "pro"}
    )
    expected = {
        "provider": "anthropic",
        "name": "care/eu",
        "api_keys": [],
        "projects": ["wrkspc_1"],
        "sources": [],
        "names": {"tier": "pro"},
        "book_from": datetime.now(UTC).date().isoformat(),
        "booked_days": 0,
        "held_days": 0,
    }
    assert (status, made) == (200, expected)
    assert call("GET")[1]["results"] == [expected]
    assert (
        call("POST", provider="anthropic", name="x", api_keys=["k"])[0] == 400
    )  # of sources nothing is said
    assert call("POST", provider="acme", name="x", api_keys=["k"], sources=[])[0] == 400
    status, problem = call("POST", provider="anthropic", name="x", projects=["wrkspc_1"], sources=[])
    assert (status, problem["errors"][0]["code"]) == (400, "taken")
    assert call("DELETE", f"{API}/anthropic/care/eu") == (204, None)
    assert call("DELETE", f"{API}/anthropic/care/eu")[0] == 404
    assert AuditEntry.objects.filter(subject="anthropic care/eu", actor="key: boss").count() == 2


def test_a_key_that_may_only_read_changes_nothing(client: Client) -> None:
    _, secret = ApiKey.issue("reader", ["read"])
    headers = {"Authorization": f"Bearer {secret}"}

    assert client.get(API, headers=headers).status_code == 200
    assert client.post(API, {}, content_type="application/json", headers=headers).status_code == 403
    assert client.delete(f"{API}/openai/web", headers=headers).status_code == 403
    assert client.get(API).status_code == 401
