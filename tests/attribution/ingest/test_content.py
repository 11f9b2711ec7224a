"""Prompts and completions are dropped at the edge: nowhere in the database, nowhere in the logs."""

from __future__ import annotations

import logging

import msgspec
import pytest
from django.db import connection

from attribution.ingest.schema import CONTENT_FIELDS, Event
from tests.attribution.ingest.conftest import Send, event, rows

SECRET = "the patient's name is Ada"


@pytest.mark.parametrize("field", sorted(CONTENT_FIELDS))
def test_a_content_field_is_dropped_and_counted(send: Send, field: str) -> None:
    answer = send(event(**{field: [{"role": "user", "content": SECRET}]}), event("b"))

    assert answer.counts == (2, 0, 0, 0)
    assert answer.body["content_dropped"] == 1
    assert answer.body["unknown_fields"] == []


def test_no_content_field_is_a_field_of_an_event() -> None:
    assert not CONTENT_FIELDS & set(Event.__struct_fields__)


def test_content_is_kept_nowhere_whatever_happens_to_its_event(
    send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    private = {"messages": [{"content": SECRET}], "Prompt": SECRET, "unheard_of": SECRET}
    whole_answer = {"usage": {"prompt_tokens": 3, "completion_tokens": 1}, "choices": [{"text": SECRET}]}

    first = send(
        event("kept", **private),
        event("refused", team="no slug", **private),
        event("raw", usage=None, raw_usage=whole_answer, api_flavor="openai.chat"),
        event("raw-refused", usage=None, raw_usage=whole_answer, api_flavor=SECRET, **private),
        body=None,
    )
    conflict = send(event("kept", team="other", **private))
    malformed = send(body=msgspec.json.encode([event(**private)])[:-9])

    assert first.counts == (2, 0, 0, 2)
    assert conflict.counts == (0, 0, 1, 0)
    assert malformed.status == 400
    said = [str(answer.body) for answer in (first, conflict, malformed)]
    assert not [text for text in (*said, caplog.text, _whole_database()) if "Ada" in text]


def test_counts_of_dropped_content_are_kept_with_the_batch(send: Send) -> None:
    send(event(prompt=SECRET, completion=SECRET))

    assert rows("content_dropped", "ingest_batch") == [(2,)]


def _whole_database() -> str:
    tables = [name for name in connection.introspection.table_names() if not name.startswith("django_")]
    with connection.cursor() as cursor:
        found = []
        for table in tables:
            cursor.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')
            found += [text for (text,) in cursor.fetchall()]
    return "\n".join(found)
