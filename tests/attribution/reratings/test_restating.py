"""Corrections of prices, against the arithmetic call by call at every time of knowledge."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from attribution import reratings, rollups
from attribution.models import ReratingStatus, UsageDay
from attribution.verification import verify
from pricing.models import PriceSlot, SlotRate
from tests.attribution.reratings.shop import BY, Cost, Shop, Told, at, booked, correct, publish, reviewed

pytestmark = pytest.mark.django_db
DAYS = [at("2026-10-01") + timedelta(days=n, hours=n % 24, minutes=7) for n in range(20)]


def calls(model: str = "m", *, prompt: int = 1_000, team: str = "search") -> list[Told]:
    return [Told(model, when, prompt + n, 10 * n, team) for n, when in enumerate(DAYS)]


def holds() -> bool:
    report = verify()
    assert report.passed, [check for check in report.checks if check.failed]
    return True


def test_a_corrected_price_is_shown_then_posted_and_the_past_stays() -> None:
    first = publish(Cost("m", "3", "9"))
    shop = Shop()
    shop.take([*calls(), *calls(team="ads"), *calls("other")])
    before = shop.cost()
    version = reviewed(Cost("m", "2", "9"))
    assert version is not None

    shown = reratings.preview(version, by=BY)

    assert (shown.status, shown.before, booked()) == (ReratingStatus.PREVIEWED, before, before)
    assert shown.calls == 40
    done = reratings.approve(shown, BY)
    assert booked() == shop.cost() == shown.after == done.posted_after
    assert booked(first) == shop.cost(first) == before
    assert shown.difference < 0
    lines = list(shown.lines.values_list("team", "feature", "model", "calls"))
    assert len(lines) == 40
    assert {line[:3] for line in lines} == {("ads", "ads-feature", "m"), ("search", "search-feature", "m")}
    assert holds()


@pytest.mark.parametrize("cut", ["2026-10-11T00:00", "2026-10-11T09:30:07", "2026-09-01", "2027-01-01"])
def test_a_boundary_inside_a_slot_divides_its_calls(cut: str) -> None:
    first = publish(Cost("m", "3", "9", searches="10"))
    shop = Shop()
    shop.take([*calls(), Told("m", at("2026-10-11T09:30:06"), 7, searches=3)])
    shop.take([Told("m", at("2026-10-11T09:30:07"), 9, 1, searches=2)])
    version = reviewed(
        Cost("m", "3", "9", ends=at(cut), searches="10"), Cost("m", "4", "5", starts=at(cut), searches="7")
    )
    assert version is not None

    shown = reratings.preview(version, by=BY)
    done = reratings.approve(shown, BY)

    assert shown.before + booked() - shown.after == booked(first) == shop.cost(first)
    assert booked() == shop.cost()
    assert done.posted_after == shown.after
    assert booked(done.known_from) == shop.cost()
    assert holds()


def test_a_threshold_inside_a_slot_divides_its_calls() -> None:
    first = publish(Cost("m", "3", "9"))
    shop = Shop()
    shop.take([*calls(prompt=990), *calls(prompt=5_000)])

    done = correct(Cost("m", "3", "9"), Cost("m", "6", "20", over=1_000))

    assert done is not None
    assert booked() == shop.cost()
    assert booked(first) == shop.cost(first)
    assert done.calls == 20 + 9
    assert done.after - done.before == booked() - booked(first)
    assert holds()


def test_hours_of_the_day_that_turn_out_dearer_divide_a_slot_and_may_be_corrected_again() -> None:
    first = publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    second = correct(Cost("m", "3"), Cost("m", "5", hours=("03:00", "08:00")))
    shop.take(calls(team="ads"))
    third = correct(Cost("m", "3"), Cost("m", "5", hours=("05:00", "12:00")))
    shop.take(calls(team="late"))

    assert second is not None
    assert third is not None
    for known in (None, first, second.known_from, third.known_from):
        assert booked(known) == shop.cost(known)
    assert shop.cost() != shop.cost(second.known_from) != shop.cost(first)
    assert holds()


def test_a_price_for_what_had_none_and_none_for_what_had_one() -> None:
    first = publish(Cost("m", "3", "9"))
    shop = Shop()
    shop.take([*calls(), *calls("new")])

    priced = correct(Cost("m", "3", "9"), Cost("new", "1", "2", starts=at("2026-10-05")))

    assert priced is not None
    assert (priced.newly_priced, priced.newly_unpriced, priced.before) == (16, 0, Decimal(0))
    assert booked() == shop.cost() > booked(first) == shop.cost(first)
    without = correct(Cost("new", "1", "2", starts=at("2026-10-05")))
    assert without is not None
    assert (without.newly_priced, without.newly_unpriced, without.after) == (0, 20, Decimal(0))
    assert booked() == shop.cost()
    assert booked(priced.known_from) == shop.cost(priced.known_from)
    assert holds()


def test_approving_twice_posts_once() -> None:
    publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    done = correct(Cost("m", "3", ends=at("2026-10-09")), Cost("m", "1", starts=at("2026-10-09")))
    assert done is not None
    kept = list(SlotRate.objects.order_by("pk").values()), list(PriceSlot.objects.order_by("pk").values())
    usage = sorted(UsageDay.objects.values_list())

    again = reratings.approve(done, "somebody@acme.example")

    assert again.decided_by == BY
    assert kept == (
        list(SlotRate.objects.order_by("pk").values()),
        list(PriceSlot.objects.order_by("pk").values()),
    )
    assert usage == sorted(UsageDay.objects.values_list())
    assert Decimal(booked()) == shop.cost()


def test_a_preview_is_out_of_date_once_figures_differ() -> None:
    publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    version = reviewed(Cost("m", "2"))
    assert version is not None
    shown = reratings.preview(version, by=BY)
    shop.take([Told("m", DAYS[3], 77)])

    with pytest.raises(reratings.OutOfDate, match="would differ"):
        reratings.approve(shown, BY)

    shown.refresh_from_db()
    assert shown.status == ReratingStatus.STALE
    assert booked() == shop.cost()
    anew = reratings.approve(reratings.preview(version, by=BY), BY)
    assert booked() == shop.cost() == anew.posted_after


def drop(day: date) -> None:
    """As retention does."""
    with connection.cursor() as cursor:
        for table in ("call_unit", "call_event"):
            cursor.execute(f"DROP TABLE {table}_{day:%Y%m%d}")


def test_days_whose_single_calls_have_left_are_restated_whole_or_refused() -> None:
    first = publish(Cost("m", "3"))
    shop = Shop()
    shop.take(calls())
    drop(DAYS[5].date())

    within = reviewed(Cost("m", "3", ends=DAYS[5]), Cost("m", "4", starts=DAYS[5]))
    assert within is not None
    with pytest.raises(rollups.RawCallsDropped, match="2026-10-06"):
        reratings.preview(within, by=BY)
    cut = at("2026-10-04")
    done = correct(Cost("m", "3", ends=cut), Cost("m", "4", starts=cut))

    assert done is not None
    assert booked() == shop.cost()
    assert booked(first) == shop.cost(first)
