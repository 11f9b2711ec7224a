"""What sources must say is checked at the door; what is refused for it is counted and listed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from attribution import contracts
from attribution.contracts import Contract
from attribution.ingest import writer
from attribution.ingest.intake import Sender, take_in
from attribution.ingest.native import from_records
from attribution.ingest.outcome import Outcome
from attribution.models import Attribution, DimensionSet, Quarantined, Refusal
from attribution.registry import ensure_team
from finops.accounts.models import AuditEntry
from finops.core.errors import FieldProblem, InvalidInput, NotFound

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _fresh_books() -> Iterator[None]:
    writer.forget()
    yield
    writer.forget()


def event(number: int = 1, **said: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "source": "bots",
        "occurred_at": NOW.isoformat(),
        "provider": "openai",
        "model": "gpt-x",
        "usage": {"input_tokens": 10},
        **said,
    }


def send(*events: dict[str, Any]) -> Outcome:
    return take_in(from_records(list(events)), Sender("bots-key", "k"))


def put(**said: Any) -> None:
    contracts.put("bots", actor="ann", **said)
    contracts.book.forget()


def problems(outcome: Outcome) -> list[tuple[str, str]]:
    return [(one.problem.field, one.problem.code) for one in outcome.arrivals.rejected]


def test_a_missing_key_is_refused_only_where_the_contract_says_so() -> None:
    put(required=["feature"])
    assert send(event(1)).accepted == 1

    put(mode="quarantine")
    told = send(event(2), event(3, feature="chat"), event(4, source="others"))

    assert (told.accepted, problems(told)) == (2, [("feature", "contract")])
    kept = Quarantined.objects.get()
    assert (kept.source, kept.event_id, kept.code, kept.payload["model"]) == (
        "bots",
        "e2",
        "contract",
        "gpt-x",
    )
    counted = Refusal.objects.get()
    assert (counted.source, counted.field, counted.code, counted.events) == (
        "bots-key",
        "feature",
        "contract",
        1,
    )


def test_names_that_were_booked_before_are_judged_anew_when_the_contract_changes() -> None:
    assert send(event(1, feature="chat")).accepted == 1

    put(mode="quarantine", allowed={"feature": ["search"]})

    assert problems(send(event(2, feature="chat"))) == [("feature", "contract")]
    contracts.drop("bots", actor="ann")
    contracts.book.forget()
    assert send(event(3, feature="chat")).accepted == 1


def test_a_change_is_noticed_within_a_second_and_not_asked_for_more_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr("attribution.contracts.time.monotonic", lambda: clock[0])
    assert send(event(1)).accepted == 1
    contracts.put("bots", actor="ann", mode="quarantine", required=["team"])

    assert send(event(2)).accepted == 1
    clock[0] += 1.1
    assert problems(send(event(3))) == [("team", "contract")]


def test_an_alias_is_another_spelling_and_the_contract_holds_for_what_is_kept() -> None:
    put(mode="quarantine", allowed={"feature": ["chat"]}, aliases={"feature": {"Chat-Bot": "chat"}})

    told = send(event(1, feature="chat-BOT"), event(2, feature="Chat-Bot"), event(3, feature="chatbot"))

    assert (told.accepted, problems(told)) == (2, [("feature", "contract")])
    assert list(DimensionSet.objects.values_list("feature", flat=True)) == ["chat"]
    assert send(event(1, feature="chat-BOT")).duplicates == 1


def test_nobody_books_to_a_team_that_the_source_or_the_key_may_not_claim() -> None:
    for slug in ("search", "chat", "ads"):
        ensure_team(slug, actor="ann")
    put(teams=["search", "chat"], aliases={"team": {"advertising": "ads"}})

    told = take_in(
        from_records(
            [event(n, team=team) for n, team in enumerate(("search", "ads", "advertising", "chat"))]
        ),
        Sender("bots", "k", team="search"),
    )

    assert (told.accepted, len(told.arrivals.rejected)) == (1, 3)
    assert set(Attribution.objects.values_list("team", flat=True)) == {"search"}
    assert problems(send(event(9, team="ads"), event(8, team="Advertising"))) == [("team", "contract")] * 2
    assert set(Attribution.objects.values_list("team", flat=True)) == {"search"}


def test_a_key_of_a_team_may_use_an_alias_of_its_team_and_of_no_other() -> None:
    for slug in ("search", "ads"):
        ensure_team(slug, actor="ann")
    put(aliases={"team": {"Suche": "search", "advertising": "ads", "renamed": "search"}})
    bound = Sender("bots", "k", team="search")

    told = take_in(
        from_records(
            [event(n, team=team) for n, team in enumerate(("search", "SUCHE", "advertising", "ads"))]
        ),
        bound,
    )

    assert told.accepted == 2
    assert problems(told) == [("team", "team_not_allowed")] * 2
    assert set(Attribution.objects.values_list("team", flat=True)) == {"search"}
    put(aliases={"team": {"renamed": "ads"}})
    assert problems(take_in(from_records([event(8, team="renamed")]), bound)) == [
        ("team", "team_not_allowed")
    ]


def test_a_key_may_not_even_name_its_team_where_that_is_kept_as_another() -> None:
    for slug in ("search", "ads"):
        ensure_team(slug, actor="ann")
    put(aliases={"team": {"search": "ads"}})

    told = take_in(from_records([event(1, team="search")]), Sender("bots", "k", team="search"))

    assert problems(told) == [("team", "team_not_allowed")]


def test_refusals_add_up_by_source_field_and_code() -> None:
    wrong = [event(n, usage={"input_tokens": 1, "cache_read_tokens": 5}) for n in range(3)]

    send(*wrong, event(9, feature="no slug"))
    send(wrong[0])

    rows = Refusal.objects.order_by("field").values_list("source", "field", "code", "events")
    assert [row[:2] + row[3:] for row in rows] == [("bots-key", "feature", 1), ("bots-key", "usage", 4)]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"mode": "strict"}, "mode"),
        ({"required": ["customer"]}, "required"),
        ({"allowed": {"nothing": ["x"]}}, "allowed"),
        ({"allowed": {"feature": [""]}}, "allowed"),
        ({"aliases": {"feature": {"a": "b\x00"}}}, "aliases"),
        ({"teams": ["x" * 129]}, "teams"),
    ],
)
def test_a_contract_that_makes_no_sense_is_refused_at_its_field(said: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        contracts.put("bots", actor="ann", **said)

    assert [problem.field for problem in caught.value.problems] == [field]
    assert not AuditEntry.objects.exists()


def test_every_change_is_in_the_audit_log() -> None:
    put(required=["team"])
    put(required=["feature"])
    contracts.drop("bots", actor="bob")
    with pytest.raises(NotFound):
        contracts.drop("bots", actor="bob")

    entries = AuditEntry.objects.filter(subject_kind="contract").order_by("pk")
    assert [(one.actor, one.action) for one in entries] == [
        ("ann", "contract.created"),
        ("ann", "contract.changed"),
        ("bob", "contract.dropped"),
    ]


def test_what_is_allowed_is_refused_by_nobody() -> None:
    contract = Contract(mode="quarantine", required=frozenset({"team"}), teams=frozenset({"a"}))
    names = ["bots", *([None] * 9)]

    assert contract.broken(names) == FieldProblem("team", "contract", 'The source "bots" must say its team.')
    assert contract.broken(["bots", "a", *([None] * 8)]) is None
