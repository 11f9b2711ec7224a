"""What commitments cost and cover from day to day, what credits still hold, what volumes reach.

Pure. Dollars and quantities with 18 places; whatever is divided is rounded down by day, and what is left
over stays with the last part, so that nothing is lost. Days are reporting days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from typing import Protocol
from zoneinfo import ZoneInfo

from finops.core.money import EXACT, ZERO
from finops.core.periods import midnight

PREPAID = "prepaid"
_PLACE = Decimal("1e-18")
_HOUR = 3_600


class Bought(Protocol):
    """What of a commitment the arithmetic needs: ``pricing.models.Commitment`` has it."""

    kind: str
    starts_on: date
    ends_on: date
    amount_usd: Decimal
    hourly_usd: Decimal
    credit_usd: Decimal | None
    capacity_per_hour: Decimal | None


@dataclass(frozen=True, slots=True)
class InScope:
    """What of a day's usage is in scope and left by what comes before: tokens, and dollars they cost."""

    tokens: Decimal = ZERO
    eligible: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class ScheduledDay:
    """A day of a commitment's term: its hours, its part of the cost (capacity), what it is billed."""

    day: date
    hours: Decimal
    cost: Decimal
    billed: Decimal


@dataclass(frozen=True, slots=True)
class DrawnDay:
    """What a commitment or credit met on a day, and did.

    ``covered`` is taken off the cost of usage, ``used`` is the part of the commitment that takes its place,
    ``unused`` the part that nobody used; ``taken`` are the tokens covered. ``left`` is what a balance holds
    after the day (None: there is none to draw from).
    """

    day: date
    tokens: Decimal = ZERO
    eligible: Decimal = ZERO
    taken: Decimal = ZERO
    covered: Decimal = ZERO
    cost: Decimal = ZERO
    used: Decimal = ZERO
    unused: Decimal = ZERO
    purchase: Decimal = ZERO
    left: Decimal | None = None


def hours_of(day: date, zone: ZoneInfo) -> Decimal:
    """How long a reporting day is, in hours: 23 or 25 where the clock is changed."""
    return Decimal(_seconds(day, zone)) / _HOUR


def schedule(bought: Bought, zone: ZoneInfo) -> list[ScheduledDay]:
    """Every day of the term. The advance payment is spread over its hours, and sums to the cent and below."""
    days = list(_days(bought.starts_on, bought.ends_on))
    total = sum(_seconds(day, zone) for day in days)
    in_advance = ZERO if bought.kind == PREPAID else bought.amount_usd
    planned, gone, spread = [], 0, ZERO
    with localcontext(EXACT):
        for day in days:
            hours = hours_of(day, zone)
            gone += _seconds(day, zone)
            upto = _rounded(in_advance * gone / total)
            hourly = _rounded(bought.hourly_usd * hours)
            billed = hourly + (bought.amount_usd if day == bought.starts_on else ZERO)
            planned.append(ScheduledDay(day, hours, upto - spread + hourly, billed))
            spread = upto
    return planned


def drawn(bought: Bought, usage: Mapping[date, InScope], *, today: date, zone: ZoneInfo) -> list[DrawnDay]:
    """Each day of the term up to and with ``today``, given what of each day's usage is in scope."""
    with localcontext(EXACT):
        plan = [each for each in schedule(bought, zone) if each.day <= today]
        if bought.kind == PREPAID:
            return _prepaid(bought, plan, usage, is_over=bought.ends_on <= today)
        return [_capacity(bought, each, usage.get(each.day, InScope())) for each in plan]


def granted(amount: Decimal, usage: Mapping[date, InScope], days: Iterable[date]) -> list[DrawnDay]:
    """A credit taken from what is billed of usage in scope, day after day, until it is used up."""
    found, left = [], amount
    with localcontext(EXACT):
        for day in days:
            met = usage.get(day, InScope())
            covered = min(met.eligible, left)
            left -= covered
            found.append(DrawnDay(day, met.tokens, met.eligible, covered=covered, left=left))
    return found


def banded(
    overs: Sequence[Decimal], volumes: Mapping[date, Decimal], *, whole: bool
) -> dict[date, tuple[Decimal, ...]]:
    """How much of each day's volume lies in each band, for the days of one month.

    ``overs`` are the bands' exclusive beginnings from 0 upwards. ``whole``: the band that the month reaches
    holds all of it; else a band holds what lies beyond its beginning, in order of days.
    """
    found = {}
    with localcontext(EXACT):
        month = sum(volumes.values(), ZERO)
        reached = max((number for number, over in enumerate(overs) if month > over), default=0)
        before = ZERO
        for day in sorted(volumes):
            after = before + volumes[day]
            if whole:
                parts = [volumes[day] if number == reached else ZERO for number in range(len(overs))]
            else:
                ends = [*overs[1:], after]
                parts = [
                    max(ZERO, min(after, max(end, over)) - max(before, over))
                    for over, end in zip(overs, ends, strict=True)
                ]
            found[day] = tuple(parts)
            before = after
    return found


def shares(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """``total`` by weight, to 18 places, without a remainder: differences of what is rounded cumulatively.

    The weights must not sum to zero unless there are none.
    """
    found, running, given = [], ZERO, ZERO
    with localcontext(EXACT):
        whole = sum(weights, ZERO)
        for weight in weights:
            running += weight
            upto = _rounded(total * running / whole)
            found.append(upto - given)
            given = upto
    return found


def _prepaid(
    bought: Bought, plan: Sequence[ScheduledDay], usage: Mapping[date, InScope], *, is_over: bool
) -> list[DrawnDay]:
    """The day on which the credit runs out takes what is left of the price, so that nothing stays over."""
    credit = bought.credit_usd or ZERO
    left, unspent, found = credit, bought.amount_usd, []
    for each in plan:
        met = usage.get(each.day, InScope())
        covered = min(met.eligible, left)
        left -= covered
        used = unspent if covered and not left else _floored(bought.amount_usd * covered, credit)
        unspent -= used
        ends = is_over and left > 0 and each.day == bought.ends_on - timedelta(days=1)
        found.append(
            DrawnDay(
                each.day,
                met.tokens,
                met.eligible,
                covered=covered,
                cost=used,
                used=used,
                unused=unspent if ends else ZERO,
                purchase=each.billed,
                left=left,
            )
        )
    return found


def _capacity(bought: Bought, planned: ScheduledDay, met: InScope) -> DrawnDay:
    """Usage beyond the capacity stays at its price; what has no tokens tells nothing of it and is covered."""
    cost = planned.cost
    taken, covered, used = met.tokens, met.eligible, cost
    if not met.tokens:
        used = cost if met.eligible else ZERO
    elif bought.capacity_per_hour is not None:
        capacity = bought.capacity_per_hour * planned.hours
        taken = min(met.tokens, capacity)
        if taken < met.tokens:
            covered = _floored(met.eligible * taken, met.tokens)
        if taken < capacity:
            used = _floored(cost * taken, capacity)
    return DrawnDay(
        planned.day,
        met.tokens,
        met.eligible,
        taken=taken,
        covered=covered,
        cost=cost,
        used=used,
        unused=cost - used,
        purchase=planned.billed,
    )


def _days(first: date, end: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((end - first).days))


def _seconds(day: date, zone: ZoneInfo) -> int:
    return int((midnight(day + timedelta(days=1), zone) - midnight(day, zone)).total_seconds())


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_PLACE, ROUND_HALF_UP)


def _floored(amount: Decimal, divisor: Decimal) -> Decimal:
    return (amount / divisor).quantize(_PLACE, ROUND_FLOOR)
