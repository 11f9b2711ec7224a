"""What higher volume bands take off: by how far a month's volume reaches, shared within each day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from attribution.charging.days import Days
from attribution.charging.lines import share
from attribution.models import ChargeKind, Origin, Part
from finops.core.meters import FIRST_UNIT_METER, HOT_METERS, Meter
from finops.core.money import EXACT, ZERO
from pricing.agreements import FALLS_BACK, less
from pricing.commitments import banded
from pricing.models import Agreement, AgreementBand, BandMode, SlotRate, UnitMeter, VolumeOf

_PLACE = Decimal("1e-18")


@dataclass(frozen=True, slots=True)
class BandPrice:
    """How much more a unit costs in a higher band than in the one over 0 (below zero: less)."""

    agreement: int
    slot: int
    meter: int
    band: int
    more: Decimal


def slots_of(agreements: Sequence[Agreement]) -> list[int]:
    """The slots in which one of these agreements makes a price now."""
    rates = SlotRate.objects.filter(known_to=None, agreement__in=agreements)
    return sorted(set(rates.values_list("slot_id", flat=True)))


def days_of(cursor: Any, agreements: Sequence[Agreement], today: date) -> set[date]:
    """The days on which they priced usage."""
    # Any: Django's cursor wrapper has no public type.
    if not agreements:
        return set()
    cursor.execute(
        "SELECT DISTINCT day FROM usage_day WHERE slot_id = ANY(%s) AND day <= %s",
        [slots_of(agreements), today],
    )
    return {day for (day,) in cursor.fetchall()}


def apply(cursor: Any, agreements: Sequence[Agreement], days: Days) -> None:
    """Charge what higher bands take off, and leave that much less to be covered."""
    if not agreements:
        return
    numbers = [agreement.pk for agreement in agreements]
    cursor.execute(_TABLES)
    cursor.execute(
        _METERED, {"agreements": numbers, "days": sorted(days.anew), "slots": slots_of(agreements)}
    )
    prices = [(p.agreement, p.slot, p.meter, p.band, p.more) for p in _band_prices(agreements)]
    if prices:
        cursor.execute(_PRICES, [list(column) for column in zip(*prices, strict=True)])
    for agreement in agreements:
        portions = _portions(cursor, agreement, days)
        if portions:
            cursor.execute("TRUNCATE charging_portion")
            cursor.execute(_PORTIONS, [list(column) for column in zip(*portions, strict=True)])
            cursor.execute(_TAKE_OFF, {"id": agreement.pk})


def _portions(cursor: Any, agreement: Agreement, days: Days) -> list[tuple[date, int, Decimal, Decimal]]:
    """Of the days worked out now: how much of their volume lies in each higher band."""
    cursor.execute(_VOLUME[VolumeOf(agreement.volume_of)], {"id": agreement.pk})
    kept = days.kept(Origin.AGREEMENT, agreement.pk)
    volumes: dict[date, Any] = {day: ZERO if day in days.anew else row[0] for day, row in kept.items()}
    volumes |= dict(cursor.fetchall())
    months: dict[tuple[int, int], dict[date, Decimal]] = defaultdict(dict)
    for day, volume in volumes.items():
        months[day.year, day.month][day] = volume
    overs = [band.over for band in _bands(agreement)]
    whole = agreement.band_mode == BandMode.WHOLE
    parts = {day: part for each in months.values() for day, part in banded(overs, each, whole=whole).items()}
    rows = {day: (volumes[day], *[ZERO] * 6, None, parts[day]) for day in volumes}
    days.note(Origin.AGREEMENT, agreement.pk, rows)
    return [
        (day, band, part, volumes[day])
        for day in sorted(parts.keys() & days.anew)
        for band, part in enumerate(parts[day])
        if band and part
    ]


def _bands(agreement: Agreement) -> list[AgreementBand]:
    return sorted(agreement.bands.all(), key=lambda band: band.over)


def _band_prices(agreements: Sequence[Agreement]) -> Iterator[BandPrice]:
    names = {int(meter): meter.label for meter in Meter} | dict(UnitMeter.objects.values_list("id", "name"))
    known = {agreement.pk: _rates(agreement) for agreement in agreements}
    rates = SlotRate.objects.filter(
        known_to=None, agreement__in=known, slot__from_response_cache=False
    ).values_list("agreement_id", "slot_id", "meter_id", "list_price", "contracted_price")
    for agreement, slot, meter, listed, contracted in rates:
        for number, (percent_off, fixed) in enumerate(known[agreement or 0]):
            if number:
                price = _price(names[meter], listed, percent_off, fixed)
                if price is not None and price != contracted:
                    yield BandPrice(agreement or 0, slot, meter, number, price - contracted)


def _rates(agreement: Agreement) -> list[tuple[Decimal | None, Mapping[str, Decimal]]]:
    with localcontext(EXACT):
        return [
            (band.percent_off, {rate.meter: rate.unit_price / rate.per for rate in band.rates.all()})
            for band in _bands(agreement)
        ]


def _price(
    meter: str, listed: Decimal, percent_off: Decimal | None, fixed: Mapping[str, Decimal]
) -> Decimal | None:
    """What a unit costs in a band; None: the band says nothing of the meter."""
    if percent_off is not None:
        return less(listed, percent_off, _PLACE)
    stated = fixed.get(meter, fixed.get(FALLS_BACK.get(meter, "")))
    return None if stated is None else stated.quantize(_PLACE, ROUND_HALF_UP, EXACT)


_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS charging_meter (
    agreement_id bigint, day date, dimension_set_id integer, slot_id integer, meter_id smallint,
    quantity numeric, list_price numeric
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS charging_band (
    agreement_id bigint, slot_id integer, meter_id smallint, band integer, more numeric(38, 18)
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS charging_portion (
    day date, band integer, part numeric(38, 18), volume numeric(38, 18)
) ON COMMIT DROP;
TRUNCATE charging_meter, charging_band, charging_portion"""
_HOT = ", ".join(f"({meter.value}, {meter.label}::numeric)" for meter in HOT_METERS)
_METERED = f"""
INSERT INTO charging_meter
SELECT r.agreement_id, u.day, u.dimension_set_id, u.slot_id, u.meter_id, u.quantity, r.list_price
FROM (
    SELECT day, dimension_set_id, slot_id, v.meter_id::smallint AS meter_id, v.quantity
    FROM usage_day, LATERAL (VALUES {_HOT}) v(meter_id, quantity)
    WHERE day = ANY(%(days)s) AND slot_id = ANY(%(slots)s) AND v.quantity <> 0
    UNION ALL
    SELECT day, dimension_set_id, slot_id, meter_id, quantity FROM unit_day
    WHERE day = ANY(%(days)s) AND slot_id = ANY(%(slots)s)
) u
JOIN slot_rate r ON r.slot_id = u.slot_id AND r.meter_id = u.meter_id AND r.known_to IS NULL
                AND r.agreement_id = ANY(%(agreements)s)"""
_PRICES = """
INSERT INTO charging_band
SELECT * FROM unnest(%s::bigint[], %s::integer[], %s::smallint[], %s::integer[], %s::numeric[])"""
_PORTIONS = """
INSERT INTO charging_portion
SELECT * FROM unnest(%s::date[], %s::integer[], %s::numeric[], %s::numeric[])"""
_VOLUME = {
    VolumeOf.TOKENS: f"""
        SELECT day, sum(quantity)::numeric(38, 18) FROM charging_meter
        WHERE agreement_id = %(id)s AND meter_id < {FIRST_UNIT_METER} GROUP BY day""",
    VolumeOf.LIST_COST: """
        SELECT day, round(sum(quantity * list_price), 18) FROM charging_meter
        WHERE agreement_id = %(id)s GROUP BY day""",
}
_TAKE_OFF = f"""
WITH weighed AS (
    SELECT m.day, m.dimension_set_id, m.slot_id, p.volume, sum(m.quantity * b.more * p.part) AS weight
    FROM charging_meter m
    JOIN charging_band b USING (agreement_id, slot_id, meter_id)
    JOIN charging_portion p ON p.day = m.day AND p.band = b.band
    WHERE m.agreement_id = %(id)s
    GROUP BY 1, 2, 3, 4
),
running AS (
    SELECT *, sum(weight) OVER (PARTITION BY day ORDER BY dimension_set_id, slot_id) AS so_far FROM weighed
),
taken AS MATERIALIZED (
    SELECT day, dimension_set_id, slot_id, {share("1", "weight", "so_far", "volume")} AS more FROM running
),
left_over AS (
    UPDATE charging_line l SET rest = greatest(l.rest + t.more, 0) FROM taken t
    WHERE l.day = t.day AND l.dimension_set_id = t.dimension_set_id AND l.slot_id = t.slot_id
)
INSERT INTO charging_new (day, kind, origin, origin_id, part, dimension_set_id, slot_id,
                          contracted_cost, effective_cost, billed_cost)
SELECT day, '{ChargeKind.USAGE}', '{Origin.AGREEMENT}', %(id)s, '{Part.VOLUME}',
       dimension_set_id, slot_id, more, more, more
FROM taken WHERE more <> 0"""
