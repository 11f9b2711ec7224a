"""One bad event is refused with its field and its rule, and never costs the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attribution.ingest.conftest import Send, event, minutes_ago, rows


def usage(**quantities: Any) -> dict[str, Any]:
    return {"usage": quantities}


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("no id", {"event_id": None}, "event_id", "required"),
    ("an empty id", {"event_id": ""}, "event_id", "too_short"),
    ("a long id", {"event_id": "x" * 129}, "event_id", "too_long"),
    ("a number as id", {"event_id": 7}, "event_id", "wrong_type"),
    ("an id with a newline", {"event_id": "a\nb"}, "event_id", "not_printable"),
    ("no time", {"occurred_at": None}, "occurred_at", "required"),
    ("a naive time", {"occurred_at": "2026-11-01T12:00:00"}, "occurred_at", "naive_time"),
    ("a word as time", {"occurred_at": "yesterday"}, "occurred_at", "invalid_time"),
    ("a 13th month", {"occurred_at": "2026-13-01T12:00:00Z"}, "occurred_at", "invalid_time"),
    ("1970", {"occurred_at": "1970-01-01T00:00:00Z"}, "occurred_at", "implausible"),
    ("zero milliseconds", {"occurred_at": 0}, "occurred_at", "implausible"),
    ("seconds for milliseconds", {"occurred_at": 1_790_000_000}, "occurred_at", "implausible"),
    ("microseconds", {"occurred_at": 1_790_000_000_000_000}, "occurred_at", "out_of_range"),
    ("no provider", {"provider": None}, "provider", "required"),
    ("an empty model", {"model": ""}, "model", "too_short"),
    ("a long model", {"model": "m" * 257}, "model", "too_long"),
    ("a model with NUL", {"model": "gpt\0"}, "model", "not_printable"),
    ("no usage", {"usage": None}, "usage", "required"),
    ("empty usage", {"usage": {}}, "usage", "empty"),
    ("usage of nothing but nulls", usage(input_tokens=None), "usage", "empty"),
    ("usage as a list", {"usage": [1]}, "usage", "wrong_type"),
    ("negative tokens", usage(input_tokens=-1), "usage.input_tokens", "out_of_range"),
    ("too many tokens", usage(input_tokens=10**9 + 1), "usage.input_tokens", "out_of_range"),
    ("far too many tokens", usage(input_tokens=10**30), "usage.input_tokens", "out_of_range"),
    ("half a token", usage(input_tokens=1.5), "usage.input_tokens", "not_an_integer"),
    ("tokens as text", usage(input_tokens="12"), "usage.input_tokens", "wrong_type"),
    ("tokens as a truth", usage(input_tokens=True), "usage.input_tokens", "wrong_type"),
    ("an unknown quantity", usage(inptu_tokens=1), "usage.inptu_tokens", "unknown_field"),
    (
        "more cached than sent",
        usage(input_tokens=500, cache_read_tokens=900),
        "usage.input_tokens",
        "subset_exceeds_total",
    ),
    (
        "read and written more than sent",
        usage(input_tokens=10, cache_read_tokens=6, cache_write_tokens=5),
        "usage.input_tokens",
        "subset_exceeds_total",
    ),
    (
        "more for an hour than written",
        usage(input_tokens=10, cache_write_tokens=5, cache_write_1h_tokens=6),
        "usage.cache_write_tokens",
        "subset_exceeds_total",
    ),
    (
        "more reasoning than output",
        usage(output_tokens=1, reasoning_tokens=2),
        "usage.output_tokens",
        "subset_exceeds_total",
    ),
    ("a subset without its total", usage(reasoning_tokens=2), "usage.output_tokens", "subset_exceeds_total"),
    (
        "a negative unit",
        usage(units={"web_search_calls": -1}),
        "usage.units.web_search_calls",
        "out_of_range",
    ),
    ("a unit that is no number", usage(units={"characters": "NaN"}), "usage.units.characters", "not_finite"),
    (
        "a unit with seven places",
        usage(units={"audio_seconds": "0.1234567"}),
        "usage.units.audio_seconds",
        "too_precise",
    ),
    ("a unit with a strange name", usage(units={"Web Search": 1}), "usage.units", "invalid_characters"),
    ("too many units", usage(units={f"u{n}": 1 for n in range(17)}), "usage.units", "too_long"),
    ("raw usage without flavour", {"usage": None, "raw_usage": {}}, "api_flavor", "required"),
    (
        "raw usage of an unknown flavour",
        {"usage": None, "raw_usage": {}, "api_flavor": "acme"},
        "api_flavor",
        "unknown",
    ),
    ("usage twice", {"raw_usage": {}, "api_flavor": "openai.chat"}, "raw_usage", "ambiguous"),
    ("unknown semantics", {"usage_semantics": "exclusive"}, "usage_semantics", "not_a_choice"),
    ("a team with spaces", {"team": "the search team"}, "team", "not_a_slug"),
    ("a long feature", {"feature": "f" * 129}, "feature", "too_long"),
    ("a customer with a comma", {"customer": "a,b"}, "customer", "not_a_slug"),
    ("a tier that is a list", {"tier": ["pro"]}, "tier", "wrong_type"),
    ("a session with a bell", {"session_id": "\a"}, "session_id", "not_printable"),
    ("too many tags", {"tags": {f"t{n}": "x" for n in range(21)}}, "tags", "too_long"),
    ("a tag key in capitals", {"tags": {"Region": "eu"}}, "tags", "invalid_characters"),
    ("a long tag key", {"tags": {"k" * 65: "x"}}, "tags", "too_long"),
    ("a long tag value", {"tags": {"k": "x" * 257}}, "tags[...]", "too_long"),
    ("a tag value that is a number", {"tags": {"k": 1}}, "tags[...]", "wrong_type"),
    ("a tag value with a newline", {"tags": {"k": "a\nb"}}, "tags.k", "not_printable"),
    ("an unknown status", {"status": "fine"}, "status", "not_a_choice"),
    ("attempt zero", {"attempt": 0}, "attempt", "out_of_range"),
    ("a negative duration", {"duration_ms": -1}, "duration_ms", "out_of_range"),
    ("negative tool calls", {"tool_calls": -1}, "tool_calls", "out_of_range"),
    ("an unknown cache", {"response_cache": "maybe"}, "response_cache", "not_a_choice"),
    ("an unknown processing", {"processing": "stream"}, "processing", "not_a_choice"),
    (
        "a cost in an unknown currency",
        {"reported_cost": {"amount": "1", "currency": "dollars"}},
        "reported_cost.currency",
        "invalid_characters",
    ),
    (
        "a cost that is no number",
        {"reported_cost": {"amount": "Infinity", "currency": "USD"}},
        "reported_cost.amount",
        "out_of_range",
    ),
]


@pytest.mark.parametrize(("said", "field", "code"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_event_is_refused_by_field_and_rule_and_its_neighbours_are_kept(
    send: Send, said: dict[str, Any], field: str, code: str
) -> None:
    answer = send(event("before"), event(**{"event_id": "bad", **said}), event("after"))

    assert answer.status == 200
    assert answer.codes == [(1, field, code)]
    assert answer.body["rejected"][0]["message"]
    assert rows() == [("after",), ("before",)]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_json_does_not_have_costs_only_its_event(send: Send, number: str) -> None:
    body = "[" + ",".join([_raw("a", "1"), _raw("b", number), _raw("c", "2")]) + "]"

    answer = send(body=body.encode())

    assert answer.codes == [(1, "usage.input_tokens", "not_an_integer")]
    assert rows() == [("a",), ("c",)]


def test_a_lone_surrogate_costs_only_its_event(send: Send) -> None:
    body = "[" + ",".join(_raw(name, "1") for name in ("a", "\\ud800", "c")) + "]"

    answer = send(body=body.encode())

    assert answer.codes == [(1, "event_id", "not_printable")]
    assert rows() == [("a",), ("c",)]


@pytest.mark.parametrize("item", [None, 5, "event", [], [[]]])
def test_something_that_is_no_object_is_refused_where_it_stands(send: Send, item: object) -> None:
    answer = send(item, event("good"))

    assert answer.codes == [(0, "", "wrong_type")]
    assert rows() == [("good",)]


def test_every_event_may_be_bad(send: Send) -> None:
    answer = send(*[event(f"e-{n}", team="no slug") for n in range(3)])

    assert answer.counts == (0, 0, 0, 3)
    assert rows() == []


def test_unknown_fields_are_ignored_and_named(send: Send) -> None:
    answer = send(event(feture="chat", region_name="eu"))

    assert answer.counts == (1, 0, 0, 0)
    assert answer.body["unknown_fields"] == ["feture", "region_name"]


def test_null_and_the_empty_text_mean_not_given(send: Send) -> None:
    plain = event("plain")
    answer = send(plain, {**plain, "event_id": "null", "team": None, "duration_ms": None, "tags": None})
    empty = send({**plain, "event_id": "empty", "team": "", "customer": "", "task_id": ""})

    assert answer.counts == (2, 0, 0, 0)
    assert empty.counts == (1, 0, 0, 0)
    assert len(set(rows("dimension_set_id, customer_id, duration_ms, task_id"))) == 1


def _raw(event_id: str, tokens: str) -> str:
    """An event as text, for what no JSON encoder would write."""
    return (
        f'{{"event_id": "{event_id}", "occurred_at": "{minutes_ago(1)}", "provider": "p", "model": "m",'
        f' "usage": {{"input_tokens": {tokens}}}}}'
    )


def test_a_time_in_11_minutes_is_refused_and_one_in_9_is_taken(send: Send) -> None:
    told = send(event("late", occurred_at=minutes_ago(-11)), event("soon", occurred_at=minutes_ago(-9)))

    assert told.codes == [(0, "occurred_at", "in_the_future")]
    assert rows() == [("soon",)]
