"""Whatever the way in: what is taken while the database is away is booked once, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from finops.embedded.postgres import Postgres
from tests.attribution.ingest.webs import Web, ask, event, new_database
from tests.attribution.pitfalls.conftest import attributes, logged, span
from tests.instances import eventually

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[Postgres, str]]:
    """A server of the test's own, and a key that may send."""
    server, key = new_database(tmp_path)
    yield server, key
    with suppress(Exception):
        server.start()
    server.stop()


@pytest.fixture
def web(database: tuple[Postgres, str]) -> Iterator[Web]:
    server = Web.start(*database)
    yield server
    server.stop()


def said(number: int) -> dict[str, object]:
    """The same number as each way in says it."""
    resource = {"attributes": attributes({"service.name": "shop"})}
    scoped = [{"spans": [span(number, CHAT, trace=number)]}]
    return {
        "/api/v1/events": [event(f"event-{number}")],
        "/api/v1/ingest/litellm": [logged(f"logged-{number}")],
        "/v1/traces": {"resourceSpans": [{"resource": resource, "scopeSpans": scoped}]},
    }


def test_every_way_in_is_taken_while_the_database_is_away(web: Web) -> None:
    assert [web.ask("POST", path, body)[0] for path, body in said(1).items()] == [200, 200, 200]
    web.database.stop()

    away = said(2)
    for _ in range(2):
        assert [web.ask("POST", path, body)[0] for path, body in away.items()] == [202, 202, 200]
    impossible = logged("bad", prompt_tokens=1, metadata={"usage_object": {"cache_read_input_tokens": 9}})
    status, answer, _ = web.ask("POST", "/api/v1/ingest/litellm", [impossible, logged("logged-3")])
    assert (status, answer["spooled"], [bad["code"] for bad in answer["rejected"]]) == (
        202,
        1,
        ["subset_exceeds_total"],
    )
    web.database.start()

    assert eventually(web.is_drained)
    calls = [name for (name,) in ask(web.database, "SELECT event_id FROM call_event ORDER BY 1")]
    assert calls == ["event-1", "event-2", "logged-1", "logged-2", "logged-3"]
    assert ask(web.database, "SELECT count(*), count(DISTINCT trace_id) FROM otlp_span") == [(2, 2)]
