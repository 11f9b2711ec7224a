"""The door for traces: formats, keys, refusals, names, and what never gets in."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from attribution import contracts
from attribution.ingest import rules
from attribution.ingest.otlp.mapping import forget_spellings
from attribution.models import Fate, OtlpSpan, SpanAttribute
from tests.attribution.ingest.conftest import issue_key
from tests.attribution.otlp.conftest import CHAT, TRACE, URL, Send, booked, chat, request, settle, span


def rows(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def as_json(*spans: Span) -> bytes:
    """Ids in hexadecimal, as OTLP has it, and not in base64, as protobuf's JSON would."""
    told = MessageToDict(request(*spans))
    for resource_spans in told["resourceSpans"]:
        for each in resource_spans["scopeSpans"][0]["spans"]:
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in each:
                    each[name] = base64.b64decode(each[name]).hex()
    return json.dumps(told).encode()


def test_json_says_the_same_as_protobuf(client: Client, send: Send) -> None:
    family = (chat(1, (300, 30), {"finops.team": "shop"}), chat(2, (300, 30), inside=1))
    send(*family)

    answer = client.post(
        URL,
        as_json(*family),
        content_type="application/json",
        headers={"Authorization": f"Bearer {issue_key('json')}"},
    )

    assert (answer.status_code, answer.json(), answer["Content-Type"]) == (200, {}, "application/json")
    assert OtlpSpan.objects.count() == 2  # the same spans again
    settle()
    assert booked() == [(300, 30)]


def test_an_impossible_usage_is_refused_by_name_and_costs_the_others_nothing(send: Send) -> None:
    bad = chat(1, (500, 10), {"gen_ai.usage.cache_read.input_tokens": 900})

    partial = send(bad, chat(2)).partial_success

    assert partial.rejected_spans == 1
    assert f"{TRACE}:0000000000000001: usage.input_tokens subset_exceeds_total" in partial.error_message
    settle()
    assert booked() == [(100, 10)]


def test_two_spellings_of_the_same_tokens_count_once(send: Send) -> None:
    send(
        chat(
            attributes={
                "gen_ai.usage.cache_creation.input_tokens": 25,
                "gen_ai.usage.cache_write.input_tokens": 25,
                "gen_ai.usage.prompt_tokens": 100,
            }
        )
    )
    settle()

    assert rows("SELECT input, cache_write FROM call_event") == [(75, 25)]


def test_anthropic_counts_without_caches_are_completed_and_others_are_not(send: Send) -> None:
    anthropic = {"gen_ai.provider.name": "anthropic", "gen_ai.response.model": "claude-sonnet-5"}
    send(
        chat(1, (5000, 10), {**anthropic, "gen_ai.usage.cache_read_input_tokens": 8000}),
        chat(2, (8000, 10), {**anthropic, "gen_ai.usage.cache_read_input_tokens": 5000}),
    )
    settle()

    assert rows("SELECT input, cache_read FROM call_event ORDER BY 1") == [(3000, 5000), (5000, 8000)]


def test_a_generation_written_by_hand_counts_its_input_beside_caches(send: Send) -> None:
    told = {"input": 300, "output": 220, "cache_read_input_tokens": 10000, "cache_creation_input_tokens": 752}
    send(
        span(
            attributes={
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "claude-sonnet-4-5",
                "langfuse.observation.usage_details": json.dumps(told),
            }
        )
    )
    settle()

    assert rows("SELECT input, cache_read, cache_write, output FROM call_event") == [(300, 10000, 752, 220)]


def test_prompts_are_dropped_by_name_and_never_stored(send: Send) -> None:
    secret = "the secret plan"
    send(chat(attributes=dict.fromkeys(CONTENT, secret)))

    held = rows("SELECT coalesce(said::text, '') || encode(event, 'escape') FROM otlp_span")
    assert len(held) == 1
    assert secret not in held[0][0]
    settle()
    assert secret not in str(rows("SELECT e::text FROM call_event e"))


CONTENT = (
    "gen_ai.prompt.0.content",
    "gen_ai.completion.0.content",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "llm.input_messages.0.message.content",
    "input.value",
    "output.value",
    "traceloop.entity.input",
    "langfuse.observation.output",
    "ai.prompt.messages",
    "request_data",
    "all_messages_events",
)


def test_our_names_come_from_the_span_then_its_baggage_then_its_resource(send: Send) -> None:
    resource = {"service.name": "shop", "finops.team": "of-resource", "finops.tier": "pro",
                "deployment.environment.name": "production", "service.version": "1.2"}  # fmt: skip
    said = {
        "finops.team": "of-span",
        "baggage.finops.team": "of-baggage",
        "baggage.finops.feature": "checkout",
        "finops.session": "s-1",
        "finops.task_id": "t-1",
        "enduser.id": "u 1",
        "finops.customer": "Big Corp & Sons",
    }
    send(chat(attributes=said), resource=resource)
    settle()

    names = "source, team, feature, tier, environment, release"
    assert rows(f"SELECT {names} FROM dimension_set") == [
        ("shop", "of-span", "checkout", "pro", "production", "1.2")
    ]
    assert rows("SELECT session_id, task_id, end_user, trace_id FROM call_event") == [
        ("s-1", "t-1", "u 1", TRACE)
    ]
    assert rows("SELECT name FROM customer") == [("Big-Corp-Sons",)]


def test_a_name_mapped_by_a_person_is_read_after_our_own(send: Send) -> None:
    SpanAttribute.objects.create(name="team", attribute="app.squad")
    forget_spellings()

    send(chat(1, attributes={"app.squad": "payments"}))
    send(chat(2, attributes={"app.squad": "payments", "finops.team": "search"}))
    settle()

    assert rows("SELECT team FROM dimension_set ORDER BY 1") == [("payments",), ("search",)]


def test_metadata_of_instrumentations_holds_our_names(send: Send) -> None:
    send(
        chat(1, attributes={"traceloop.association.properties.team": "a"}),
        chat(2, attributes={"langfuse.trace.metadata.team": '"b"'}),
        chat(3, attributes={"metadata": '{"finops.team": "c"}'}),
        chat(4, attributes={"ai.telemetry.metadata.finops.team": "d"}),
    )
    settle()

    assert [team for (team,) in rows("SELECT team FROM dimension_set ORDER BY 1")] == list("abcd")


def test_a_key_bound_to_a_source_sends_as_that_source(send: Send) -> None:
    send(chat(), key=issue_key("bound", source="gateway"))
    settle()

    assert rows("SELECT source FROM dimension_set") == [("gateway",)]


def test_a_key_of_one_team_cannot_book_to_another(send: Send) -> None:
    key = issue_key("bound", team="search")

    partial = send(chat(1, attributes={"finops.team": "ads"}), chat(2), key=key).partial_success
    assert partial.rejected_spans == 1
    assert "team_not_allowed" in partial.error_message

    # Nor through a span around it that another key sent.
    send(span(3, {"finops.team": "ads"}))
    send(chat(4, inside=3), key=key)
    settle()
    assert rows("SELECT DISTINCT team FROM dimension_set") == [("",)]


def test_langfuse_sends_its_secret_as_a_password(client: Client) -> None:
    secret = issue_key("langfuse")
    basic = base64.b64encode(f"pk-lf-1:{secret}".encode()).decode()

    answer = client.post(
        "/api/public/otel/v1/traces",
        request(chat()).SerializeToString(),
        content_type="application/x-protobuf",
        headers={"Authorization": f"Basic {basic}"},
    )

    assert answer.status_code == 200
    assert OtlpSpan.objects.get().api_key == "langfuse"


def test_a_call_without_usage_is_no_call_and_one_that_failed_is(send: Send) -> None:
    send(span(1, CHAT), span(2, {**CHAT, "error.type": "TimeoutError"}, failed=True))
    settle()

    assert rows("SELECT input, output, status FROM call_event") == [(0, 0, 2)]


BEYOND_ALL_TIME = as_json(chat(1)).replace(b'"endTimeUnixNano": "', b'"endTimeUnixNano": "9999999999')


@pytest.mark.parametrize(
    ("body", "media", "headers", "status"),
    [
        (b"\xff\xff\xff", "application/x-protobuf", {}, 400),
        (b"{", "application/json", {}, 400),
        (b'{"resourceSpans": 1}', "application/json", {}, 400),
        (
            as_json(chat(1)).replace(b'"endTimeUnixNano": "', b'"endTimeUnixNano": "9999999999'),
            "application/json",
            {},
            400,
        ),
        (b"", "text/csv", {}, 415),
        (b"", "application/x-protobuf", {"Content-Encoding": "br"}, 415),
        (b"", "application/x-protobuf", {"Authorization": ""}, 401),
        (b"", "application/x-protobuf", {"Authorization": "Basic !"}, 401),
    ],
)
def test_what_is_no_trace_is_refused(
    client: Client, body: bytes, media: str, headers: dict[str, str], status: int
) -> None:
    key = issue_key("collector")
    answer = client.post(URL, body, content_type=media, headers={"Authorization": f"Bearer {key}"} | headers)

    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


def test_a_key_that_may_not_send_is_refused(client: Client) -> None:
    key = issue_key("reader", "read")
    answer = client.post(
        URL, b"", content_type="application/x-protobuf", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 403
    assert client.get(URL).status_code == 405


def test_a_contract_made_later_holds_for_names_that_passed_before(send: Send) -> None:
    assert not send(chat(1)).HasField("partial_success")
    contracts.put("shop", actor="ann", required=["feature"], mode="quarantine")
    # As another process would notice it, a second later.
    contracts.book.forget()
    send(chat(2))

    partial = send(chat(3), chat(4, attributes={"finops.feature": "chat"})).partial_success

    contracts.book.forget()
    assert partial.rejected_spans == 1
    assert "feature contract" in partial.error_message


@pytest.mark.parametrize("trace", ["0" * 32, "ab" * 8, ""])
def test_ids_of_nothing_are_no_spans(send: Send, trace: str) -> None:
    partial = send(chat(trace=trace), chat(2)).partial_success

    assert OtlpSpan.objects.count() == 1
    assert partial.rejected_spans == 1
    assert "span_id invalid" in partial.error_message


def test_other_content_under_known_ids_is_a_conflict(send: Send) -> None:
    first, other = chat(1, (100, 10)), chat(1, (200, 20))
    assert not send(first, chat(2)).HasField("partial_success")

    partial = send(other, chat(3)).partial_success
    send(other)
    settle()

    assert partial.rejected_spans == 1
    assert "conflict" in partial.error_message
    assert booked() == [(100, 10)] * 3
    assert rows("SELECT reason, event_id FROM quarantine") == [("conflict", f"{TRACE}:{1:016x}")]
    assert not send(first).HasField("partial_success")


def test_null_in_json_says_nothing(client: Client) -> None:
    told = json.loads(as_json(chat(1)))
    one = told["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    one |= {"parentSpanId": None, "events": None, "status": None}
    one["attributes"] += [{"key": "nothing", "value": None}]
    told["resourceSpans"][0]["scopeSpans"][0]["scope"] = {"name": None}
    told["resourceSpans"] += [{"resource": {"attributes": None}, "scopeSpans": None}]

    answer = client.post(
        URL,
        json.dumps(told),
        content_type="application/json",
        headers={"Authorization": f"Bearer {issue_key('json')}"},
    )

    assert (answer.status_code, answer.json()) == (200, {})
    settle()
    assert booked() == [(100, 10)]


def test_what_is_acknowledged_and_refused_later_is_kept_aside(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that was made between the answer and the booking: the call is in the quarantine, not gone."""
    send(chat(1), chat(2, (7, 1)))
    monkeypatch.setattr(rules, "MOST_AHEAD_US", -3600 * 1_000_000)

    settle()

    assert booked() == []
    assert {each.fate for each in OtlpSpan.objects.all()} == {Fate.REFUSED}
    assert rows("SELECT code, event_id FROM quarantine ORDER BY 2") == [
        ("in_the_future", f"{TRACE}:000000000000000{number}") for number in (1, 2)
    ]
