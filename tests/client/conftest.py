"""A server to send to, and clients that are quick about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from finops_client import Client, Settings

from tests.client.recording import Server

QUICK = Settings(flush_interval=0.02, first_backoff=0.01, longest_backoff=0.05, timeout=5, exit_timeout=2)
MakeClient = Callable[..., Client]


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def make_client(server: Server) -> Iterator[MakeClient]:
    """Clients of that server; ``Settings`` by name. They are closed at the end."""
    made: list[Client] = []

    def make(**settings: Any) -> Client:
        made.append(Client(server.url, "fk_test", settings=replace(QUICK, **settings)))
        return made[-1]

    yield make
    for client in made:
        client.close(0.2)


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


def record(client: Client, count: int = 1, **fields: Any) -> list[str]:
    """Record plain calls and return their ids."""
    return [
        client.record(
            provider="openai",
            model="gpt-5-mini",
            usage={"input_tokens": number, "output_tokens": 1},
            **fields,
        )
        for number in range(count)
    ]
