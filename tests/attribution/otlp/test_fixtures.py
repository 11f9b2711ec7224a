"""What real instrumentations send, against what really was used: see README.md for how it was recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tests.attribution.ingest.conftest import issue_key
from tests.attribution.otlp.conftest import settle

FIXTURES = Path(__file__).parent / "fixtures"
COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
)
_BOOKED = """
    SELECT slot.provider, slot.model, ds.operation, e.status,
           e.input + e.cache_read + e.cache_write + e.cache_write_1h, e.output + e.reasoning,
           e.cache_read, e.cache_write + e.cache_write_1h, e.cache_write_1h, e.reasoning, ds.team, ds.feature
    FROM call_event e
    JOIN price_slot slot ON slot.id = e.slot_id
    JOIN dimension_set ds ON ds.id = e.dimension_set_id
"""
Call = tuple[Any, ...]
ERROR, SUCCESS = 1, 0


MANIFESTS = sorted(FIXTURES.glob("*/manifest.json"))


def expected(scenario: dict[str, Any]) -> list[Call]:
    """What can be known from the spans: the true usage, less what this client does not transmit."""
    lost = set(scenario["lost"])
    calls: list[Call] = []
    for call in scenario["calls"]:
        failed = call["status"] != "success"
        if "call" in lost or ("usage" in lost and not failed):
            continue  # not told, or told without usage: there is nothing to book
        true = {**call, **scenario["told_wrong"]}
        counts = [0 if failed or name in lost else true[name] for name in COUNTS]
        model = call["model_requested"] if "model" in lost or failed else true["model"]
        if call["provider"] == "vllm" and "model" in lost:
            model = "unknown"
        calls.append((call["provider"], model, ERROR if failed else SUCCESS, *counts))
    return sorted(calls)


def booked() -> list[Call]:
    with connection.cursor() as cursor:
        cursor.execute(_BOOKED)
        return sorted((row[0], row[1], *row[3:10]) for row in cursor.fetchall())


def post(client: Client, folder: Path, files: Sequence[dict[str, Any]], key: str) -> None:
    for file in files:
        answer = client.post(
            file["path"],
            (folder / file["file"]).read_bytes(),
            content_type=file["content_type"],
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 200, answer.content


def orders(client: str, files: Sequence[dict[str, Any]]) -> Iterator[list[Sequence[dict[str, Any]]]]:
    """Ways to arrive: all before anything is settled, or each settled before the next, in both orders.

    LiteLLM writes one call's usage on the span around several: when that is booked long before they
    come, it is taken for their sum, and only it counts.
    """
    yield [files]
    if len(files) > 1:
        yield [[file] for file in files]
        if client != "litellm":
            yield [[file] for file in reversed(files)]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=[manifest.parent.name for manifest in MANIFESTS])
def test_every_call_is_booked_once_with_its_usage(client: Client, manifest: Path) -> None:
    key = issue_key("collector")
    wrong = []
    for name, scenario in json.loads(manifest.read_text())["scenarios"].items():
        for order in orders(manifest.parent.name, scenario["files"]):
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE call_event, otlp_span")
            for together in order:
                post(client, manifest.parent, together, key)
                settle()
            if (found := booked()) != (true := expected(scenario)):
                wrong.append(f"{name}: booked {found}, true {true}")

    assert not wrong, "\n".join(wrong)
