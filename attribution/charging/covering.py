"""What commitments cover and credits pay for: the day's amounts in Python, their shares by line in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings

from attribution.charging import lines
from attribution.charging.days import Days
from attribution.charging.lines import OwnCharge, share
from attribution.charging.placing import Places
from attribution.charging.terms import Terms, days_of
from attribution.models import ChargeKind, Origin, Part
from finops.core.money import ZERO
from pricing.commitments import PREPAID, DrawnDay, InScope, drawn, granted
from pricing.models import AttributeTo, Commitment, Credit


def commit(cursor: Any, terms: Terms, commitment: Commitment, days: Days, places: Places) -> None:
    """Cover usage by a commitment; book its purchase and what of it is unused."""
    # Any: Django's cursor wrapper has no public type.
    usage = days.usage(Origin.COMMITMENT, commitment.pk, _met(cursor, terms, commitment))
    zone = settings.REPORTING_TIME_ZONE
    made = drawn(commitment, usage, today=days.today, zone=zone)
    fresh = days.keep(Origin.COMMITMENT, commitment.pk, made)
    own, shared = [], []
    for each in fresh:
        to_use = commitment.attribute_to == AttributeTo.USE and (each.tokens > 0 or each.eligible > 0)
        if each.tokens or each.eligible:
            shared.append((each, each.unused if to_use else ZERO))
        own += _own(commitment, each, places, with_unused=not to_use)
    lines.charge(cursor, own)
    is_prepaid = commitment.kind == PREPAID
    if shared:
        _lay_out(cursor, [each for each, _ in shared], [unused for _, unused in shared], is_prepaid)
        cursor.execute(_COVER, {"id": commitment.pk, "slots": terms.slots(commitment), "prepaid": is_prepaid})


def grant(cursor: Any, terms: Terms, credit: Credit, days: Days) -> None:
    """Pay for usage by a credit."""
    usage = days.usage(Origin.CREDIT, credit.pk, _met(cursor, terms, credit))
    made = granted(credit.amount_usd, usage, days_of(credit, days.today))
    fresh = days.keep(Origin.CREDIT, credit.pk, made)
    paid = [each for each in fresh if each.covered]
    if paid:
        _lay_out(cursor, paid, [ZERO] * len(paid), is_prepaid=True)
        cursor.execute(_PAY, {"id": credit.pk, "slots": terms.slots(credit)})


def _met(cursor: Any, terms: Terms, term: Commitment | Credit) -> dict[date, InScope]:
    return lines.in_scope(cursor, terms.slots(term), term.starts_on, term.ends_on)


def _own(commitment: Commitment, each: DrawnDay, places: Places, *, with_unused: bool) -> list[OwnCharge]:
    """What is billed for the day, and what nobody used of it."""
    origin = (Origin.COMMITMENT, commitment.pk)
    place = places.of(commitment)
    rows = []
    if each.purchase:
        rows.append(
            OwnCharge(each.day, ChargeKind.COMMITMENT, *origin, Part.PURCHASE, *place, billed=each.purchase)
        )
    if each.unused and with_unused:
        rows.append(
            OwnCharge(each.day, ChargeKind.COMMITMENT, *origin, Part.UNUSED, *place, effective=each.unused)
        )
    return rows


def _lay_out(cursor: Any, made: Sequence[DrawnDay], unused: Sequence[Decimal], is_prepaid: bool) -> None:
    rows = [
        (each.day, each.tokens, each.eligible, each.taken, each.covered, each.used, left,
         bool(each.tokens) and not is_prepaid)
        for each, left in zip(made, unused, strict=True)
    ]  # fmt: skip
    cursor.execute("TRUNCATE charging_day")
    cursor.execute(_DAYS, [list(column) for column in zip(*rows, strict=True)])


_DAYS = """
INSERT INTO charging_day SELECT * FROM unnest(%s::date[], %s::numeric[], %s::numeric[], %s::numeric[],
                                              %s::numeric[], %s::numeric[], %s::numeric[], %s::boolean[])"""
_WEIGHED = """
weighed AS (
    SELECT l.day, l.dimension_set_id, l.slot_id, l.open_tokens, l.rest,
           sum(l.open_tokens) OVER day_so_far AS tokens_so_far, sum(l.rest) OVER day_so_far AS rest_so_far,
           d.tokens, d.eligible, d.taken, d.covered, d.used, d.unused, d.by_tokens
    FROM charging_line l JOIN charging_day d USING (day)
    WHERE l.slot_id = ANY(%(slots)s)
    WINDOW day_so_far AS (PARTITION BY l.day ORDER BY l.dimension_set_id, l.slot_id)
)"""


def _by_cost(total: str) -> str:
    return share(total, "rest", "rest_so_far", "eligible")


def _by_tokens(total: str) -> str:
    return share(total, "open_tokens", "tokens_so_far", "tokens")


def _by_use(total: str, by_tokens: str) -> str:
    return f"CASE WHEN {by_tokens} THEN {_by_tokens(total)} ELSE {_by_cost(total)} END"


_COVER = f"""
WITH {_WEIGHED},
shared AS MATERIALIZED (
    SELECT day, dimension_set_id, slot_id, open_tokens, rest, {_by_cost("covered")} AS covered,
           {_by_tokens("taken")} AS taken, {_by_use("used", "by_tokens")} AS used,
           {_by_use("unused", "tokens > 0")} AS unused
    FROM weighed
),
left_over AS (
    UPDATE charging_line l SET rest = l.rest - s.covered, open_tokens = CASE
        WHEN NOT %(prepaid)s THEN l.open_tokens - s.taken
        WHEN l.rest <= 0 THEN l.open_tokens
        ELSE trunc(l.open_tokens * (l.rest - s.covered) / l.rest, 18) END
    FROM shared s
    WHERE l.day = s.day AND l.dimension_set_id = s.dimension_set_id AND l.slot_id = s.slot_id
),
idle AS (
    INSERT INTO charging_new (day, kind, origin, origin_id, part, dimension_set_id, slot_id, effective_cost)
    SELECT day, '{ChargeKind.COMMITMENT}', '{Origin.COMMITMENT}', %(id)s, '{Part.UNUSED}',
           dimension_set_id, slot_id, unused
    FROM shared WHERE unused <> 0
)
INSERT INTO charging_new (day, kind, origin, origin_id, part, dimension_set_id, slot_id,
                          effective_cost, billed_cost)
SELECT day, '{ChargeKind.USAGE}', '{Origin.COMMITMENT}', %(id)s, '{Part.COVERED}',
       dimension_set_id, slot_id, used - covered, -covered
FROM shared WHERE covered <> 0 OR used <> 0"""
_PAY = f"""
WITH {_WEIGHED},
shared AS MATERIALIZED (
    SELECT day, dimension_set_id, slot_id, {_by_cost("covered")} AS covered FROM weighed
),
left_over AS (
    UPDATE charging_line l SET rest = l.rest - s.covered FROM shared s
    WHERE l.day = s.day AND l.dimension_set_id = s.dimension_set_id AND l.slot_id = s.slot_id
)
INSERT INTO charging_new (day, kind, origin, origin_id, part, dimension_set_id, slot_id,
                          effective_cost, billed_cost)
SELECT day, '{ChargeKind.CREDIT}', '{Origin.CREDIT}', %(id)s, '{Part.CREDIT}',
       dimension_set_id, slot_id, -covered, -covered
FROM shared WHERE covered <> 0"""
