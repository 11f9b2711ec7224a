"""Each invariant, broken on purpose, is found by the check of its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from attribution import registry, rollups, verification
from attribution.models import Part, Verification
from attribution.verification import verify
from finops.core.meters import Meter
from tests.attribution.charges import charge
from tests.attribution.charging.world import prepaid
from tests.attribution.factory import Call, book, dimension_set, price_slot

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _books() -> None:
    registry.ensure_team("search", actor="ann")
    made = dimension_set(team="search"), price_slot({Meter.INPUT: "1", Meter.AUDIO_INPUT: "2"})
    book(
        Call(
            NOON + timedelta(hours=7 * n),
            *made,
            {"input": 10 + n},
            {Meter.AUDIO_INPUT: "5"},
            customer="acme",
            duration_ms=100,
            end_user="u",
            task_id="t",
        )
        for n in range(6)
    )
    rollups.fold()
    prepaid("1", "2")


def failed() -> set[str]:
    return {check.name for check in verify().checks if check.failed}


def test_sound_books_pass_and_the_run_is_remembered() -> None:
    assert failed() == set()

    run = Verification.objects.get()
    assert run.passed is True
    assert run.finished_at is not None
    assert {check["name"] for check in run.checks if check["checked"] == 0} == set()


TWICE_OWNED = "INSERT INTO attribution (dimension_set_id, rule) SELECT dimension_set_id, '' FROM attribution"
LESS_ONE = "DELETE FROM call_event WHERE identity = (SELECT identity FROM call_event LIMIT 1)"
TWICE_PRICED = """
    INSERT INTO slot_rate (slot_id, meter_id, known_from, known_to, list_price, contracted_price,
                           effective_price, saving_price, price_id)
    SELECT slot_id, meter_id, known_from, now(), 9, 9, 9, 0, price_id FROM slot_rate"""
DEARER_HOURS = """
    CREATE OR REPLACE VIEW cost_hour AS
    SELECT bucket, day, charge_kind, dimension_set_id, slot_id, meter_id, quantity, list_cost,
           contracted_cost, effective_cost + 1 AS effective_cost, billed_cost,
           team, cost_centre, business_unit,
           feature, tier, rule
    FROM cost_day, LATERAL (SELECT now() AS bucket) b"""


def test_charges_are_in_the_books_as_they_are_in_the_reports() -> None:
    day, made = NOON.date(), (dimension_set(source="commitments"), price_slot(model=""))
    charge(day + timedelta(days=40), Part.PURCHASE, made, billed="9")
    charge(day, Part.UNUSED, made, effective="3", known_to=NOON)

    with connection.cursor() as cursor:
        cursor.execute("SELECT charge_kind, sum(billed_cost), sum(effective_cost) FROM cost_hour GROUP BY 1")
        assert [row for row in cursor.fetchall() if row[0] != "usage"] == [("commitment", 9, 0)]
    assert verification._reports().failed == 0


@pytest.mark.parametrize(
    ("sabotage", "found_by"),
    [
        ("UPDATE usage_hour SET input = input + 1", "calls add up to the hours"),
        ("UPDATE usage_hour SET errors = 1", "calls add up to the hours"),
        ("UPDATE call_event SET output = 7", "calls add up to the hours"),
        ("UPDATE unit_hour SET quantity = quantity - 1", "units of calls add up to the hours"),
        (LESS_ONE, "each acknowledged call is stored once"),
        ("UPDATE usage_day SET input = input + 1", "hours add up to the days"),
        ("DELETE FROM usage_day", "hours add up to the days"),
        ("UPDATE unit_day SET quantity = 1", "units of hours add up to the days"),
        ("UPDATE customer_day SET calls = 1000", "customers are part of the days"),
        ("UPDATE customer_unit_day SET quantity = 1000", "units of customers are part of the days"),
        ("UPDATE duration_day SET calls = 1000", "durations, users and tasks are part of the days"),
        ("DELETE FROM duration_owner_day", "durations by owner add up to the days"),
        ("DELETE FROM duration_owner_span", "durations by owner of days add up to the spans"),
        ("UPDATE user_day SET calls = 1000", "durations, users and tasks are part of the days"),
        ("UPDATE user_day SET keys = '{1}'", "users of calls are those of the days"),
        ("UPDATE user_day SET keys = keys || 1::bigint", "users of calls are those of the days"),
        ("UPDATE user_day SET keys = '{}'", "users of calls are those of the days"),
        ("DELETE FROM task_day", "tasks of calls are those of the days"),
        ("UPDATE task_day SET calls = calls - 1", "tasks of calls are those of the days"),
        ("UPDATE usage_day SET slot_id = 999999", "usage points to a known set, slot and customer"),
        ("UPDATE customer_day SET customer_id = 999999", "usage points to a known set, slot and customer"),
        ("UPDATE attribution SET valid_from = '2026-10-06'", "every set has an owner's row for every day"),
        ("UPDATE attribution SET known_to = now()", "every set has an owner's row for every day"),
        (TWICE_OWNED, "no day has two owners at one time of knowledge"),
        (TWICE_PRICED, "a meter of a slot has one price at one time of knowledge"),
        (DEARER_HOURS, "hours cost what the days cost"),
    ],
)
def test_a_broken_invariant_is_found(sabotage: str, found_by: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sabotage)

    assert found_by in failed()


def test_two_owners_of_one_day_double_the_view_and_the_reports() -> None:
    with connection.cursor() as cursor:
        cursor.execute(TWICE_OWNED)

    assert {"cost is quantity times price", "every report has the total of the books"} <= failed()


def test_the_command_prints_a_table_and_exits_with_1_when_something_fails() -> None:
    out = StringIO()
    call_command("verify_books", stdout=out)
    assert out.getvalue().endswith("The books hold.\n")

    with connection.cursor() as cursor:
        cursor.execute("UPDATE usage_day SET input = 0")
    with pytest.raises(SystemExit) as ended:
        call_command("verify_books", stdout=out)
    assert ended.value.code == 1
    assert "hours add up to the days" in out.getvalue()
