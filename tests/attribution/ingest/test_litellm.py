"""``POST /api/v1/ingest/litellm``: each call of a proxy once, with the usage that it really had."""

from __future__ import annotations

import gzip
import html
import json
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import zstandard
from django.test import Client

from attribution.ingest.litellm import parse
from attribution.rollups import fold
from finops.accounts.models import Role, User
from tests import price_list
from tests.attribution.ingest.conftest import Answer, issue_key, rows

pytestmark = pytest.mark.django_db
URL = "/api/v1/ingest/litellm"
STARTED = 1_790_000_000.25
Payload = dict[str, Any]  # Any: JSON


def payload(call_id: str | None = "call-1", **fields: Any) -> Payload:
    """A chat with a cached prompt, as version 1.106 logs it; ``metadata`` is added to."""
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "total_tokens": 1050,
        "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    metadata = {
        "user_api_key_hash": "88dc28d0f03",
        "user_api_key_alias": "search-prod",
        "user_api_key_team_id": "f7c1",
        "user_api_key_team_alias": "search",
        "usage_object": usage,
        "requester_custom_headers": None,
        "spend_logs_metadata": None,
        **fields.pop("metadata", {}),
    }
    return {
        "id": "chatcmpl-1",
        "litellm_call_id": call_id,
        "trace_id": "trace-1",
        "session_id": "",
        "call_type": "acompletion",
        "status": "success",
        "custom_llm_provider": "openai",
        "startTime": STARTED,
        "endTime": STARTED + 1.5,
        "completionStartTime": STARTED + 0.2,
        "stream": True,
        "model": "openai/gpt-4o",
        "model_group": "fast-chat",
        "metadata": metadata,
        "cache_hit": False,
        "response_cost": 0.0022500000000000003,
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "total_tokens": 1050,
        "request_tags": [],
        "end_user": None,
        "messages": [{"role": "user", "content": "a secret question"}],
        "response": {"choices": [{"message": {"content": "a secret answer"}}]},
        "hidden_params": {"additional_headers": {}},
        "error_information": {"error_class": ""},
        "model_parameters": {"temperature": 0},
        **fields,
    }


Post = Callable[..., Answer]


@pytest.fixture
def post(client: Client) -> Post:
    """Post payloads as an array, or a body as it is."""
    key = issue_key("proxy", source="litellm")

    def send(*payloads: Any, body: bytes | None = None, **headers: str) -> Answer:
        content = json.dumps(list(payloads)).encode() if body is None else body
        response = client.post(
            URL,
            content,
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}", **headers},
        )
        return Answer(response.status_code, msgspec.json.decode(response.content))

    return send


def tokens() -> list[tuple[Any, ...]]:
    return rows("event_id, input, cache_read, cache_write, cache_write_1h, output, reasoning")


def test_a_call_is_booked_with_what_it_used_and_what_it_was_for(post: Post) -> None:
    sent = payload(
        request_tags=["feature:chat", "tier:pro", "experiment:b", "nightly"],
        end_user="u-7",
        metadata={
            "requester_custom_headers": {"X-Finops-Task": "t-1", "x-finops-step": "plan it"},
            "spend_logs_metadata": {"environment": "prod", "ticket": 17},
        },
    )

    assert post(sent).counts == (1, 0, 0, 0)

    assert tokens() == [("call-1", 400, 600, 0, 0, 30, 20)]
    assert rows("source, team, feature, tier, environment, step, operation", "dimension_set") == [
        ("litellm", "search", "chat", "pro", "prod", "plan-it", "chat")
    ]
    assert rows("task_id, end_user, trace_id, duration_ms, ttft_ms, attempt, status") == [
        ("t-1", "u-7", "trace-1", 1500, 200, 1, 0)
    ]
    ((detail,),) = rows("detail")
    assert json.loads(detail) == {
        "model_requested": "fast-chat",
        "reported_cost": {"amount": "0.00225", "currency": "USD"},
        "tags": {
            "litellm.key": "search-prod",
            "experiment": "b",
            "nightly": "true",
            "ticket": "17",
        },
    }


def test_nothing_that_was_asked_or_answered_is_kept(post: Post) -> None:
    assert post(payload()).body["content_dropped"] == 2
    assert post(payload("call-2", messages=None, response=None)).body["content_dropped"] == 0
    assert not any("secret" in str(row) for row in rows("call_event::text"))


def test_anthropic_counts_of_a_proxy_already_include_the_cache(post: Post) -> None:
    usage = {
        "prompt_tokens": 12_307,
        "completion_tokens": 550,
        "cache_creation_input_tokens": 12_304,
        "cache_read_input_tokens": 0,
        "prompt_tokens_details": {
            "cached_tokens": 0,
            "cache_creation_tokens": 12_304,
            "cache_creation_token_details": {
                "ephemeral_5m_input_tokens": 12_000,
                "ephemeral_1h_input_tokens": 304,
            },
        },
    }

    post(payload(custom_llm_provider="anthropic", model="claude-3-7", metadata={"usage_object": usage}))

    assert tokens() == [("call-1", 3, 0, 12_000, 304, 550, 0)]


def test_totals_serve_where_the_details_are_missing(post: Post) -> None:
    post(payload(metadata={"usage_object": None}))
    assert tokens() == [("call-1", 1000, 0, 0, 0, 50, 0)]


def test_the_providers_id_is_no_identity(post: Post) -> None:
    assert post(*(payload(f"call-{number}", id="chatcmpl-1") for number in range(100))).counts == (
        100, 0, 0, 0,
    )  # fmt: skip
    without = [payload(None, id=None, endTime=STARTED + number) for number in range(1, 101)]
    assert post(*without).counts == (100, 0, 0, 0)
    assert post(*without).counts == (0, 100, 0, 0)


def test_attempts_of_one_request_share_its_id_and_are_each_booked_once(post: Post) -> None:
    failures = [
        payload(
            startTime=STARTED + number,
            endTime=STARTED + number + 0.5,
            status="failure",
            response_cost=0.0,
            prompt_tokens=0,
            completion_tokens=0,
            metadata={"usage_object": {}},
            error_information={"error_class": "RateLimitError"},
        )
        for number in range(2)
    ]
    success = payload(
        startTime=STARTED + 3,
        endTime=STARTED + 4,
        hidden_params={
            "additional_headers": {"x-litellm-attempted-retries": 0, "x-litellm-attempted-fallbacks": 1}
        },
    )
    later = payload("call-2", startTime=STARTED + 5, endTime=STARTED + 6)

    assert post(*failures, success, later).counts == (4, 0, 0, 0)
    assert post(*failures, success, later).counts == (0, 4, 0, 0)

    found = rows("occurred_at, attempt, status, trace_id, output, detail->>'error_type'")
    assert [row[1:] for row in found] == [
        (1, 1, "trace-1", 0, "RateLimitError"),
        (2, 1, "trace-1", 0, "RateLimitError"),
        (3, 0, "trace-1", 30, None),
        (1, 0, "trace-1", 30, None),
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [("Timeout", 2), ("ContentPolicyViolationError", 4), ("InternalServerError", 1), ("CancelledError", 3)],
)
def test_how_a_call_failed_is_told_by_its_error(post: Post, error: str, status: int) -> None:
    post(payload(status="failure", error_information={"error_class": error}))
    assert rows("status") == [(status,)]


def test_an_answer_from_the_proxys_cache_costs_nothing(post: Post) -> None:
    price_list.load()
    post(payload(cache_hit=True))
    fold()
    assert rows("response_cache") == [(1,)]


NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def test_a_call_that_nobody_says_the_usage_of_is_never_free(post: Post, client: Client) -> None:
    price_list.load()
    untold = {**NOTHING, "metadata": {"usage_object": dict(NOTHING)}}
    post(
        payload("stream", **untold),
        payload("known"),
        payload("cached", cache_hit=True, **untold),
        payload("failed", status="failure", **untold),
        payload("looked up", call_type="aretrieve_batch", **untold),
    )
    fold()
    reader = {"Authorization": f"Bearer {issue_key('reader', 'read')}"}
    period = "from=2026-09-21&to=2026-09-22"

    listed = client.get(f"/api/v1/events?{period}", headers=reader).json()["results"]
    told = client.get(f"/api/v1/costs?{period}", headers=reader).json()
    lacking = client.get(f"/api/v1/events?{period}&priced=false", headers=reader).json()["results"]

    costs = {call["event_id"]: call["cost"] for call in listed if call["cost_status"] == "unpriced"}
    assert len(listed) == 5
    assert costs == {"stream": None}
    assert told["coverage"]["unpriced_quantities"] == {"calls_without_usage": "1"}
    assert [call["event_id"] for call in lacking] == ["stream"]


def test_calls_without_usage_stand_beside_the_totals_on_the_screens(post: Post, client: Client) -> None:
    price_list.load()
    now = time.time() - 60
    zeros = {**NOTHING, "metadata": {"usage_object": dict(NOTHING)}}
    post(payload("stream", startTime=now, endTime=now + 1, **zeros))
    fold()
    client.force_login(User.objects.create_user("fin@example.com", role=Role.FINANCE))

    page = client.get("/unattributed/?period=last-7-days").content.decode()

    assert "of 1 calls nobody said what they used" in page
    assert "calls_without_usage" in page
    assert "Everything has an owner and a price" not in page
    link = re.search(r'href="([^"]+unpriced=1)">Such calls', page)
    assert link
    assert "gpt-4o" in client.get(html.unescape(link[1])).content.decode()


def test_a_team_that_the_proxy_checked_wins_over_one_that_a_request_claims(post: Post) -> None:
    claims = {"requester_custom_headers": {"x-finops-team": "payments"}}
    post(payload(metadata=claims))
    post(
        payload("call-2", metadata={**claims, "user_api_key_team_alias": None, "user_api_key_team_id": None})
    )
    assert rows("team", "dimension_set") == [("payments",), ("search",)]


def test_names_that_people_typed_freely_become_slugs_and_stay_readable(post: Post) -> None:
    post(payload(metadata={"user_api_key_team_alias": "Search & Ranking (EU)"}))
    assert rows("team", "dimension_set") == [("Search-Ranking-EU",)]
    assert rows("detail->'tags'->>'litellm.team'") == [("Search & Ranking (EU)",)]


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "openai/gpt-4o", ("openai", "gpt-4o")),
        ("openai", "gpt-4o", ("openai", "gpt-4o")),
        ("bedrock", "bedrock/converse/us.claude-4", ("aws", "us.claude-4")),
        ("vertex_ai", "vertex_ai/gemini-2.5-pro", ("google-vertex", "gemini-2.5-pro")),
        ("together_ai", "together_ai/meta-llama/Llama-4", ("together", "meta-llama/Llama-4")),
        (None, "anthropic/claude-opus-4-6", ("anthropic", "claude-opus-4-6")),
    ],
)  # fmt: skip
def test_providers_and_models_have_the_price_books_names(
    provider: str | None, model: str, expected: tuple[str, str]
) -> None:
    arrivals = parse(json.dumps(payload(custom_llm_provider=provider, model=model)).encode(), "")
    assert [(event.provider, event.model) for event in arrivals.events] == [expected]


@pytest.mark.parametrize("form", ["array", "lines", "single", "indented", "gzip", "zstd"])
def test_every_form_of_a_body_is_read(post: Post, form: str) -> None:
    one = payload()
    plain = {
        "array": json.dumps([one]),
        "lines": f"{json.dumps(one)}\n{json.dumps(one)}\n",
        "indented": json.dumps(one, indent=2),
    }.get(form, json.dumps(one)).encode()
    packed = {"gzip": gzip.compress(plain), "zstd": zstandard.compress(plain)}.get(form)

    answer = post(body=packed or plain, **({"Content-Encoding": form} if packed else {}))

    assert answer.status == 200
    assert answer.body["accepted"] == 1
    assert answer.body["duplicates"] == (1 if form == "lines" else 0)


def test_one_bad_payload_costs_no_other(post: Post) -> None:
    sound = [payload(f"call-{number}") for number in range(3)]
    bad = [
        payload("bad-1", startTime="2026-10-01T12:00:00"),
        {"model": "gpt-4o", "call_id": "bad-3"},
        payload("bad-2", metadata={"usage_object": {"prompt_tokens": 5, "cache_read_input_tokens": 9}}),
        "text",
        payload("x" * 129),
    ]

    answer = post(sound[0], *bad, *sound[1:])

    assert answer.counts[0] == 3
    assert [code[:2] for code in answer.codes] == [
        (1, "startTime"),
        (2, "startTime"),
        (3, "usage.input_tokens"),
        (4, ""),
        (5, "event_id"),
    ]
    named = [rejected["event_id"] for rejected in answer.body["rejected"]]
    assert named == ["bad-1", "bad-3", "bad-2", None, "x" * 128]


def test_what_is_no_json_is_refused_and_other_methods_too(post: Post, client: Client) -> None:
    assert post(body=b"[{").status == 400
    assert client.post(URL, b"[]", content_type="application/json").status_code == 401
    assert client.get(URL).status_code in (401, 405)
