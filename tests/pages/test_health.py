"""Data health: one sentence, and what it rests on."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import shared_task
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from attribution import registry, rollups
from attribution.ingest.health import ingest_health
from attribution.models import Quarantined, Verification
from finops.accounts.models import Role
from finops.accounts.people import add_person
from finops.core.meters import Meter
from finops.pages import jobs
from finops.pages.job_runs import remember
from finops.pages.models import JobRun
from finops.pipeline import SCHEDULE
from tests.attribution.factory import Call, book, dimension_set, hours, price_slot

pytestmark = pytest.mark.django_db
FOLD, VERIFY = "attribution.tasks.fold_batches", "attribution.tasks.verify_books"


def signed_in(role: str, *teams: str) -> Client:
    client = Client()
    client.force_login(add_person(f"{role}@example.com", role=role, teams=teams, actor="test"))
    return client


@pytest.fixture
def finance() -> Client:
    return signed_in(Role.FINANCE)


@pytest.fixture
def team(db: None) -> str:
    return registry.ensure_team("search", actor="ann").slug


def text(answer: Any) -> str:  # Any: the test response of the stubs is private
    return str(answer.content.decode())


def send(source: str, *, first: timedelta, count: int, team: str = "search", priced: bool = True) -> None:
    """A call an hour from ``first`` ago on, folded."""
    made = dimension_set(source=source, team=team)
    slot = price_slot({Meter.INPUT: "1.25"} if priced else None, model=uuid.uuid4().hex)
    book(Call(at, made, slot, {"input": 1000}) for at in hours(timezone.now() - first, count))
    rollups.fold()


def quarantine(**fields: Any) -> None:  # Any: of different fields
    Quarantined.objects.create(
        **{"received_at": timezone.now(), "payload": {}, "fingerprint": uuid.uuid4(), **fields}
    )


def test_an_empty_instance_says_so(finance: Client) -> None:
    answer = finance.get("/health/")

    assert answer.status_code == 200
    assert answer.context["answer"].endswith("; no source has sent anything lately")
    assert "The first event shows here" in text(answer)
    assert "Not run yet" in text(answer)


def test_the_first_line_counts_sources_that_are_late_by_their_own_rhythm(finance: Client, team: str) -> None:
    send("hourly-and-quiet", first=timedelta(hours=30), count=20)
    send("hourly", first=timedelta(hours=20), count=21)
    send("once", first=timedelta(days=3), count=1)
    send("daily", first=timedelta(hours=47), count=1)
    send("daily", first=timedelta(hours=23), count=1)

    answer = finance.get("/health/")

    late = {source.name: source.is_late for source in answer.context["sources"]}
    assert late == {"hourly-and-quiet": True, "hourly": False, "once": False, "daily": False}
    assert "; 1 source late" in text(answer)
    assert not answer.context["is_well"]


def test_a_source_that_stopped_last_week_is_not_forgotten(finance: Client, team: str) -> None:
    send("stopped", first=timedelta(days=9), count=20)

    (source,) = finance.get("/health/").context["sources"]

    assert (source.name, source.coverage, source.is_late) == ("stopped", None, True)


def test_what_is_not_counted_yet_holds_the_watermark_back(finance: Client, team: str) -> None:
    received = datetime.now(UTC) - timedelta(minutes=5)
    made, slot = dimension_set(team=team), price_slot()
    book([Call(received, made, slot, {"input": 1})], received_at=received)

    answer = finance.get("/health/")

    assert answer.context["ingest"].watermark == received
    assert f"Everything counted to {received:%H:%M} UTC" in text(answer)
    assert "Behind" in text(answer)
    assert "1 batch, 1 calls still to count" in text(answer)


def test_unpriced_and_unattributed_calls_of_the_month_lead_on(finance: Client, team: str) -> None:
    send("a", first=timedelta(), count=1, priced=False)
    send("b", first=timedelta(), count=1, team="")

    answer = finance.get("/health/")

    month = answer.context["month"]
    assert (month.calls, month.unpriced_calls, month.unattributed_calls) == (2, 1, 1)
    assert text(answer).count('href="/unattributed/?period=this-month"') == 2


def test_quarantine_is_counted_by_reason(finance: Client) -> None:
    quarantine(reason="invalid", field="usage.input", message="Must not be negative.")
    quarantine(reason="invalid")
    quarantine(reason="conflict")
    quarantine(reason="conflict", resolved_at=timezone.now())

    answer = finance.get("/health/")

    assert [number for _, number in answer.context["quarantine"]] == [2, 1, 0]
    assert "Must not be negative." in text(answer)


def test_a_failed_verification_is_named_with_what_failed(finance: Client) -> None:
    check = {"name": "totals agree", "checked": 4, "failed": 1, "examples": ["search: 1.00 is not 2.00"]}
    Verification.objects.create(
        started_at=timezone.now(), finished_at=timezone.now(), passed=False, checks=[check]
    )

    answer = finance.get("/health/")

    assert "the last verification found what does not hold" in answer.context["answer"]
    assert "search: 1.00 is not 2.00" in text(answer)


def test_people_bound_to_teams_see_theirs_and_nothing_of_the_engines(team: str) -> None:
    registry.ensure_team("chat", actor="ann")
    send("ours", first=timedelta(hours=3), count=3)
    send("theirs", first=timedelta(hours=3), count=3, team="chat")
    quarantine(reason="invalid", payload={"team": "chat"}, message="Not for your eyes.")

    owner, outsider = signed_in(Role.LEAD, "search"), signed_in(Role.ENGINEER, "chat")

    mine, others = owner.get("/health/"), outsider.get("/health/")
    assert [source.name for source in mine.context["sources"]] == ["ours"]
    assert [source.name for source in others.context["sources"]] == ["theirs"]
    assert mine.context["month"].calls == 3
    assert "Not for your eyes." not in text(mine)
    assert "Not for your eyes." in text(others)
    assert "Broker" not in text(mine)


def test_a_viewer_of_everything_sees_jobs_and_engines() -> None:
    answer = signed_in(Role.VIEWER).get("/health/")

    assert "Counting calls into the books" in text(answer)
    assert "PostgreSQL" in text(answer)


def test_a_stranger_is_sent_to_sign_in_and_an_open_page_as_a_whole(client: Client) -> None:
    assert client.get("/health/")["Location"] == "/accounts/login/?next=/health/"
    polled = client.get("/health/", headers={"HX-Request": "true"})
    assert (polled.status_code, polled["HX-Redirect"]) == (204, "/accounts/login/?next=/health/")


def test_an_open_page_asks_for_its_part_only(finance: Client) -> None:
    answer = finance.get("/health/", headers={"HX-Request": "true"})

    assert text(answer).lstrip().startswith('<div id="report"')
    assert "HX-Request" in answer["Vary"]


def test_queries_do_not_grow_with_the_sources(
    finance: Client, team: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(12):
        send(f"source-{number}", first=timedelta(hours=2), count=2)

    with django_assert_max_num_queries(24):  # two of them are who asks
        finance.get("/health/")


def test_a_broker_that_is_away_is_told(finance: Client, settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "amqp://127.0.0.1:9//"

    answer = finance.get("/health/")

    assert "Unreachable" in text(answer)


def state_of(key: str, now: datetime) -> str:
    name = jobs.NAMES[key]
    return next(job.state for job in jobs.jobs(now) if job.name == name)


def test_every_job_of_the_schedule_has_a_name_and_a_rhythm() -> None:
    assert set(jobs.NAMES) == set(SCHEDULE)
    assert {job.name: job.often for job in jobs.jobs(timezone.now())} == {
        "Counting calls into the books": "every second",
        "Charging commitments, credits and taxes": "every 10 s",
        "Moving calls to narrower price slots": "every 10 s",
        "Merging users and tasks of the last days": "every 10 min",
        "Merging users and tasks of all days": "every day at 02:50 UTC",
        "Booking the calls of spans": "every second",
        "Forgetting old spans": "every 5 min",
        "Going on with imports of files": "every 30 s",
        "Reading the reports of providers": "every hour",
        "Making days for calls, dropping old ones": "4 times a day",
        "Looking for calls sent twice": "every day at 01:40 UTC",
        "Forgetting old answers and sessions": "every hour",
        "Verifying the books": "every day at 03:10 UTC",
        "Comparing prices with the library": "every Monday at 04:30 UTC",
    }


def test_a_job_is_late_when_its_time_went_by_without_a_run() -> None:
    ran = datetime(2026, 11, 24, 3, 10, 1, tzinfo=UTC)
    for task in (FOLD, VERIFY):
        remember(task, started_at=ran, finished_at=ran)

    def states(now: datetime) -> tuple[str, str]:
        return state_of("fold", now), state_of("verify", now)

    assert states(ran + timedelta(seconds=20)) == ("On time", "On time")
    assert states(ran + timedelta(hours=24)) == ("Late", "On time")
    assert states(ran + timedelta(hours=24, minutes=11)) == ("Late", "Late")
    assert state_of("partitions", ran) == "Not run yet"


@shared_task(name="tests.goes_well")
def goes_well() -> None:
    """Nothing to do."""


@shared_task(name="tests.goes_wrong")
def goes_wrong() -> None:
    """Fails."""
    raise ValueError("no such day")


def test_the_worker_remembers_how_each_task_went() -> None:
    goes_well.apply()
    goes_wrong.apply()
    goes_well.apply()

    well, wrong = JobRun.objects.get(task="tests.goes_well"), JobRun.objects.get(task="tests.goes_wrong")
    assert (well.ok, well.error, well.succeeded_at) == (True, "", well.finished_at)
    assert well.started_at <= well.finished_at
    assert (wrong.ok, wrong.error, wrong.succeeded_at) == (False, "ValueError: no such day", None)


def test_a_failure_keeps_the_time_when_it_last_went_well(finance: Client) -> None:
    now = timezone.now()
    remember(FOLD, started_at=now, finished_at=now)
    remember(FOLD, started_at=now, finished_at=now + timedelta(seconds=1), error="OSError: disk full")

    assert JobRun.objects.get().succeeded_at == now
    answer = finance.get("/health/")
    assert "1 job late or failed" in text(answer)
    assert "OSError: disk full" in text(answer)


def test_what_waits_in_the_spool_is_told_and_holds_the_watermark_back(
    finance: Client, team: str, settings: Settings, tmp_path: Path
) -> None:
    settings.SPOOL_DIR = tmp_path
    assert "Spool" not in text(finance.get("/health/"))
    at = timezone.now() - timedelta(hours=2)
    (tmp_path / f"{int(at.timestamp() * 1e9):020d}-writer.spool").write_bytes(bytes(3000))
    (tmp_path / "set-aside").mkdir()
    (tmp_path / "set-aside" / "1-record").write_bytes(b"1")
    page = text(finance.get("/health/"))
    assert "events of an outage of the database are still to be booked" in page
    assert "1 record set aside" in page
    state = ingest_health()
    assert abs((state.watermark - at).total_seconds()) < 1
    assert state.lag_seconds > 7000
