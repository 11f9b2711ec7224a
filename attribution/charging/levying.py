"""Credits that are given back at once, and taxes: what is added to a bill when all else is known."""

from __future__ import annotations

from typing import Any

from attribution.charging import lines
from attribution.charging.days import Days
from attribution.charging.lines import OwnCharge
from attribution.charging.placing import Places, origin_of
from attribution.charging.terms import Terms
from attribution.models import ChargeKind, Origin, Part
from pricing.models import AttributeTo, Credit, Tax


def refund(cursor: Any, terms: Terms, credit: Credit, days: Days, places: Places) -> None:
    """Give a credit back on the day its term begins."""
    # Any: Django's cursor wrapper has no public type.
    _at_once(cursor, terms, credit, days, places)


def levy(cursor: Any, terms: Terms, tax: Tax, days: Days, places: Places) -> None:
    """Levy a tax: a percentage of what is billed, where it is billed, or an amount at once."""
    if tax.percent is None:
        _at_once(cursor, terms, tax, days, places)
        return
    parameters = {
        "id": tax.pk,
        "percent": tax.percent,
        "first": tax.starts_on,
        "end": tax.ends_on,
        "slots": terms.slots(tax),
        "own": terms.slots_without_calls(tax),
        "refunds": [credit.pk for credit in terms.refunds],
        "refunded": [credit.pk for credit in terms.refunds if credit.attribute_to == AttributeTo.USE],
    }
    cursor.execute(_LEVY, parameters)


def _at_once(cursor: Any, terms: Terms, term: Credit | Tax, days: Days, places: Places) -> None:
    """A whole amount on the first day: to those who used what it is about on it, to a team, or to nobody."""
    day, amount = term.starts_on, term.amount_usd
    if day not in days.anew or amount is None:
        return
    origin = origin_of(term)
    kind, part = (ChargeKind.CREDIT, Part.CREDIT) if origin == Origin.CREDIT else (ChargeKind.TAX, Part.TAX)
    signed = -amount if origin == Origin.CREDIT else amount
    if term.attribute_to == AttributeTo.USE:
        said = {"kind": kind.value, "origin": origin.value, "id": term.pk, "part": part.value}
        cursor.execute(_BY_USE, {**said, "day": day, "amount": signed, "slots": terms.slots(term)})
        if cursor.rowcount:
            return
    place = places.of(term)
    lines.charge(cursor, [OwnCharge(day, kind, origin, term.pk, part, *place, signed, signed)])


_BY_USE = """
INSERT INTO charging_new (day, kind, origin, origin_id, part, dimension_set_id, slot_id,
                          effective_cost, billed_cost)
SELECT %(day)s, %(kind)s, %(origin)s, %(id)s, %(part)s, dimension_set_id, slot_id, amount, amount
FROM (
    SELECT dimension_set_id, slot_id, round(%(amount)s::numeric(48, 18) * so_far / whole, 18)
           - round(%(amount)s::numeric(48, 18) * (so_far - tokens) / whole, 18) AS amount
    FROM (
        SELECT dimension_set_id, slot_id, tokens, sum(tokens) OVER () AS whole,
               sum(tokens) OVER (ORDER BY dimension_set_id, slot_id) AS so_far
        FROM charging_line WHERE day = %(day)s AND slot_id = ANY(%(slots)s)
    ) weighed
    WHERE whole > 0
) shared
WHERE amount <> 0"""
_LEVY = f"""
INSERT INTO charging_new (day, kind, origin, origin_id, part, dimension_set_id, slot_id,
                          effective_cost, billed_cost)
SELECT day, '{ChargeKind.TAX}', '{Origin.TAX}', %(id)s, '{Part.TAX}', dimension_set_id, slot_id,
       amount, amount
FROM (
    SELECT day, dimension_set_id, slot_id, round(so_far * %(percent)s::numeric / 100, 18)
           - round((so_far - billed) * %(percent)s::numeric / 100, 18) AS amount
    FROM (
        SELECT day, dimension_set_id, slot_id, billed,
               sum(billed) OVER (PARTITION BY day ORDER BY dimension_set_id, slot_id) AS so_far
        FROM (
            SELECT day, dimension_set_id, slot_id, sum(billed) AS billed
            FROM (
                SELECT day, dimension_set_id, slot_id, rest AS billed FROM charging_line
                WHERE slot_id = ANY(%(slots)s)
                UNION ALL
                SELECT day, dimension_set_id, slot_id, billed_cost FROM charging_new
                WHERE slot_id = ANY(%(own)s) AND (part = '{Part.PURCHASE}' OR part = '{Part.CREDIT}'
                                                  AND origin_id = ANY(%(refunds)s))
                UNION ALL
                SELECT day, dimension_set_id, slot_id, billed_cost FROM charging_new
                WHERE slot_id = ANY(%(slots)s) AND part = '{Part.CREDIT}' AND origin_id = ANY(%(refunded)s)
            ) together
            WHERE day >= %(first)s AND day < %(end)s
            GROUP BY day, dimension_set_id, slot_id
        ) line
    ) running
) levied
WHERE amount <> 0"""
