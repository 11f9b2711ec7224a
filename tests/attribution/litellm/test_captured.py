"""Bodies that a real LiteLLM sent: each call once, with the usage that the provider really had told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attribution.ingest.intake import Sender, admit
from attribution.ingest.litellm import parse
from attribution.ingest.schema import Event
from finops.core.meters import USAGE_FIELDS

FIXTURES = Path(__file__).parent / "fixtures"
SCENARIOS: dict[str, Any] = json.loads((FIXTURES / "manifest.json").read_text())["scenarios"]
OF_A_PROXY: dict[str, Any] = json.loads((FIXTURES / "proxy" / "manifest.json").read_text())["scenarios"]
# The answer of a stream is put together by the client, without the date of the model.
UNDATED = {"chat_stream", "chat_stream_without_usage", "messages_stream_caches"}

pytestmark = pytest.mark.django_db


def events_of(scenario: dict[str, Any], folder: Path = FIXTURES) -> list[Event]:
    """What the files of a scenario are taken for; nothing of them may be refused."""
    events: list[Event] = []
    for file in scenario["files"]:
        arrivals = parse((folder / file["file"]).read_bytes(), file["content_type"])
        admit(arrivals, Sender("litellm"))
        assert not arrivals.rejected
        events += arrivals.events
    return events


def told(event: Event, names: set[str]) -> dict[str, int]:
    assert event.usage is not None
    return {name: max(getattr(event.usage, name), 0) for name in sorted(names)}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_call_is_read_with_its_true_usage(name: str) -> None:
    scenario = SCENARIOS[name]
    events = [event for event in events_of(scenario) if event.response_cache != "hit"]
    calls = scenario["calls"]
    assert len(events) == scenario["number_of_calls"]
    assert len({event.event_id for event in events}) == len(events)
    unmatched = list(events)
    for call in calls:
        counts = {field for field in USAGE_FIELDS if field in call}
        expected = {field: call[field] for field in sorted(counts)} | scenario["told_wrong"]
        model = call["model_requested"] if name in UNDATED else call["model"]
        found = next(
            event
            for event in unmatched
            if told(event, counts) == expected
            and (event.provider, event.model) == (call["provider"], model)
            and (event.status == "success") == (call["status"] == "success")
        )
        unmatched.remove(found)


def test_retries_and_a_fallback_are_three_attempts_of_one_operation() -> None:
    events = events_of(SCENARIOS["fallback"])
    assert [event.attempt for event in events] == [1, 2, 3]
    assert len({event.trace_id for event in events}) == 1


def test_an_answer_from_the_proxys_own_cache_is_told_from_a_call() -> None:
    events = events_of(SCENARIOS["cache_hit"])
    assert [event.response_cache for event in events] == [None, "hit"]


def test_tags_of_a_request_become_a_feature_and_tags() -> None:
    (event,) = events_of(SCENARIOS["chat"])
    assert event.feature == "checkout"
    assert event.tags is not None
    assert event.tags["production"] == "true"
    assert event.service_tier == "default"


@pytest.mark.parametrize("name", OF_A_PROXY)
def test_a_proxy_tells_every_call_with_its_true_usage_and_its_team(name: str) -> None:
    scenario = OF_A_PROXY[name]
    events = events_of(scenario, FIXTURES / "proxy")

    assert len(events) == len(scenario["calls"])
    for event, call in zip(events, scenario["calls"], strict=True):
        counts = {field for field in USAGE_FIELDS if field in call}
        assert told(event, counts) == {field: call[field] for field in counts}
        assert (event.provider, event.status) == (call["provider"], call["status"])
        # The answer goes by the proxy's name for the model: then it is the one that was routed to.
        assert event.model in {call["model"], call["model_requested"]}
        assert event.team == "Payments"
