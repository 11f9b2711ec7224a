"""The quarantine by HTTP: looked at, put right, replayed, dismissed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from attribution import contracts
from attribution.ingest import writer as books
from attribution.ingest.intake import Sender, take_in
from attribution.ingest.native import from_records
from attribution.ingest.post import Post
from attribution.ingest.quarantine import keep_invalid
from attribution.models import Attribution, CallEvent, DimensionSet, Quarantined
from attribution.registry import ensure_team
from finops.accounts.models import AuditEntry
from finops.core.errors import FieldProblem
from tests.attribution.api.conftest import Caller

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_books() -> Iterator[None]:
    books.forget()
    yield
    books.forget()


def event(number: int = 1, **said: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "source": "bots",
        "occurred_at": datetime.now(UTC).isoformat(),
        "provider": "openai",
        "model": "gpt-x",
        "usage": {"input_tokens": 10},
        **said,
    }


def listed(*events: dict[str, Any]) -> list[int]:
    """Quarantined as an import would do it."""
    problem = FieldProblem("feature", "not_a_slug", "No spaces.")
    keep_invalid(("bots", one["event_id"], problem, one) for one in events)
    return list(Quarantined.objects.order_by("event_id").values_list("pk", flat=True))


def post(client: Client, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    response = client.post(f"/api/v1/quarantine/{path}", body, content_type="application/json")
    return response.status_code, response.json()


def test_a_record_is_put_right_and_replayed_once(writer: Client) -> None:
    (number,) = listed(event(feature="no slug"))

    status, problem = post(writer, f"{number}/replay")
    assert (status, problem["errors"][0]["field"]) == (400, "feature")
    assert Quarantined.objects.get().resolved_at is None

    status, told = post(writer, f"{number}/replay", event=event(feature="slug"))
    assert (status, told["became"], told["record"]["resolution"]) == (200, "accepted", "replayed")
    assert CallEvent.objects.count() == 1
    assert post(writer, f"{number}/replay", event=event(feature="slug"))[0] == 409
    entry = AuditEntry.objects.get(subject_kind="quarantine")
    assert (entry.actor, entry.action, entry.subject) == ("key: test", "quarantine.replayed", str(number))


def test_a_crash_between_booking_and_closing_costs_nothing(writer: Client) -> None:
    (number,) = listed(event(feature="no slug"))
    right = event(feature="slug")
    assert post(writer, f"{number}/replay", event=right)[0] == 200
    Quarantined.objects.update(resolved_at=None, resolution="")

    assert post(writer, f"{number}/replay", event=right)[1]["became"] == "duplicate"
    assert CallEvent.objects.count() == 1


def test_prompt_text_is_refused_by_name(writer: Client) -> None:
    (number,) = listed(event(feature="no slug"))

    status, problem = post(writer, f"{number}/replay", event=event(feature="x", messages=[{"content": "hi"}]))

    assert (status, problem["errors"][0]["code"]) == (400, "content")
    assert "hi" not in str(Quarantined.objects.values())
    assert not CallEvent.objects.exists()


def test_a_conflict_is_dismissed_or_replayed_under_another_id(writer: Client) -> None:
    first = event()
    take_in(from_records([first]), Sender("bots"))
    take_in(from_records([{**first, "model": "other"}]), Sender("bots"))
    record = Quarantined.objects.get()

    assert post(writer, f"{record.pk}/replay")[0] == 409
    assert post(writer, f"{record.pk}/dismiss", note="")[0] == 400
    status, told = post(writer, f"{record.pk}/replay", event={**record.payload, "event_id": "e1-again"})

    assert (status, told["became"]) == (200, "accepted")
    assert CallEvent.objects.count() == 2


def test_a_replayed_event_is_its_own_keys_whoever_replays_it(writer: Client) -> None:
    ensure_team("search", actor="ann")
    contracts.put("bots", actor="ann", mode="quarantine", required=["feature"])
    contracts.book.forget()
    take_in(from_records([event()]), Sender("bots", "bots-key", "search"))
    record = Quarantined.objects.get()
    assert (record.api_key, record.key_team) == ("bots-key", "search")

    foreign = event(feature="finder", team="ads")
    status, problem = post(writer, f"{record.pk}/replay", event=foreign)
    assert (status, problem["errors"][0]["code"]) == (400, "team_not_allowed")
    status, told = post(writer, f"{record.pk}/replay", event=event(feature="finder"))

    assert (status, told["became"], told["record"]["api_key"]) == (200, "accepted", "bots-key")
    booked = DimensionSet.objects.get(pk=CallEvent.objects.get().dimension_set_id)
    assert (booked.source, booked.api_key, booked.key_team) == ("bots", "bots-key", "search")
    owner = Attribution.objects.get(dimension_set=booked, known_to=None)
    assert (owner.team, owner.rule) == ("search", 'team of API key "bots-key"')


def test_a_conflict_keeps_the_key_of_its_own_request() -> None:
    first, other = event(1), event(2)
    take_in(from_records([first, other]), Sender("bots"))
    again = [
        Post.of(from_records([{**one, "model": "else"}]), key, team).identify()
        for one, key, team in ((event(3), "a", ""), (other, "b", "search"), (first, "c", ""))
    ]

    books.write(again)

    kept = Quarantined.objects.order_by("event_id").values_list("event_id", "api_key", "key_team")
    assert list(kept) == [("e1", "c", ""), ("e2", "b", "search")]


def test_several_at_once_and_what_fails_stays(writer: Client) -> None:
    good, bad, gone = listed(event(1), event(2, feature="no slug"), event(3))

    status, told = post(writer, "replay", ids=[good, bad])
    assert (status, told["resolved"], [one["id"] for one in told["failed"]]) == (200, [good], [bad])
    status, told = post(writer, "dismiss", ids=[bad, gone], note="tests of ours")
    assert sorted(told["resolved"]) == sorted([bad, gone])
    kept = Quarantined.objects.get(pk=gone)
    assert (kept.resolution, kept.note, kept.resolved_by) == ("dismissed", "tests of ours", "key: test")
    assert Quarantined.objects.count() == 3


def test_the_list_is_filtered_by_reason_source_code_age_and_state(writer: Client) -> None:
    old, _ = listed(event(1), event(2))
    Quarantined.objects.filter(pk=old).update(received_at=timezone.now() - timedelta(days=9))

    def ids(query: str) -> list[int]:
        return [one["id"] for one in writer.get(f"/api/v1/quarantine?{query}").json()["results"]]

    assert ids("age_days=7") == [old]
    assert ids("code=contract") == []
    assert len(ids("code=not_a_slug&source=bots&reason=invalid")) == 2
    post(writer, f"{old}/dismiss", note="old")
    assert ids("state=resolved") == [old]
    assert len(ids("limit=1")) == 1
    for query in ("reason=x", "state=x", "age_days=x"):
        assert writer.get(f"/api/v1/quarantine?{query}").status_code == 400


def test_whoever_is_bound_to_a_team_sees_and_books_its_own_only(caller: Caller) -> None:
    bound = caller("read", "write", team="chat")
    mine, theirs = listed(event(1, team="chat"), event(2, team="search"))

    assert [one["id"] for one in bound.get("/api/v1/quarantine").json()["results"]] == [mine]
    assert post(bound, f"{theirs}/replay")[0] == 404
    assert post(bound, "dismiss", ids=[theirs], note="x")[1]["resolved"] == []
    for wrong in (event(1, team="search"), event(1), event(1, team="chat", source="other")):
        assert post(bound, f"{mine}/replay", event=wrong)[0] == 400
    assert post(bound, f"{mine}/replay")[0] == 200
    reader = caller("read")
    assert post(reader, f"{theirs}/replay")[0] == 403
