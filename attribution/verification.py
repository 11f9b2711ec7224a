"""What must always hold, asked of the tables themselves rather than of the code that wrote them.

Each check is one statement that lists its violations. Single calls are compared for as long as
retention keeps them; the books for as long as there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from attribution import verification_sql as sql
from attribution.charging import checking
from attribution.cost_query import CHARGED, CostQuery
from attribution.models import Verification
from attribution.partitions import raw_days
from attribution.reports import costs
from finops.core.periods import Period

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: how many things were looked at, how many broke it, and a few of these."""

    name: str
    checked: int
    failed: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """All checks of one run."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return not any(check.failed for check in self.checks)


def verify(
    *, raw_since: date | None = None, notice: Callable[[Check], None] | None = None
) -> VerificationReport:
    """Run every check and remember the result in ``Verification``.

    ``raw_since`` limits the comparison with single calls to UTC days from then on (None: all there
    are). ``notice`` is told each check as it ends. All statements see the books at one moment.
    """
    run = Verification.objects.create(started_at=timezone.now())
    checks = []
    for check in _checks(raw_since):
        checks.append(check)
        if notice:
            notice(check)
    report = VerificationReport(tuple(checks))
    run.finished_at = timezone.now()
    run.checks = [asdict(check) for check in checks]
    run.passed = report.passed
    run.save(update_fields=["finished_at", "checks", "passed"])
    return report


def _checks(raw_since: date | None) -> Iterator[Check]:
    days = [day for day in raw_days() if raw_since is None or day >= raw_since]
    zone = settings.REPORTING_TIME_ZONE.key
    for name, statement in sql.RAW_CHECKS.items():
        yield _over(name, statement, [_utc_day(day) for day in days])
    for name, statement in sql.DAY_CHECKS.items():
        yield _over(name, statement, list(_whole_reporting_days(days)))
    yield _batches(days)
    yield _identities(days)
    yield _charges()
    for name, statement in sql.BOOK_CHECKS.items():
        yield _check(name, statement, {"zone": zone})
    yield _reports()


def _check(name: str, statement: str, parameters: dict[str, Any]) -> Check:
    # Any: whatever the driver adapts.
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        checked, failed, examples = cursor.fetchone()
    return Check(name, int(checked), int(failed), tuple((examples or [])[:_EXAMPLES]))


def _over(name: str, statement: str, bounds: list[dict[str, Any]]) -> Check:
    """A comparison with single calls, one day at a time, so that no sort outgrows memory."""
    checked = failed = 0
    examples: list[str] = []
    for each in bounds:
        part = _check(name, statement, each)
        checked, failed = checked + part.checked, failed + part.failed
        examples += part.examples
    return Check(name, checked, failed, tuple(examples[:_EXAMPLES]))


def _utc_day(day: date) -> dict[str, Any]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return {"start": start, "end": start + timedelta(days=1)}


def _whole_reporting_days(days: list[date]) -> Iterator[dict[str, Any]]:
    """Reporting days of which retention has taken no call, given the UTC days that there are."""
    there = set(days)
    for day in days:
        start, end = Period(day, day + timedelta(days=1)).instants(settings.REPORTING_TIME_ZONE)
        touched = {start.date(), (end - timedelta(microseconds=1)).date()}
        if all(utc in there or utc > days[-1] for utc in touched):
            yield {"day": day, "start": start, "end": end}


def _batches(days: list[date]) -> Check:
    start, end = _span(days)
    return _check("each acknowledged call is stored once", sql.BATCHES, {"start": start, "end": end})


def _identities(days: list[date]) -> Check:
    start, end = _span(days)
    return _check("no identity is booked twice", sql.IDENTITIES, {"start": start, "end": end})


def _span(days: list[date]) -> tuple[datetime, datetime]:
    if not days:
        return datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    first, last = days[0], days[-1] + timedelta(days=1)
    return (
        datetime(first.year, first.month, first.day, tzinfo=UTC),
        datetime(last.year, last.month, last.day, tzinfo=UTC),
    )


def _charges() -> Check:
    """What is charged beside usage, worked out from the beginning, is what incremental steps have left."""
    checked, wrong = checking.compare()
    return Check(
        "charges are what their terms make of the books", checked, len(wrong), tuple(wrong[:_EXAMPLES])
    )


@transaction.atomic
def _reports() -> Check:
    """Reports total the same whatever they are grouped by, and the same as the view of the books."""
    name = "every report has the total of the books"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(day), max(day), coalesce(sum(calls), 0)"
            " FROM (SELECT day, calls FROM usage_day"
            "       UNION ALL SELECT day, 0 FROM charge WHERE known_to IS NULL) booked"
        )
        first, last, calls = cursor.fetchone()
        if first is None:
            return Check(name, 0, 0)
        cursor.execute(f"SELECT {', '.join(f'coalesce(sum({cost}), 0)' for cost in CHARGED)} FROM cost_day")
        booked = (*cursor.fetchone(), calls)
    period = Period(first, last + timedelta(days=1))
    wrong = []
    for group_by in ((), ("team", "feature"), ("model",), ("customer",), ("charge_kind",)):
        report = costs(CostQuery(period=period, group_by=group_by, measures=(*CHARGED, "calls")))
        found = tuple(amount or 0 for amount in report.total.values())
        if found != booked:
            wrong.append(f"by {group_by or 'nothing'}: {found}, books: {booked}")
    return Check(name, 5, len(wrong), tuple(wrong))
