"""Approving beside ingest and folding, killed in the middle, and after a process that fell asleep."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from attribution import reratings, restating, rollups
from attribution.models import CallEvent, Rerating, ReratingStatus, UsageDay
from attribution.verification import verify
from pricing import drafts
from pricing.models import PriceSlot, SlotRate, SplitSlot
from tests.attribution.reratings.shop import BY, Cost, Shop, Told, at, booked, correct, publish, reviewed

pytestmark = pytest.mark.django_db(transaction=True)
DAYS = [at("2026-10-01") + timedelta(days=n, hours=1) for n in range(12)]
CUT = at("2026-10-06T09:00:00")
DIVIDED = (Cost("m", "3", ends=CUT), Cost("m", "4", starts=CUT))
APPROVE = """
import sys, django; django.setup()
from attribution import reratings
reratings.approve(reratings.rerating_of(int(sys.argv[1])), "killed@acme.example")
"""


def calls(team: str = "search") -> list[Told]:
    return [Told("m", day, 1_000 + n, team=team) for n, day in enumerate(DAYS)]


def holds() -> None:
    report = verify()
    assert report.passed, [check for check in report.checks if check.failed]


def database_url() -> str:
    values = connection.settings_dict
    return f"postgresql://{values['USER']}@/{values['NAME']}?host={quote(values['HOST'], safe='')}"


def is_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")
        return bool(cursor.fetchone()[0])


def test_slots_looked_up_before_and_written_after_end_up_right() -> None:
    first = publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    asleep = calls("asleep")
    slots = shop.resolve(asleep)
    assert len(set(slots)) == 1

    done = correct(*DIVIDED)
    shop.write(asleep, slots)
    rollups.fold(wait=True)

    assert done is not None
    assert booked() == shop.cost()
    assert booked(first) == shop.cost(first)
    assert len(set(CallEvent.objects.values_list("slot_id", flat=True))) == 2
    holds()


def test_a_call_left_where_it_does_not_belong_is_found_by_the_verification() -> None:
    publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    correct(*DIVIDED)
    narrow = PriceSlot.objects.exclude(effective_to=None).get()
    CallEvent.objects.filter(occurred_at=DAYS[-1]).update(slot_id=narrow.pk)
    rollups.rebuild_day(DAYS[-1].date())

    failed = [check for check in verify().checks if check.failed]

    assert [(check.name, check.failed) for check in failed] == [
        ("calls lie in the interval of their price slot", 1)
    ]


def test_not_folded_yet_while_it_is_approved() -> None:
    publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    shop.take(calls("late"), fold=False)

    done = correct(*DIVIDED)
    assert done is not None
    assert done.calls == 6
    rollups.fold(wait=True)

    assert booked() == shop.cost()
    holds()


def test_published_outright_is_settled_later() -> None:
    first = publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    second = publish(*DIVIDED)
    assert SplitSlot.objects.filter(settled_at=None).count() == 1

    moved = restating.settle()

    assert moved == restating.Moved(calls=6, days=6)
    assert booked() == booked(second) == shop.cost()
    assert booked(first) == shop.cost(first)
    assert restating.settle() == restating.Moved()
    holds()


def test_ingest_and_folds_go_on_meanwhile() -> None:
    first = publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    version = reviewed(*DIVIDED)
    assert version is not None
    shown = reratings.preview(version, by=BY)
    over, problems = threading.Event(), []

    def send() -> None:
        other = Shop(sets=shop.sets)
        number = 0
        try:
            while not over.is_set():
                number += 1
                told = [Told("m", at("2026-12-01") + timedelta(minutes=number), number)]
                other.take(told, fold=False)
                rollups.fold()
        except Exception as problem:  # noqa: BLE001 - told to the test
            problems.append(problem)
        finally:
            sent.extend(other.told)
            connection.close()

    sent: list[Told] = []
    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.3)
    try:
        done = reratings.approve(shown, BY)
        time.sleep(0.3)
    finally:
        over.set()
        sender.join()
    rollups.fold(wait=True)

    assert not problems
    assert done.status == ReratingStatus.APPROVED
    shop.told += sent
    assert booked() == shop.cost()
    assert booked(first) == shop.cost(first)
    holds()


def test_killed_in_the_middle_it_never_happened() -> None:
    first = publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    version = reviewed(*DIVIDED)
    assert version is not None
    shown = reratings.preview(version, by=BY)
    slots, rates = PriceSlot.objects.count(), list(SlotRate.objects.order_by("pk").values())
    usage = sorted(UsageDay.objects.values_list())
    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "finops.settings"}

    with transaction.atomic():
        # Somebody reads the draft for writing: the process comes to it with all calls moved, and waits.
        type(version).objects.select_for_update().get(pk=version.pk)
        worker = subprocess.Popen([sys.executable, "-c", APPROVE, str(shown.pk)], env=environment)
        deadline = time.monotonic() + 60
        while not is_waiting():
            assert worker.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        worker.kill()
        worker.wait()

    shown.refresh_from_db()
    assert shown.status == ReratingStatus.PREVIEWED
    assert (PriceSlot.objects.count(), list(SlotRate.objects.order_by("pk").values())) == (slots, rates)
    assert sorted(UsageDay.objects.values_list()) == usage
    assert booked() == shop.cost(first)
    done = reratings.approve(shown, BY)
    assert booked() == shop.cost()
    assert done.posted_after == done.after
    assert booked(first) == shop.cost(first)
    holds()


def test_two_who_approve_at_once_post_once() -> None:
    publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    version = reviewed(*DIVIDED)
    assert version is not None
    shown = reratings.preview(version, by=BY)
    answers: list[Rerating] = []

    def approve(by: str) -> None:
        try:
            answers.append(reratings.approve(shown, by))
        finally:
            connection.close()

    both = [threading.Thread(target=approve, args=[f"{n}@acme.example"]) for n in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert len({answer.decided_by for answer in answers}) == 1
    assert len(answers) == 2
    assert booked() == shop.cost()
    holds()


def test_another_version_published_meanwhile_makes_it_out_of_date() -> None:
    publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    version, other = reviewed(Cost("m", "2")), reviewed(Cost("m", "5"))
    assert version is not None
    assert other is not None
    shown = reratings.preview(version, by=BY)
    drafts.publish(other, by=BY)

    with pytest.raises(reratings.OutOfDate):
        reratings.approve(shown, BY)

    assert booked() == shop.cost()


def test_by_hand_calls_are_put_where_they_belong() -> None:
    publish(Cost("m", "3"), Cost("m", "6", over=1_010))
    shop = Shop()
    shop.take(calls())
    correct(*DIVIDED)
    narrow = PriceSlot.objects.exclude(effective_to=None).order_by("pk")[0]
    CallEvent.objects.filter(occurred_at=DAYS[-1]).update(slot_id=narrow.pk)
    rollups.rebuild_day(DAYS[-1].date())
    wrong = booked()

    dry = run("--dry-run")
    assert (booked(), wrong == shop.cost()) == (wrong, False)
    done, again = run(), run("--model", "m")

    assert "1 calls would move" in dry
    assert "1 calls moved" in done
    assert "0 calls moved" in again
    assert booked() == shop.cost()
    holds()


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("rerate", "--from", "2026-10-01", "--to", "2026-11-01", *words, stdout=out)
    return out.getvalue()
