"""Whole bodies: formats, encodings, sizes, keys."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import msgspec
import pytest
import zstandard

from attribution.ingest.bodies import MOST_BYTES
from finops.accounts.models import Scope
from tests.attribution.ingest.conftest import Answer, Send, event, issue_key, minutes_ago, rows

encode = msgspec.json.encode


def refused(answer: Answer, status: int) -> list[tuple[str, str]]:
    """(field, code) of a problem answer with that status."""
    assert answer.status == status
    assert set(answer.body) == {"type", "title", "status", "detail", "errors"}
    assert answer.body["status"] == status
    return [(problem["field"], problem["code"]) for problem in answer.body["errors"]]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[", b"nonsense", b'{"events": [}', b"[" * 100_000, b'["\xff"]', b"[1e9999999999999999999]"],
)
def test_a_body_that_is_no_json_is_a_problem(send: Send, body: bytes) -> None:
    assert refused(send(body=body), 400) == [("body", "malformed")]
    assert rows() == []


@pytest.mark.parametrize("body", [b"{}", b"null", b"5", b'"events"', b'{"event": []}'])
def test_a_body_without_events_is_a_problem(send: Send, body: bytes) -> None:
    assert refused(send(body=body), 400) == [("events", "required")]


def test_no_events_are_no_problem(send: Send) -> None:
    assert send(body=b"[]").counts == (0, 0, 0, 0)


def test_an_array_and_an_object_are_taken_alike(send: Send) -> None:
    answer = send(body=encode([event("a"), event("b")]))

    assert answer.counts == (2, 0, 0, 0)
    assert rows() == [("a",), ("b",)]


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson"])
def test_a_byte_order_mark_says_nothing(send: Send, media: str) -> None:
    body = b"\xef\xbb\xbf" + encode(event("a") if "nd" in media else [event("a")])

    assert send(body=body, content_type=media).counts == (1, 0, 0, 0)


def test_ndjson_is_taken_line_by_line(send: Send) -> None:
    lines = [encode(event("a")), b"", b"{broken", b'{"event_id": "c"}', encode(event("d"))]

    answer = send(body=b"\r\n".join(lines), content_type="application/x-ndjson")

    assert answer.codes == [(1, "body", "malformed"), (2, "occurred_at", "required")]
    assert rows() == [("a",), ("d",)]


def test_a_batch_of_cloud_events_is_taken(send: Send) -> None:
    data = {"provider": "openai", "model": "gpt-4o", "usage": {"input_tokens": 1}}
    envelope: dict[str, object] = {
        "specversion": "1.0",
        "type": "llm.call",
        "source": "/apps/chat",
        "time": minutes_ago(1),
    }
    batch = [{**envelope, "id": "c-1", "data": data}, {**envelope, "id": "c-2"}]

    answer = send(body=encode(batch), content_type="application/cloudevents-batch+json; charset=utf-8")
    single = send(body=encode({**batch[0], "id": "c-3"}), content_type="application/cloudevents+json")

    assert answer.codes == [(1, "data", "required")]
    assert single.counts == (1, 0, 0, 0)
    assert rows("event_id") == [("c-1",), ("c-3",)]
    assert rows("source", "dimension_set") == [("/apps/chat",)]


@pytest.mark.parametrize("media", ["text/csv", "application/x-protobuf", "multipart/form-data"])
def test_another_content_type_is_a_problem(send: Send, media: str) -> None:
    assert refused(send(event(), content_type=media), 415) == [("Content-Type", "unsupported")]


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "nonsense"])
def test_another_encoding_is_a_problem(send: Send, encoding: str) -> None:
    answer = send(event(), **{"Content-Encoding": encoding})

    assert refused(answer, 415) == [("Content-Encoding", "unsupported")]


def test_gzip_and_zstd_are_inflated(send: Send) -> None:
    halves = [gzip.compress(part) for part in (encode([event("a")])[:20], encode([event("a")])[20:])]
    zipped = send(body=b"".join(halves), **{"Content-Encoding": "gzip"})
    z = send(body=zstandard.ZstdCompressor().compress(encode([event("b")])), **{"Content-Encoding": "zstd"})

    assert (zipped.status, z.counts) == (200, (1, 0, 0, 0))
    assert ("b",) in rows()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_bytes_that_are_not_what_the_encoding_says_are_a_problem(send: Send, encoding: str) -> None:
    assert refused(send(event(), **{"Content-Encoding": encoding}), 400) == [("body", "malformed_encoding")]


def test_a_gzip_body_that_ends_too_early_is_a_problem(send: Send) -> None:
    body = gzip.compress(encode([event(f"e-{n}") for n in range(100)]))[:-20]

    assert refused(send(body=body, **{"Content-Encoding": "gzip"}), 400) == [("body", "malformed_encoding")]


def test_a_body_of_many_empty_gzip_members_is_a_problem(send: Send) -> None:
    body = gzip.compress(b"") * 10_000

    assert refused(send(body=body, **{"Content-Encoding": "gzip"}), 400) == [("body", "malformed_encoding")]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_never_inflated_past_the_limit(send: Send, encoding: str) -> None:
    bomb = _bomb(encoding, 1 << 30)
    send(event("warm"))

    tracemalloc.start()
    answer = send(body=bomb, **{"Content-Encoding": encoding})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert refused(answer, 413) == [("body", "too_large")]
    assert peak < 4 * MOST_BYTES


def test_a_plain_body_beyond_the_limit_is_too_large(send: Send) -> None:
    assert refused(send(body=b" " * (MOST_BYTES + 1)), 413) == [("body", "too_large")]
    assert refused(send(body=b" " * (2 * MOST_BYTES)), 413) == [("body", "too_large")]


def test_ten_thousand_events_are_taken_and_one_more_is_not(send: Send) -> None:
    many = [event(f"e-{n}") for n in range(10_001)]

    assert refused(send(*many), 413) == [("events", "too_many")]
    assert rows() == []
    assert send(*many[:-1]).counts == (10_000, 0, 0, 0)


def test_a_request_needs_a_known_key_with_the_scope(send: Send) -> None:
    reader = issue_key("reader", Scope.READ)

    assert send(event(), key="fk_unknown").status == 401
    assert refused(send(event(), key=reader), 403) == []
    assert rows() == []


def test_a_key_of_a_team_books_to_no_other(send: Send) -> None:
    key = issue_key("search", team="search")

    answer = send(event("own", team="search"), event("foreign", team="ads"), event("untold"), key=key)

    assert answer.codes == [(1, "team", "team_not_allowed")]
    assert rows() == [("own",), ("untold",)]
    assert rows("team, key_team", "dimension_set") == [("", "search"), ("search", "search")]


def test_a_key_of_a_source_sends_for_no_other(send: Send) -> None:
    key = issue_key("chat-service", source="chat")

    answer = send(event("own", source="chat"), event("foreign", source="mail"), event("untold"), key=key)

    assert answer.codes == [(1, "source", "source_not_allowed")]
    assert rows("DISTINCT source", "dimension_set") == [("chat",)]


def test_a_key_without_a_source_sends_under_its_own_name_or_any_other(send: Send) -> None:
    key = issue_key("gateway-7")

    send(event("untold"), event("told", source="mail"), key=key)

    assert rows("source", "dimension_set") == [("gateway-7",), ("mail",)]


def _bomb(encoding: str, size: int) -> bytes:
    pieces = [bytes(1 << 20)] * (size >> 20)
    if encoding == "gzip":
        squeeze = zlib.compressobj(9, wbits=31)
        return b"".join([*map(squeeze.compress, pieces), squeeze.flush()])
    zstd = zstandard.ZstdCompressor().compressobj()
    return b"".join([*map(zstd.compress, pieces), zstd.flush()])
