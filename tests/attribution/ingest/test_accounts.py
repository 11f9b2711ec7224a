"""The provider's account that is billed: what calls say, what contracts say for them, what it prices."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from attribution import contracts
from attribution.ingest.focus_rows import focus_events
from attribution.ingest.litellm_names import Said
from attribution.ingest.otlp.mapping import Spellings
from attribution.ingest.otlp.reading import read_all
from attribution.ingest.otlp.span import Span
from attribution.rollups import fold
from finops.accounts.models import AuditEntry, Scope
from finops.core.errors import InvalidInput
from tests import price_list
from tests.attribution.ingest.conftest import Send, event, issue_key, rows
from tests.attribution.ingest.test_import import import_events
from tests.attribution.ingest.test_usage_exports import focus

pytestmark = pytest.mark.django_db
TODAY = datetime.now(UTC).date()
THESE_DAYS = f"from={TODAY - timedelta(days=1)}&to={TODAY + timedelta(days=2)}"


def accounts() -> dict[str, str]:
    """By event, the account of the slot that it is priced by."""
    return dict(rows("event_id, s.account", "call_event e JOIN price_slot s ON s.id = e.slot_id"))


def put(source: str = "service", **said: Any) -> None:
    contracts.put(source, actor="ann", **said)
    # As another process would notice it, a second later.
    contracts.book.forget()


def test_an_account_is_a_fact_of_the_price_and_part_of_what_a_call_said(send: Send) -> None:
    price_list.load()
    sent = [event("none"), event("acme", account="Acme-Prod"), event("eu", account="acme/eu", region="eu")]

    assert send(*sent, event("empty", account="")).counts == (4, 0, 0, 0)

    assert accounts() == {"none": "", "acme": "Acme-Prod", "eu": "acme/eu", "empty": ""}
    assert len(set(rows("slot_id"))) == 3
    assert send(*sent, event("empty")).counts == (0, 4, 0, 0)
    assert send(event("acme", account="other"), event("eu", region="eu")).counts == (0, 0, 2, 0)
    assert send(event("bad", account="two words"), event("long", account="a" * 129)).codes == [
        (0, "account", "not_a_slug"),
        (1, "account", "too_long"),
    ]


def test_a_contract_says_the_account_of_calls_that_name_none_from_then_on(send: Send) -> None:
    price_list.load()
    before = [event("before"), event("named", account="own")]
    send(*before)

    put(account="shared-1")
    sent = [event("after"), event("own", account="own"), event("other", source="others")]
    assert send(*sent).counts == (3, 0, 0, 0)
    # What it says for a call is not what the call said: a retry stays the same call.
    assert send(*before, *sent).counts == (0, 5, 0, 0)
    put(account="shared-2")
    assert send(*sent, event("later")).counts == (1, 3, 0, 0)
    put(required=[])
    send(event("still"))
    put(account="")
    send(event("end"))

    assert accounts() == {
        "before": "",
        "named": "own",
        "after": "shared-1",
        "own": "own",
        "other": "",
        "later": "shared-2",
        "still": "shared-2",
        "end": "",
    }
    changed = AuditEntry.objects.filter(subject_kind="contract").latest("pk")
    told = [state and state["account"] for state in (changed.before, changed.after)]
    assert told == ["shared-2", ""]


@pytest.mark.parametrize("account", ["two words", "a" * 129, "tab\t"])
def test_a_contract_may_say_no_account_that_a_call_may_not(account: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        contracts.put("service", actor="ann", account=account)
    assert [problem.field for problem in refused.value.problems] == ["account"]


def test_a_contract_s_account_over_the_api(client: Client, send: Send) -> None:
    price_list.load()
    headers = {"Authorization": f"Bearer {issue_key('admin', Scope.ADMIN)}"}
    url = "/api/v1/source_contracts"
    made = client.post(
        url, {"source": "service", "account": "shared"}, content_type="application/json", headers=headers
    )
    contracts.book.forget()
    send(event())

    assert (made.status_code, made.json()["account"]) == (201, "shared")
    assert client.get(f"{url}/service", headers=headers).json()["account"] == "shared"
    assert accounts() == {"e-1": "shared"}


def test_costs_and_calls_are_asked_for_by_account(client: Client, send: Send) -> None:
    price_list.load()
    put(account="shared")
    send(event("a"), event("b"), event("c", account="own"), event("d", source="others"))
    fold()
    headers = {"Authorization": f"Bearer {issue_key('reader', Scope.READ)}"}

    costs = client.get(f"/api/v1/costs?{THESE_DAYS}&group_by=account&measures=calls", headers=headers).json()
    found = client.get(f"/api/v1/events?{THESE_DAYS}&filter=account:own", headers=headers).json()["results"]
    told = client.get("/api/v1/events/others/d/explain", headers=headers).json()

    assert {group["key"]["account"]: group["buckets"][0]["calls"] for group in costs["groups"]} == {
        "shared": 2,
        "own": 1,
        None: 1,
    }
    assert [(call["event_id"], call["account"]) for call in found] == [("c", "own")]
    assert told["price_slot"]["account"] == ""


def test_files_say_it_as_a_column_a_constant_or_the_billing_account(tmp_path: Path) -> None:
    head, row = "event_id,occurred_at,provider,model,input_tokens", "openai,gpt-4o,5"
    named = tmp_path / "named.csv"
    named.write_text(f"{head},payer\nn,2026-09-01T00:00:00Z,{row},acme\nm,2026-09-01T00:00:00Z,{row},\n")
    plain = tmp_path / "plain.jsonl"
    call = {"event_id": "p", "occurred_at": "2026-09-01T00:00:00Z", "provider": "openai", "model": "gpt-4o"}
    plain.write_text(json.dumps({**call, "usage": {"input_tokens": 5}}) + "\n")

    import_events(named, format="csv", source="files", columns=[("account", "payer")])
    import_events(plain, source="files", constants=[("account", "fixed")])
    (charged, spaced, without) = focus_events(
        [
            focus("5", "Input Tokens"),
            focus("5", "Input Tokens", BillingAccountId="Payer 1"),
            focus("5", "Input Tokens", BillingAccountId=None),
        ]
    )

    assert accounts() == {"n": "acme", "m": "", "p": "fixed"}
    assert (charged["account"], spaced["account"], "account" in without) == ("acct", "Payer-1", False)


ID = "0123456789abcdef"
CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 10,
}


@pytest.mark.parametrize(
    ("attributes", "resource", "account"),
    [
        ({"finops.account": "acme"}, {"finops.account": "other"}, "acme"),
        ({}, {"finops.account": "Acme Prod"}, "Acme-Prod"),
        ({"baggage.finops.account": "acme"}, {}, "acme"),
        ({"langfuse.trace.metadata.finops.account": "acme"}, {}, "acme"),
        ({"metadata": '{"finops.account": "acme"}'}, {}, "acme"),
        ({"payer": "acme"}, {}, "acme"),
        # Others call their customers' accounts so.
        ({"langfuse.trace.metadata.account": "acme", "metadata": '{"account": "acme"}'}, {}, None),
    ],
)
def test_spans_say_it_by_our_own_word_or_as_mapped(
    attributes: dict[str, Any], resource: dict[str, Any], account: str | None
) -> None:
    read = span({**CHAT, **attributes}, resource)

    [reading] = read_all([read], Spellings.of([("account", "payer")]))

    assert reading.event is not None
    assert reading.event.get("account") == account


def span(attributes: dict[str, Any], resource: dict[str, Any]) -> Span:
    now = 1_790_000_000 * 10**9
    return Span(
        ID * 2,
        ID,
        "",
        "chat",
        "",
        now,
        now + 10**9,
        has_failed=False,
        attributes=attributes,
        resource=resource,
    )


def test_a_proxy_says_it_in_a_header_or_by_our_own_word() -> None:
    by_header = Said.of({"X-Finops-Account": "acme"}, {"account": "a customer's"}, None)
    by_word = Said.of(None, {"finops.account": "acme"}, ["account:theirs"])

    assert (by_header.names, by_header.tags) == ({"account": "acme"}, {"account": "a customer's"})
    assert (by_word.names, by_word.tags) == ({"account": "acme"}, {"account": "theirs"})
