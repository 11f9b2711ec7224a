"""Any sequence of corrections and calls: the books say what the arithmetic says, as known at any time."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribution import restating, rollups
from attribution.verification import verify
from pricing import drafts
from tests.attribution.reratings.shop import BY, Cost, Shop, Told, at, booked, correct, reviewed

pytestmark = pytest.mark.django_db
MODELS = ("m", "n")
CUTS = [at("2026-10-03"), at("2026-10-05T13:20:11"), at("2026-10-06")]
HOURS = (("03:00", "08:00"), ("05:30", "12:00"))
START = at("2026-10-01")


@st.composite
def books(draw: st.DrawFn) -> list[Cost]:
    """What the book says of each model: nothing, or prices that hold one after the other."""
    said = []
    for model in MODELS:
        if draw(st.booleans()) and draw(st.booleans()):
            continue
        cuts = sorted(draw(st.sets(st.sampled_from(CUTS))))
        for starts, ends in pairwise([None, *cuts, None]):
            over = draw(st.sampled_from([None, None, 1_000]))
            hours = draw(st.sampled_from([None, None, *HOURS]))
            for threshold, window in {(None, None), (over, None), (None, hours), (over, hours)}:
                dearness, output = str(draw(st.integers(1, 9))), str(draw(st.integers(1, 9)))
                searches = draw(st.sampled_from([None, "7"]))
                said.append(Cost(model, dearness, output, starts, ends, threshold, window, searches))
    return said


calls = st.lists(
    st.builds(
        Told,
        st.sampled_from(MODELS),
        st.integers(0, 7 * 24 * 3600 - 1).map(lambda second: START + timedelta(seconds=second)),
        st.sampled_from([0, 1, 999, 1_000, 1_001, 5_000]),
        st.integers(0, 5),
        st.sampled_from(["search", "ads"]),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=8,
)
steps = st.tuples(books(), calls, st.sampled_from(["corrected", "published", "late"]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=2, max_size=5))
def test_books_cost_what_the_arithmetic_says_at_every_time_of_knowledge(
    sequence: list[tuple[list[Cost], list[Told], str]],
) -> None:
    # Each example begins with an empty book.
    start = transaction.savepoint()
    try:
        books_hold(sequence)
    finally:
        transaction.savepoint_rollback(start)


def books_hold(sequence: list[tuple[list[Cost], list[Told], str]]) -> None:
    """Each step corrects or publishes, then books calls; everything is asked as of each time so far."""
    known: list[datetime | None] = [None]
    shop = Shop()
    for said, told, how in sequence:
        stale = shop.resolve(told) if how == "late" and shop.told else None
        shown = booked()
        if how == "published":
            version = reviewed(*said)
            if version is not None:
                done = drafts.publish(version, by=BY).version
                assert done is not None
                known.append(done.published_at)
            restating.settle()
        elif (posted := correct(*said)) is not None:
            assert booked() - shown == posted.after - posted.before
            known.append(posted.known_from)
        if stale is None:
            shop.take(told)
        else:
            # Their slots were looked up before; they come in after.
            shop.write(told, stale)
            rollups.fold(wait=True)
        answers = {when: (booked(when), shop.cost(when)) for when in known}
        assert all(one == other for one, other in answers.values()), answers
    report = verify()
    assert report.passed, [check for check in report.checks if check.failed]
