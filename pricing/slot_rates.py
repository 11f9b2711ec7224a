"""The unit prices of slots in the database: written with the slot, rewritten when the book changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.db import connection

from finops.core.meters import Meter
from finops.core.money import ZERO
from pricing.book import Quote
from pricing.catalogue import load_book, seconds
from pricing.facts import Facts, normalise
from pricing.grid import Grid, SlotKey
from pricing.models import PriceSlot, SlotRate, UnitMeter
from pricing.rating import each, saving_each

# Held exclusively while a version is published, shared while slots are made: a slot made meanwhile is
# either seen by the publication or made from the new book.
PUBLISHING_LOCK = 7_270_311_801
_TOKEN_METER_IDS = {meter.label: int(meter) for meter in Meter}


@dataclass(frozen=True, slots=True)
class MeterPrice:
    """The prices of one meter in one slot; dollars for a single unit."""

    meter: str
    list_price: Decimal
    effective_price: Decimal
    saving_price: Decimal
    price_id: int


@dataclass(frozen=True, slots=True)
class Rerating:
    """What a new version did to existing slots."""

    changed: int
    to_split: int


def meter_prices(quote: Quote, *, from_response_cache: bool) -> list[MeterPrice]:
    """The unit prices that a quote gives a slot; none when nothing prices it.

    A marginal price beyond its threshold depends on the single call and has no unit price: the slot is
    left unpriced. A call answered from the application's own cache costs nothing and saves all.
    """
    if quote.row is None or len(quote.brackets) > 1:
        return []
    prices = []
    for meter, priced in sorted(quote.meters.items()):
        full = each(priced.unit_price)
        saving = full if from_response_cache else saving_each(meter, quote.meters)
        charged = ZERO if from_response_cache else full
        prices.append(MeterPrice(meter, charged, charged, saving, priced.row.id))
    return prices


def unit_meter_ids(names: Iterable[str]) -> dict[str, int]:
    """The numbers of per-call units by name, giving new ones the next numbers."""
    if not (wanted := set(names)):
        return {}
    known = dict(UnitMeter.objects.filter(name__in=wanted).values_list("name", "id"))
    if missing := sorted(wanted - known.keys()):
        UnitMeter.objects.bulk_create([UnitMeter(name=name) for name in missing], ignore_conflicts=True)
        known = dict(UnitMeter.objects.filter(name__in=wanted).values_list("name", "id"))
    return known


def meter_ids(names: Iterable[str]) -> dict[str, int]:
    """The numbers of token meters and per-call units by name."""
    units = set(names) - _TOKEN_METER_IDS.keys()
    return _TOKEN_METER_IDS | unit_meter_ids(units)


_FACTS = ("provider", "model", "host", "region", "service_tier", "processing", "speed", "from_response_cache")
_BOUNDS = ("context_over", "context_upto", "schedule", "effective_from", "effective_to")
_TYPES = ("text",) * 7 + ("boolean", "integer", "integer", "text", "timestamptz", "timestamptz")
_COLUMNS = ", ".join(_FACTS + _BOUNDS)
_ARRAYS = ", ".join(f"%s::{kind}[]" for kind in _TYPES)
_INSERT_SLOTS = f"""
    INSERT INTO price_slot ({_COLUMNS}) SELECT * FROM unnest({_ARRAYS}) ON CONFLICT DO NOTHING
"""  # noqa: S608 - names of columns and types only
_SAME = " AND ".join(f"s.{name} IS NOT DISTINCT FROM w.{name}" for name in ("context_upto", *_BOUNDS[3:]))
_FIND_SLOTS = f"""
    SELECT w.position, s.id FROM unnest({_ARRAYS}) WITH ORDINALITY AS w ({_COLUMNS}, position)
    JOIN price_slot s USING ({", ".join((*_FACTS, "context_over", "schedule"))}) WHERE {_SAME}
"""  # noqa: S608 - names of columns and types only


def ensure_slots(wanted: Sequence[tuple[SlotKey, Quote]]) -> list[int]:
    """The ids of these slots, in order; missing ones are made, with their unit prices.

    Three statements and no more for any number. Safe when others make the same slots at the same time.
    """
    order = sorted(range(len(wanted)), key=lambda n: repr(wanted[n][0]))
    columns = [list(column) for column in zip(*(_row(wanted[n][0]) for n in order), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_SLOTS, columns)
        cursor.execute(_FIND_SLOTS, columns)
        found = {order[position - 1]: slot for position, slot in cursor.fetchall()}
    ids = [found[n] for n in range(len(wanted))]
    rows = [
        (slot, price, datetime.fromtimestamp(quote.known_from, UTC))
        for slot, (key, quote) in zip(ids, wanted, strict=True)
        for price in meter_prices(quote, from_response_cache=key.facts.from_response_cache)
    ]
    _insert_rates(rows)
    return ids


def rerate_slots(published_at: datetime) -> Rerating:
    """Give every existing slot the unit prices of the book as published now; old ones end here.

    A slot within which the new book changes its price keeps its unit prices and is counted: its calls
    have to be moved to narrower slots first.
    """
    book = load_book()
    current = _current_prices()
    grids: dict[Facts, Grid] = {}
    changed: list[tuple[int, list[MeterPrice]]] = []
    to_split = 0
    for slot in PriceSlot.objects.order_by("id").iterator():
        key = slot_key(slot)
        grid = grids.setdefault(key.facts, Grid(book.tariff(normalise(key.facts))))
        quotes = {quote.signature: quote for quote in map(grid.quote, grid.cells_of(key))}
        if len(quotes) != 1:
            to_split += 1
            continue
        prices = meter_prices(*quotes.values(), from_response_cache=slot.from_response_cache)
        if {_amounts(price) for price in prices} != current.get(slot.pk, set()):
            changed.append((slot.pk, prices))
    SlotRate.objects.filter(slot_id__in=[slot for slot, _ in changed], known_to=None).update(
        known_to=published_at
    )
    _insert_rates([(slot, price, published_at) for slot, prices in changed for price in prices])
    return Rerating(len(changed), to_split)


def slot_key(slot: PriceSlot) -> SlotKey:
    """A stored slot as the arithmetic sees it."""
    facts = Facts(*(getattr(slot, name) for name in _FACTS))
    return SlotKey(
        facts,
        slot.context_over,
        slot.context_upto,
        slot.schedule,
        seconds(slot.effective_from),
        seconds(slot.effective_to),
    )


def _row(key: SlotKey) -> Iterator[object]:
    yield from key.facts
    yield from (key.context_over, key.context_upto, key.schedule)
    for edge in (key.effective_from, key.effective_to):
        yield None if edge is None else datetime.fromtimestamp(edge, UTC)


def _current_prices() -> dict[int, set[tuple[object, ...]]]:
    names = {number: name for name, number in _TOKEN_METER_IDS.items()}
    names |= dict(UnitMeter.objects.values_list("id", "name"))
    current: dict[int, set[tuple[object, ...]]] = {}
    rows = SlotRate.objects.filter(known_to=None)
    for slot, meter, *amounts in rows.values_list(
        "slot_id", "meter_id", "list_price", "effective_price", "saving_price"
    ):
        current.setdefault(slot, set()).add((names[meter], *(amount.normalize() for amount in amounts)))
    return current


def _amounts(price: MeterPrice) -> tuple[object, ...]:
    amounts = (price.list_price, price.effective_price, price.saving_price)
    return (price.meter, *(amount.normalize() for amount in amounts))


def _insert_rates(rows: Sequence[tuple[int, MeterPrice, datetime]]) -> None:
    numbers = meter_ids(price.meter for _, price, _ in rows)
    SlotRate.objects.bulk_create(
        [
            SlotRate(
                slot_id=slot,
                meter_id=numbers[price.meter],
                known_from=known_from,
                list_price=price.list_price,
                contracted_price=price.effective_price,
                effective_price=price.effective_price,
                saving_price=price.saving_price,
                price_id=price.price_id,
            )
            for slot, price, known_from in rows
        ],
        ignore_conflicts=True,
        batch_size=2_000,
    )
