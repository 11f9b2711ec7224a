"""Tags of declared keys become part of the dimension sets: from then on, capped, and in every way in."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribution import allocation_keys, contracts, quarantining, rollups, tagging_changes
from attribution.ingest import spooled_events, writer
from attribution.ingest.dimensions import DimensionBook
from attribution.ingest.intake import Sender, take_in
from attribution.ingest.native import from_records
from attribution.ingest.outcome import Outcome
from attribution.ingest.post import Known, Post
from attribution.ingest.spool_files import Record
from attribution.models import AllocationKey, DimensionOverflow, DimensionSet, Quarantined, TaggingRule
from attribution.organisation import today
from attribution.registry import ensure_team
from attribution.reports import CostQuery, costs
from attribution.tagging import Saying
from attribution.verification import verify
from finops.accounts.models import AuditEntry, Role
from finops.accounts.people import add_person
from finops.accounts.permissions import principal_of_person
from finops.core.errors import Conflict, InvalidInput, NotFound
from finops.core.periods import Period
from tests.attribution.ingest.conftest import Send, event, rows

SENDER = Sender("service", "service")
TAGS = st.dictionaries(st.sampled_from(["a", "b.c", "free"]), st.text("xy", max_size=2), max_size=3)


def declare(key: str = "project", **said: Any) -> None:
    allocation_keys.declare(key, actor="ann", **said)
    contracts.book.forget()


def tagged(name: str, **tags: str) -> dict[str, Any]:
    return event(name, tags=tags)


def send_here(*events: dict[str, Any]) -> Outcome:
    return take_in(from_records(list(events)), SENDER)


def tags_of_calls() -> dict[str, dict[str, str]]:
    """By event id, the tags of its dimension set."""
    joined = "call_event e JOIN dimension_set ds ON ds.id = e.dimension_set_id"
    sets = DimensionSet.objects.in_bulk()
    return {name: sets[number].tags for name, number in rows("event_id, ds.id", joined)}


def test_calls_carry_a_key_while_it_is_declared(send: Send) -> None:
    send(tagged("before", project="x"))
    declare()
    send(tagged("with", project="x", other="y"), event("without"), tagged("empty", project=""))
    allocation_keys.drop("project", actor="ann")
    contracts.book.forget()
    send(tagged("after", project="x"))

    assert tags_of_calls() == {
        "before": {},
        "with": {"project": "x"},
        "without": {},
        "empty": {},
        "after": {},
    }
    # What says nothing of the key is the set that it was.
    assert DimensionSet.objects.count() == 2
    assert rows("detail -> 'tags' ->> 'project'", "call_event WHERE event_id = 'after'") == [("x",)]


def test_a_retry_is_the_same_event_before_and_after_a_declaration(send: Send) -> None:
    sent = tagged("a", project="x")
    send(sent)
    declare()

    assert send(sent).counts == (0, 1, 0, 0)
    assert send({**sent, "tags": {"project": "y"}}).counts == (0, 0, 1, 0)


def test_values_beyond_the_cap_are_the_other_ones_and_the_call_keeps_its_own(send: Send) -> None:
    declare(most_values=3)
    for start in (0, 2, 2):
        names = [f"{start}-{n}-{len(rows())}" for n in range(4)]
        assert send(*[tagged(name, project=f"p{start + n}") for n, name in enumerate(names)]).status == 200
    send(event("calm", source="another", tags={"project": "p9"}))

    kept = {one.tags.get("project") for one in DimensionSet.objects.filter(source="service")}
    assert kept == {"p0", "p1", "p2", "(other)"}
    assert DimensionSet.objects.get(source="another").tags == {"project": "p9"}
    overflow = DimensionOverflow.objects.get()
    assert (overflow.source, overflow.dimension, overflow.calls) == ("service", "tags.project", 7)
    assert {"p3", "p4", "p5"} == set(overflow.examples)
    assert ("p5",) in rows("detail -> 'tags' ->> 'project'")

    allocation_keys.limit("project", 4, actor="ann")
    contracts.book.forget()
    send(tagged("more", project="p3"))
    assert tags_of_calls()["more"] == {"project": "p3"}


def test_a_value_that_reads_like_the_other_ones_is_no_overflow(send: Send) -> None:
    declare(most_values=1)
    send(tagged("a", project="(other)"), tagged("b", project="x"))

    assert tags_of_calls() == {"a": {"project": "(other)"}, "b": {"project": "x"}}
    assert not DimensionOverflow.objects.exists()


@pytest.mark.usefixtures("transactional_db")
def test_the_cap_holds_whichever_processes_the_values_arrive_in() -> None:
    """Each thread has books of its own, as a process has."""
    declare(most_values=20)
    contracts.book.is_changed()
    keys = tuple(contracts.book.allocated)
    ready = threading.Barrier(4)
    failed: list[BaseException] = []

    def explode(process: int) -> None:
        book = DimensionBook()
        try:
            ready.wait()
            for round_ in range(10):
                events = [
                    tagged(f"{process}-{round_}-{n}", project=f"{process}-{round_}-{n}") for n in range(5)
                ]
                arrivals = from_records([{**one, "source": "service"} for one in events])
                book.resolve(Post.of(arrivals, "k", "", Known(book.known("k", "", keys), {}, keys)))
        except BaseException as error:  # noqa: BLE001 (shown by the test)
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=explode, args=(process,)) for process in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not failed
    kept = {one.tags["project"] for one in DimensionSet.objects.all()}
    assert len(kept - {"(other)"}) == 20
    assert "(other)" in kept


@pytest.mark.usefixtures("transactional_db")
def test_of_many_declarations_at_once_one_is_made() -> None:
    ready, told = threading.Barrier(4), list[str]()

    def ask() -> None:
        try:
            ready.wait()
            allocation_keys.declare("project", actor="ann")
            told.append("made")
        except Conflict:
            told.append("taken")
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(told) == ["made", "taken", "taken", "taken"]
    assert AuditEntry.objects.filter(action="allocation_key.declared").count() == 1


@pytest.mark.django_db
def test_a_contract_may_ask_for_a_declared_tag_and_no_other(send: Send) -> None:
    with pytest.raises(InvalidInput, match="no tag that is declared"):
        contracts.put("service", actor="ann", required=["tags.project"])
    declare()
    contracts.put(
        "service",
        actor="ann",
        mode="quarantine",
        required=["tags.project"],
        allowed={"tags.project": ["apollo", "gemini"]},
        aliases={"tags.project": {"Apollo 11": "apollo"}},
    )
    contracts.book.forget()

    answer = send(
        event("none"),
        tagged("strange", project="mercury"),
        tagged("alias", project="APOLLO 11"),
        tagged("fine", project="gemini"),
    )

    assert answer.codes == [(0, "tags.project", "contract"), (1, "tags.project", "contract")]
    assert tags_of_calls() == {"alias": {"project": "apollo"}, "fine": {"project": "gemini"}}
    assert rows("detail -> 'tags' ->> 'project'", "call_event WHERE event_id = 'alias'") == [("APOLLO 11",)]


@pytest.mark.django_db
def test_a_key_that_is_asked_for_is_not_dropped() -> None:
    ensure_team("search", actor="ann")
    declare()
    contracts.put("bots", actor="ann", required=["tags.project"])
    saying = Saying(match={"tags.project": ["x*"]}, sets={"team": "search"})
    made = tagging_changes.add("by project", saying, actor="ann", effective_from=None)

    with pytest.raises(Conflict, match=r'the contract of bots, the tagging rule "by project"'):
        allocation_keys.drop("project", actor="ann")
    contracts.drop("bots", actor="ann")
    with pytest.raises(Conflict, match="by project"):
        allocation_keys.drop("project", actor="ann")
    tagging_changes.retire(made.rule.pk, actor="ann", effective_from=today())
    allocation_keys.drop("project", actor="ann")

    assert AllocationKey.objects.get().dropped_at is not None
    with pytest.raises(NotFound):
        allocation_keys.drop("project", actor="ann")
    with pytest.raises(InvalidInput):
        tagging_changes.add("again", saying, actor="ann", effective_from=None)
    assert TaggingRule.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "most", "field"),
    [("", 5, "key"), ("A", 5, "key"), ("a b", 5, "key"), ("a" * 65, 5, "key"), ("a", 0, "most_values")],
)
def test_what_no_event_can_say_is_no_key(key: str, most: int, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        allocation_keys.declare(key, actor="ann", most_values=most)

    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.django_db
def test_there_are_few_keys() -> None:
    for number in range(allocation_keys.MOST_KEYS):
        declare(f"k{number}")

    with pytest.raises(InvalidInput, match="already"):
        declare("one-more")


@pytest.mark.django_db
def test_spooled_events_are_booked_with_the_keys_of_when_they_are_replayed() -> None:
    """A process that replays may not have taken in any event before."""
    declare()
    payload = spooled_events._encode(from_records([{**tagged("a", project="x"), "source": "service"}]).events)
    writer.forget()

    spooled_events.replay([Record("r", 1, spooled_events.KIND, 1, SENDER, payload)])

    assert tags_of_calls() == {"a": {"project": "x"}}


@pytest.mark.django_db
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.dictionaries(st.sampled_from(["a", "b.c", "free"]), st.text("xy", max_size=2), max_size=3),
        max_size=8,
    )
)
def test_a_set_carries_what_is_said_of_the_declared_keys_and_nothing_else(
    calls: list[dict[str, str]],
) -> None:
    AllocationKey.objects.all().delete()
    for key in ("a", "b.c"):
        declare(key)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM call_event")

    send_here(*[tagged(f"e{number}", **tags) for number, tags in enumerate(calls)])

    expected = {
        f"e{number}": {key: tags[key] for key in ("a", "b.c") if tags.get(key)}
        for number, tags in enumerate(calls)
    }
    assert tags_of_calls() == expected
    # Equal names and tags are one set.
    assert DimensionSet.objects.count() == len(
        {str(sorted(one.tags.items())) for one in DimensionSet.objects.all()}
    )


def test_a_replayed_record_has_the_keys_of_its_replay(send: Send) -> None:
    contracts.put("service", actor="ann", mode="quarantine", required=["feature"])
    contracts.book.forget()
    send(tagged("a", project="x"))
    declare()
    record = Quarantined.objects.get()
    person = principal_of_person(add_person("fin@example.com", role=Role.FINANCE, actor="ann"))

    quarantining.replay(record, person, {**record.payload, "feature": "chat"})

    assert tags_of_calls() == {"a": {"project": "x"}}


def test_another_process_notices_a_declaration_and_a_change_of_it(send: Send) -> None:
    other = contracts.ContractBook()
    assert other.is_changed() or not other.allocated
    allocation_keys.declare("project", actor="ann", most_values=5)
    other._looked_at -= 2  # as if a second had passed

    assert (other.is_changed(), dict(other.allocated)) == (True, {"project": 5})
    allocation_keys.limit("project", 6, actor="ann")
    other._looked_at -= 2
    assert (other.is_changed(), dict(other.allocated)) == (True, {"project": 6})
    allocation_keys.drop("project", actor="ann")
    other._looked_at -= 2
    assert (other.is_changed(), dict(other.allocated)) == (True, {})


def test_rebuilt_days_and_the_checks_of_the_books_know_the_tags(send: Send) -> None:
    declare()
    sent = [tagged(f"e{n}", project=f"p{n % 2}") for n in range(6)]
    send(*sent, event("none"))
    rollups.fold()
    query = CostQuery(
        period=Period(today() - timedelta(days=1), today() + timedelta(days=1)),
        group_by=("tags.project",),
        measures=("calls",),
    )
    before = {group.key: group.total["calls"] for group in costs(query).groups}
    assert before == {("p0",): 3, ("p1",): 3, (None,): 1}

    for day in (today() - timedelta(days=1), today()):
        rollups.rebuild_day(day)

    assert {group.key: group.total["calls"] for group in costs(query).groups} == before
    assert [check.name for check in verify().checks if check.failed] == []
