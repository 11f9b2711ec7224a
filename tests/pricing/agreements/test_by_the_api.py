"""Agreements by the API: entered, put in force or waiting, ended, read as of a time, refused by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from finops.accounts.authentication import forget_keys
from finops.accounts.models import ApiKey, Role, User
from pricing.facts import Facts
from pricing.models import Agreement, BookVersion, PriceSlot, SlotRate
from pricing.slots import SlotBook
from tests.pricing.test_drafts import in_book
from tests.pricing.test_publishing import price

pytestmark = pytest.mark.django_db
Ask = Callable[..., Any]
URL = "/api/v1/price_agreements"
BODY: dict[str, Any] = {"name": "frame contract", "provider": "acme", "percent_off": "12.5"}
CALL = {"provider": "acme", "model": "m", "occurred_at": "2026-11-10T12:00:00Z"}


@pytest.fixture
def ask(client: Client, db: None) -> Ask:
    in_book(price("m", "2"))
    forget_keys()
    _, secret = ApiKey.issue("desk", ["read", "write"])

    def send(path: str = URL, body: object = None, *, expect: int = 200, **headers: str) -> Any:
        headers["Authorization"] = f"Bearer {secret}"
        if body is None:
            answer = client.get(path, headers=headers)
        else:
            answer = client.post(path, body, content_type="application/json", headers=headers)
        assert answer.status_code == expect, answer.content
        return answer.json()

    return send


def rate(ask: Ask, **fields: object) -> tuple[str, str, object]:
    answer = ask("/api/v1/prices/rate", {**CALL, "usage": {"input_tokens": 1_000_000}, **fields})
    (line,) = answer["lines"]
    return answer["cost"], answer["contracted_cost"], line["agreement"] and line["agreement"]["name"]


def listed(ask: Ask, **query: object) -> list[Any]:
    found: list[Any] = ask(f"{URL}?{urlencode(query)}")["results"]
    return found


def use(at: str = "2026-11-10T12:00:00Z") -> PriceSlot:
    """A slot, as ingest makes it for a call of that time."""
    instant = np.array([np.datetime64(at.removesuffix("Z"), "us").astype(np.int64)])
    (slot,) = SlotBook().resolve([Facts("acme", "m")], instant, np.array([5]))
    return PriceSlot.objects.get(pk=int(slot))


def test_agreement_is_drafted_reviewed_published_ended_and_known_as_of_each_time(ask: Ask) -> None:
    body = {**BODY, "account": "org-1", "source": "contract 17", "meters": ["input"], "publish": False}
    made = ask(URL, body, expect=201)
    number, version = made["agreement"]["id"], made["version"]["id"]
    assert (made["version"]["status"], made["agreement"]["known_from"]) == ("draft", None)
    assert listed(ask) == []
    assert [one["id"] for one in listed(ask, version=version)] == [number]
    detail = ask(f"/api/v1/price_versions/{version}")
    assert detail["others"] == [
        {
            "kind": "new",
            "words": "frame contract: acme/*, account org-1, only input, 12.5% off, at any time",
        }
    ]
    assert rate(ask, account="org-1") == ("2", "2", None)
    for step in ("review", "publish"):
        ask(f"/api/v1/price_versions/{version}/{step}", {})
    assert rate(ask, account="org-1") == ("2", "1.75", "frame contract")
    assert rate(ask) == ("2", "2", None)
    known = timezone.now()

    ended = {
        **BODY,
        "account": "org-1",
        "meters": ["input"],
        "effective_to": "2026-11-10T12:00:00Z",
        "replaces": [number],
        "publish": True,
    }
    done = ask(URL, ended, expect=201)
    assert done["version"]["status"] == "published"
    told = ask(f"/api/v1/price_versions/{done['version']['id']}")["others"]
    assert [one["kind"] for one in told] == ["ended"]
    assert rate(ask, account="org-1") == ("2", "2", None)
    assert rate(ask, account="org-1", occurred_at="2026-11-10T11:59:59Z") == ("2", "1.75", "frame contract")

    assert [one["id"] for one in listed(ask, as_of=known.isoformat())] == [number]
    assert [one["id"] for one in listed(ask)] == [done["agreement"]["id"]]
    assert listed(ask, at="2026-12-01T00:00:00Z") == listed(ask, provider="other") == []
    old = ask(f"{URL}/{number}")
    assert old["superseded_by"] == done["version"]["id"]
    assert old["bands"] == [{"over": "0", "percent_off": "12.5", "rates": []}]
    assert old["source"] == "contract 17"


def test_one_call_puts_an_agreement_in_force_that_touches_nothing_booked(ask: Ask) -> None:
    slot = use()
    later = (timezone.now() + timedelta(days=1)).replace(microsecond=0).isoformat()
    for body in (
        {**BODY, "account": "org-2"},
        {**BODY, "model": "other"},
        {**BODY, "effective_from": later},
    ):
        made = ask(URL, {**body, "publish": True}, expect=201, **{"Idempotency-Key": str(body)[:200]})
        again = ask(URL, {**body, "publish": True}, expect=201, **{"Idempotency-Key": str(body)[:200]})
        assert made["version"]["status"] == "published"
        assert again == made
    assert len(listed(ask)) == 3

    # The slot holds what lies before, at the list price as ever.
    slot.refresh_from_db()
    assert slot.effective_to is not None
    assert slot.effective_to.isoformat() == later
    rate_of_slot = SlotRate.objects.get(slot=slot, known_to=None)
    assert (rate_of_slot.contracted_price, rate_of_slot.agreement_id) == (rate_of_slot.list_price, None)


def test_what_would_restate_booked_usage_waits_in_a_draft_that_the_answer_names(ask: Ask) -> None:
    use()
    before = BookVersion.objects.count()
    body, key = {**BODY, "publish": True}, {"Idempotency-Key": "once"}
    refused = ask(URL, body, expect=409, **key)
    assert ask(URL, body, expect=409, **key) == refused
    version = BookVersion.objects.get(pk=refused["version"])
    assert BookVersion.objects.count() == before + 1
    assert "acme/m" in refused["detail"]
    assert f'POST /api/v1/reratings {{"version": {version.pk}}}' in refused["detail"]
    (waiting,) = listed(ask, version=version.pk)
    (block,) = version.blocks.all()
    assert (block.kind, block.provider, block.model) == ("retroactive", "acme", "*")
    assert "12.5% off" in block.findings[0]
    assert ask(f"/api/v1/price_versions/{version.pk}")["usage_touched"] == ["acme/m"]
    assert rate(ask) == ("2", "2", None)

    # In the draft it may be taken back, or another put in its place.
    other = {**BODY, "percent_off": "5", "version": version.pk, "replaces": [waiting["id"]]}
    made = ask(URL, other, expect=201)
    assert [one["id"] for one in listed(ask, version=version.pk)] == [made["agreement"]["id"]]
    ask(f"/api/v1/price_versions/{version.pk}/leave_out", {"provider": "acme", "model": "*"})
    assert listed(ask, version=version.pk) == []


def test_of_two_equally_specific_the_second_is_refused_naming_both_and_nothing_of_it_stays(ask: Ask) -> None:
    bands = {
        "bands": [
            {"over": "1000000", "percent_off": "20"},
            {"over": "0", "percent_off": "10"},
        ],
        "volume_of": "tokens",
        "band_mode": "marginal",
        "percent_off": None,
    }
    first = ask(URL, {**BODY, **bands, "publish": True}, expect=201)["agreement"]
    assert [band["percent_off"] for band in first["bands"]] == ["10", "20"]
    versions = BookVersion.objects.count()

    refused = ask(URL, {**BODY, "name": "side letter", "publish": True}, expect=400)

    assert f"agreement {first['id']}, frame contract (acme/*)" in refused["detail"]
    assert "side letter (acme/*)" in refused["detail"]
    assert (BookVersion.objects.count(), Agreement.objects.count()) == (versions, 1)
    # By a draft it comes as far as its review.
    waits = ask(URL, {**BODY, "name": "side letter", "publish": False}, expect=201)["version"]["id"]
    assert "side letter" in ask(f"/api/v1/price_versions/{waits}/review", {}, expect=400)["detail"]


RATES = [{"meter": "input", "unit_price": "1"}]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"percentoff": "5"}, "percentoff"),
        ({"name": ""}, "name"),
        ({"percent_off": "101"}, "percent_off"),
        ({"percent_off": "-1"}, "percent_off"),
        ({"percent_off": None}, "percent_off"),
        ({"rates": RATES}, "percent_off"),
        ({"percent_off": None, "rates": [*RATES, *RATES]}, "rates"),
        ({"percent_off": None, "rates": [{**RATES[0], "minimum": "1"}]}, "rates.0.minimum"),
        ({"percent_off": None, "unit_prices": RATES, "meters": ["output"]}, "meters"),
        ({"meters": ["No Meter"]}, "meters.0"),
        ({"volume_of": "tokens"}, "volume_of"),
        ({"bands": [{"over": "5", "percent_off": "20"}]}, "volume_of"),
        ({"bands": [{"over": "0", "percent_off": "20"}]}, "bands"),
        ({"bands": [{"over": "5", "rates": RATES}]}, "bands"),
        ({"bands": [{"over": "5"}]}, "bands.0.percent_off"),
        ({"effective_from": "2026-01-01T00:00:00Z", "effective_to": "2026-01-01T00:00:00Z"}, "effective_to"),
        ({"effective_from": "2026-01-01T00:00:00.5Z"}, "effective_from"),
        ({"effective_from": "2026-13-01"}, "effective_from"),
        ({"replaces": [99_999]}, "replaces"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(ask: Ask, fields: dict[str, Any], wrong: str) -> None:
    refused = ask(URL, {**BODY, **fields}, expect=400)
    assert wrong in [problem["field"] for problem in refused["errors"]]
    assert not Agreement.objects.exists()


def test_reading_needs_a_key_that_reads_and_entering_one_that_writes(ask: Ask, client: Client) -> None:
    _, secret = ApiKey.issue("reader", ["read"])
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get(URL, headers=headers).status_code == 200
    assert client.post(URL, BODY, content_type="application/json", headers=headers).status_code == 403
    assert client.get(URL).status_code == 401
    assert ask(f"{URL}/99999", expect=404)["status"] == 404
    assert ask(f"{URL}?providr=acme", expect=400)["errors"][0]["field"] == "providr"


def test_who_may_not_see_contracted_prices_is_told_the_list_alone(ask: Ask, client: Client) -> None:
    use()
    at_once = ask(URL, {**BODY, "model": "other", "effective_from": "2026-01-01"}, expect=201)
    assert at_once["agreement"]["effective_from"] == "2026-01-01T00:00:00Z"
    assert (at_once["version"]["status"], at_once["waits"]) == ("published", "")
    waiting = ask(URL, BODY, expect=201)
    assert waiting["version"]["status"] == "draft"
    assert "Booked usage would be priced otherwise" in waiting["waits"]
    number = ask(URL, {**BODY, "publish": True}, expect=409)["version"]
    told = ask(f"/api/v1/price_versions/{number}")
    assert (len(told["others"]), len(told["blocks"])) == (1, 1)
    engineer = User.objects.create_user("e@acme.example", role=Role.ENGINEER)
    client.force_login(engineer)

    answer = client.post(
        "/api/v1/prices/rate",
        {**CALL, "usage": {"input_tokens": 1_000_000}},
        content_type="application/json",
    ).json()
    version = client.get(f"/api/v1/price_versions/{number}").json()

    (line,) = answer["lines"]
    assert (answer["cost"], answer["contracted_cost"], line["cost"]) == ("2", None, "2")
    assert (line["contracted_unit_price"], line["contracted_cost"], line["agreement"]) == (None, None, None)
    assert (version["others"], version["blocks"]) == ([], [])
    assert client.get(URL).status_code == 403
