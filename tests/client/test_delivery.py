"""Every event reaches the server once, whatever happens between; what cannot is counted and reported."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from finops_client import Client, Drop, Rejection, Settings

from tests.client.conftest import MakeClient, record
from tests.client.recording import Received, Reply, Server, answer, cut, slowly
from tests.instances import eventually, free_port


def test_many_events_go_in_few_requests_in_order(server: Server, make_client: MakeClient) -> None:
    client = make_client(batch_size=100, flush_interval=60)

    ids = record(client, 250)
    assert client.flush()

    assert [len(one.ids) for one in server.received] == [100, 100, 50]
    assert [name for one in server.received for name in one.ids] == ids
    assert client.stats.delivered == client.stats.accepted == 250


def test_a_full_batch_goes_before_its_time(server: Server, make_client: MakeClient) -> None:
    client = make_client(batch_size=10, flush_interval=60)

    record(client, 15)

    assert eventually(lambda: len(server.stored) == 10, 5)


def test_a_lonely_event_goes_when_its_time_has_come(server: Server, client: Client) -> None:
    ids = record(client)

    assert eventually(lambda: list(server.stored) == ids, 5)


def test_batches_are_bounded_in_bytes(server: Server, make_client: MakeClient) -> None:
    client = make_client(batch_bytes=10_000, flush_interval=60)

    record(client, 100, tags={"note": "x" * 200})
    assert client.flush()

    assert max(len(one.body) for one in server.received) <= 10_100
    assert len(server.stored) == 100


def test_the_time_is_that_of_the_recording(server: Server, client: Client) -> None:
    server.plan.extend([cut] * 5)
    before = datetime.now(UTC)
    (name,) = record(client)
    after = datetime.now(UTC)

    assert client.flush()

    assert before <= datetime.fromisoformat(server.stored[name]["occurred_at"]) <= after


@pytest.mark.parametrize(("compression", "encoding"), [("zstd", "zstd"), ("gzip", "gzip"), ("none", None)])
def test_bodies_are_compressed(
    server: Server, make_client: MakeClient, compression: str, encoding: str | None
) -> None:
    client = make_client(compression=compression)

    record(client, 200)
    assert client.flush()

    assert server.received[0].headers.get("Content-Encoding") == encoding
    assert len(server.stored) == 200


def test_a_server_that_takes_no_compressed_bodies_gets_plain_ones(server: Server, client: Client) -> None:
    server.plan.append(answer(415))

    record(client, 200)
    assert client.flush()

    assert "Content-Encoding" not in server.received[1].headers
    assert client.stats.accepted == 200


def test_one_connection_is_kept(server: Server, client: Client) -> None:
    for _ in range(5):
        record(client)
        assert client.flush()

    assert server.connections == 1


@pytest.mark.parametrize("failure", [cut, *(answer(status) for status in (429, 500, 502, 503, 504, 408))])
def test_the_same_body_is_sent_until_it_is_answered(server: Server, client: Client, failure: Any) -> None:
    server.plan.extend([failure] * 3)

    ids = record(client, 3)
    assert client.flush()

    assert [one.ids for one in server.received if one.ids != ids] == []
    assert len({one.body for one in server.received}) == 1
    assert client.stats.accepted == 3
    assert client.stats.failed_requests >= 3


def test_a_lost_answer_brings_duplicates_and_no_second_event(server: Server, client: Client) -> None:
    server.plan.append(server.lose_answer)

    ids = record(client, 20)
    assert client.flush()

    assert list(server.stored) == ids
    assert (client.stats.accepted, client.stats.duplicates, client.stats.lost) == (0, 20, 0)


def test_an_answer_cut_in_the_middle_is_no_answer(server: Server, client: Client) -> None:
    def half(received: Received) -> Reply:
        status, content, _ = server.store(received)
        return status, content, {"Content-Length": "5000", "Connection": "close"}

    server.plan.append(half)

    ids = record(client, 3)
    assert client.flush()

    assert [one.ids for one in server.received] == [ids, ids]
    assert (client.stats.accepted, client.stats.duplicates) == (0, 3)


def test_retry_after_in_seconds_is_honoured(server: Server, client: Client) -> None:
    server.plan.append(answer(429, Retry_After="1"))

    record(client)
    assert client.flush()

    first, second = server.received
    assert 0.95 <= second.at - first.at < 3


def test_retry_after_as_a_date_is_honoured(server: Server, client: Client) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    server.plan.append(answer(503, Retry_After=until))

    record(client)
    assert client.flush()

    first, second = server.received
    assert 0.9 <= second.at - first.at < 4


def test_a_batch_too_large_is_cut_until_it_fits(server: Server, client: Client) -> None:
    def at_most_seven(received: Received) -> Reply:
        return answer(413)(received) if len(received.ids) > 7 else server.store(received)

    server.always = at_most_seven

    ids = record(client, 50)
    assert client.flush()

    assert sorted(server.stored) == sorted(ids)
    assert client.stats.lost == 0


def test_an_event_too_large_by_itself_is_given_up(server: Server, make_client: MakeClient) -> None:
    drops: list[Drop] = []
    client = make_client(on_drop=drops.append)
    server.always = lambda one: answer(413)(one) if "big" in one.ids else server.store(one)

    record(client, event_id="big")
    ids = record(client, 5)
    assert client.flush()

    assert sorted(server.stored) == sorted(ids)
    assert drops == [Drop("too_large", ("big",))]


def test_an_event_that_breaks_the_server_does_not_hold_up_the_others(
    server: Server, make_client: MakeClient
) -> None:
    drops: list[Drop] = []
    client = make_client(on_drop=drops.append, batch_size=4)
    server.always = lambda one: answer(500)(one) if "poison" in one.ids else server.store(one)

    record(client, 2)
    record(client, event_id="poison")
    record(client, 1)
    for _ in range(5):
        record(client, 4)
        time.sleep(0.05)
    assert client.flush(20)

    assert len(server.stored) == 23
    assert drops == [Drop("refused", ("poison",))]


def test_a_server_that_only_answers_500_costs_nothing(server: Server, client: Client) -> None:
    server.plan.extend([answer(500)] * 12)

    ids = record(client, 20)
    assert client.flush()

    assert list(server.stored) == ids
    assert client.stats.lost == 0


def test_a_body_refused_as_a_whole_is_not_sent_again(server: Server, make_client: MakeClient) -> None:
    drops: list[Drop] = []
    client = make_client(on_drop=drops.append)
    server.plan.append(answer(400))

    ids = record(client, 3)
    assert client.flush()

    assert len(server.received) == 1
    assert drops == [Drop("refused", tuple(ids))]
    assert client.stats.dropped == {"refused": 3}


def test_rejected_events_are_reported_one_by_one_and_logged_once_a_rule(
    server: Server, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Rejection] = []
    client = make_client(on_rejected=told.append)
    bad = {"field": "usage.input_tokens", "code": "out_of_range", "message": "Expected `int` >= 0."}
    rejected = [{"index": 0, "event_id": "a", **bad}, {"index": 2, "event_id": "c", **bad}]
    server.plan.append(answer(200, {"accepted": 1, "duplicates": 0, "conflicts": [], "rejected": rejected}))

    for name in "abc":
        record(client, event_id=name)
    assert client.flush()

    assert told == [Rejection("a", **bad), Rejection("c", **bad)]
    assert (client.stats.accepted, client.stats.rejected, client.stats.delivered) == (1, 2, 3)
    assert len([one for one in caplog.messages if one.startswith("Rejected")]) == 1


def test_events_that_the_server_spooled_are_delivered(server: Server, client: Client) -> None:
    server.plan.append(answer(202, {"spooled": 3}))

    record(client, 3)
    assert client.flush()

    assert (len(server.received), client.stats.delivered) == (1, 3)


def test_outcomes_are_kept_through_an_outage_of_the_server_and_delivered_where_it_spools_them(
    server: Server, client: Client
) -> None:
    server.plan.extend([answer(503, Retry_After="1"), answer(202, {"spooled": 1, "rejected": []})])

    client.outcome("t-1", "success", value_usd="2.50")
    assert client.flush()

    first, second = server.received
    assert (first.path, first.body) == ("/api/v1/outcomes", second.body)
    assert second.at - first.at >= 0.95
    assert client.stats.lost == 0


def test_a_page_of_something_in_between_is_no_answer(server: Server, client: Client) -> None:
    server.plan.append(answer(200, {"please": "sign in"}))

    record(client)
    assert eventually(lambda: len(server.received) == 2, 5)

    assert client.flush()
    assert client.stats.accepted == 1


@pytest.mark.parametrize("status", [401, 403, 404, 301])
def test_a_wrong_key_or_address_is_said_loudly_and_tried_again(
    server: Server, client: Client, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.plan.extend([answer(status)] * 2)

    record(client)
    assert eventually(lambda: len(server.stored) == 1, 5)

    said = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert [text.split(",")[0] for text in said] == ["Nothing is being delivered"]


def test_recording_does_not_wait_for_a_slow_server(server: Server, client: Client) -> None:
    server.always = slowly(1, server.store)

    started = time.perf_counter()
    record(client, 1000)

    assert time.perf_counter() - started < 0.5
    assert client.flush()


def test_a_server_slower_than_the_timeout_gets_the_events_again(
    server: Server, make_client: MakeClient
) -> None:
    client = make_client(timeout=0.2)
    server.plan.append(slowly(0.5, server.store))

    ids = record(client, 3)
    assert client.flush()

    assert list(server.stored) == ids
    assert [one.ids for one in server.received] == [ids, ids]


def test_beyond_its_bounds_the_queue_drops_what_comes_and_says_so(
    server: Server, make_client: MakeClient
) -> None:
    drops: list[Drop] = []
    client = make_client(queue_size=100, batch_size=10, on_drop=drops.append)
    server.always = cut

    ids = record(client, 130)
    server.always = server.store
    assert client.flush()

    assert list(server.stored) == ids[:100]
    assert [one.ids[0] for one in drops] == ids[100:]
    assert client.stats.dropped == {"queue_full": 30}


def test_what_cannot_be_sent_raises_nothing(client: Client) -> None:
    client.record(provider="openai", model="m", usage={"input_tokens": 1}, tags={"a": object()})  # type: ignore[dict-item]
    client.record(provider="openai", model="m", usage={"input_tokens": 1}, duration_ms=float("nan"))

    assert client.stats.dropped == {"unencodable": 2}


def test_a_callback_that_fails_stops_nothing(server: Server, make_client: MakeClient) -> None:
    client = make_client(on_drop=lambda drop: 1 / 0)
    server.plan.append(answer(400))

    record(client)
    assert client.flush()
    record(client)

    assert client.flush()
    assert len(server.stored) == 1


def test_closing_reports_what_could_not_be_delivered() -> None:
    drops: list[Drop] = []
    settings = Settings(on_drop=drops.append, flush_interval=0.01)
    client = Client(f"http://127.0.0.1:{free_port()}", "fk_test", settings=settings)
    ids = record(client, 3)

    started = time.perf_counter()
    assert not client.close(0.3)

    assert time.perf_counter() - started < 2
    assert drops == [Drop("undelivered", tuple(ids))]


def test_closed_clients_take_nothing_in(client: Client) -> None:
    client.close()

    record(client)

    assert client.stats.dropped == {"closed": 1}


def test_without_an_address_nothing_is_sent_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINOPS_URL", raising=False)
    monkeypatch.delenv("FINOPS_API_KEY", raising=False)

    with Client() as client, client.task():
        assert record(client)

    assert not client.enabled


def test_address_and_key_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINOPS_URL", f"{server.url}/")
    monkeypatch.setenv("FINOPS_API_KEY", "fk_env")

    with Client() as client:
        record(client)

    assert server.received[0].path == "/api/v1/events"
    assert server.received[0].headers["Authorization"] == "Bearer fk_env"
    assert json.loads(server.received[0].body)["events"][0]["provider"] == "openai"


@pytest.mark.parametrize("url", ["ftp://host", "no address", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="url must be"):
        Client(url, "fk_test")
