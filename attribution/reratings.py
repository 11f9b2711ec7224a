"""Corrections of prices: shown first, by owner and day, and posted once somebody has approved.

Nothing booked is rewritten: prices get a successor from the time of publication on, so ``as_of`` answers
from before stay as they were. Only calls of slots within which a price now changes go to other slots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from attribution import rating_as_if, rerating_sql, restating, rollups
from attribution.misplaced import Narrowed
from attribution.models import Rerating, ReratingStatus
from finops.accounts import audit
from finops.core.errors import Conflict, InvalidInput, NotFound
from pricing import drafts
from pricing.catalogue import current_version, load_history
from pricing.models import BookVersion, PriceSlot, SplitSlot, VersionStatus
from pricing.publishing import hold_the_book
from pricing.slot_rates import Division, Grids, narrow

LONGEST_REASON = 2_000
_OPEN = (VersionStatus.DRAFT, VersionStatus.REVIEWED)


class OutOfDate(Conflict):
    """What was shown is not what would be posted."""

    code = "rerating_stale"


def first_open_day() -> date:
    """The first reporting day on which what is booked may be restated: no period is ever closed yet."""
    return date.min


@transaction.atomic
def preview(version: BookVersion, *, by: str) -> Rerating:
    """Show what publishing a draft would change of what is booked, and keep it.

    Earlier previews of the version are out of date with it. Raises Conflict for what is no draft, and
    RawCallsDropped as ``approve`` does.
    """
    if version.status not in _OPEN:
        raise Conflict(f"Version {version.pk} is {version.get_status_display().lower()}, and no draft.")
    with connection.cursor() as cursor:
        rollups.lock(cursor)
        rating_as_if.rate(cursor, Grids(load_history(version)))
        now = timezone.now()
        running = now.astimezone(settings.REPORTING_TIME_ZONE).date()
        sums = rating_as_if.totals(cursor)
        made = Rerating.objects.create(
            version=version,
            made_at=now,
            made_by=by,
            running_day=running,
            figures=rating_as_if.figures(cursor, running),
            **{name: getattr(sums, name) for name in _SUMS},
        )
        cursor.execute(rerating_sql.KEEP, [made.pk])
    older = Rerating.objects.filter(version=version, status=ReratingStatus.PREVIEWED).exclude(pk=made.pk)
    older.update(
        status=ReratingStatus.STALE, decided_at=now, decided_by=by, reason=f"Shown anew as {made.pk}."
    )
    _record(by, "previewed", made, after=_shown(made))
    return made


def approve(rerating: Rerating, by: str) -> Rerating:
    """Publish the version and restate what is booked; approved before, nothing is done.

    One transaction: until it ends all reports are as before, after it as shown. Raises OutOfDate, and says
    so on the re-rating, when the figures would be others than shown; Conflict when it is no longer waiting,
    or its version cannot be published; RawCallsDropped when a price changes within a day whose single calls
    have left by retention.
    """
    try:
        return _approve(rerating.pk, by)
    except OutOfDate as error:
        _decide(rerating.pk, ReratingStatus.STALE, by=by, reason=error.detail)
        raise


@transaction.atomic
def discard(rerating: Rerating, by: str, reason: str = "") -> Rerating:
    """Decide against it; the version stays a draft. Raises Conflict when it is no longer waiting."""
    if len(reason) > LONGEST_REASON:
        raise InvalidInput.field("reason", "too_long", f"At most {LONGEST_REASON:,} characters.")
    _waiting(rerating.pk)
    return _decide(rerating.pk, ReratingStatus.DISCARDED, by=by, reason=reason.strip())


def rerating_of(number: int) -> Rerating:
    """One re-rating with its version. Raises NotFound."""
    found = Rerating.objects.select_related("version").filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no re-rating {number}.")
    return found


_SUMS = ("calls", "newly_priced", "newly_unpriced", "before", "after", "first_day", "last_day")


@transaction.atomic
def _approve(number: int, by: str) -> Rerating:
    with connection.cursor() as cursor:
        rollups.lock(cursor)
        rerating = Rerating.objects.select_for_update().get(pk=number)
        if rerating.status == ReratingStatus.APPROVED:
            return rerating
        rerating = _waiting(number)
        grids = Grids(load_history(rerating.version))
        divided = rating_as_if.rate(cursor, grids)
        _refuse_other_figures(cursor, rerating)
        sums = rating_as_if.totals(cursor)
        divided = [_keeping_most(cursor, division) for division in divided]
        moved = restating.move(cursor, [_narrowed(division) for division in divided])
        hold_the_book()
        if current_version() != grids.history.version:
            raise OutOfDate("Another version of the price book was published meanwhile.")
        published = _publish(rerating.version, divided, by)
        left = restating.settle()
    rerating.status, rerating.decided_at, rerating.decided_by = ReratingStatus.APPROVED, timezone.now(), by
    rerating.known_from = published
    rerating.posted_before, rerating.posted_after = sums.before, sums.after
    rerating.calls_moved, rerating.days_moved = moved.calls + left.calls, max(moved.days, left.days)
    rerating.save()
    after = {"known_from": published.isoformat(), "before": str(sums.before), "after": str(sums.after)}
    _record(by, "approved", rerating, before=_shown(rerating), after=after)
    return rerating


def _refuse_other_figures(cursor: Any, rerating: Rerating) -> None:
    # Any: Django's cursor wrapper has no public type.
    version = rerating.version
    if version.status not in _OPEN:
        raise OutOfDate(f"Version {version.pk} is {version.get_status_display().lower()} meanwhile.")
    if rating_as_if.figures(cursor, rerating.running_day) != rerating.figures:
        raise OutOfDate(
            "The figures would differ from those shown: prices, usage or owners changed since."
            " Preview it again."
        )
    first_day = rating_as_if.totals(cursor).first_day
    if first_day is not None and first_day < first_open_day():
        raise Conflict(f"{first_day} is closed.")


def _keeping_most(cursor: Any, division: Division) -> Division:
    """It keeps the interval in which it was used most: the fewest calls are moved."""
    cursor.execute("SELECT day, sum(calls) FROM usage_day WHERE slot_id = %s GROUP BY day", [division.slot])
    used: Counter[int] = Counter()
    for day, calls in cursor.fetchall():
        first, last = restating.instants(day)
        at = int((first + (last - first) / 2).timestamp())
        used[sum(edge <= at for edge in division.grid.edges)] += int(calls)
    for interval, _ in used.most_common():
        for cell in division.cells:
            if cell[0] == interval:
                return division.keeping(cell)
    return division


def _narrowed(division: Division) -> Narrowed:
    return Narrowed(division.slot, division.grid, division.narrowed, frozenset(division.cells))


def _publish(version: BookVersion, divided: Sequence[Division], by: str) -> datetime:
    """Narrow the slots whose calls were moved, then publish; returns the time of knowledge."""
    narrow(divided, timezone.now())
    emptied = PriceSlot.objects.filter(schedule__startswith="moved ").values("pk")
    done = [division.slot for division in divided]
    drafts.publish(version, by=by)
    moved_already = SplitSlot.objects.filter(slot_id__in=done, settled_at=None).exclude(slot_id__in=emptied)
    moved_already.update(settled_at=timezone.now())
    published_at = BookVersion.objects.get(pk=version.pk).published_at
    assert published_at is not None
    return published_at


def _waiting(number: int) -> Rerating:
    rerating = Rerating.objects.select_for_update(of=("self",)).select_related("version").get(pk=number)
    if rerating.status != ReratingStatus.PREVIEWED:
        state = rerating.get_status_display().lower()
        raise Conflict(f"Re-rating {number} is {state}, by {rerating.decided_by}.")
    return rerating


@transaction.atomic
def _decide(number: int, status: ReratingStatus, *, by: str, reason: str) -> Rerating:
    rerating = _waiting(number)
    rerating.status, rerating.decided_at, rerating.decided_by = status, timezone.now(), by
    rerating.reason = reason
    rerating.save()
    _record(by, status.value, rerating, before=_shown(rerating), after={"reason": reason})
    return rerating


def _shown(rerating: Rerating) -> dict[str, Any]:  # Any: JSON
    return {
        "version": rerating.version_id,
        "calls": rerating.calls,
        "before": str(rerating.before),
        "after": str(rerating.after),
    }


def _record(
    by: str, what: str, rerating: Rerating, *, before: Any = None, after: Any = None
) -> None:  # Any: JSON
    audit.record(
        by, f"rerating.{what}", subject_kind="re-rating", subject=str(rerating.pk), before=before, after=after
    )
