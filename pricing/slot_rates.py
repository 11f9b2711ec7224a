"""The unit prices of slots in the database: written with the slot, rewritten when the book changes.

A slot within which a new book changes its price is narrowed to a part of constant prices. Whoever keeps
calls moves those that lie outside to the slots they belong to now: see ``SplitSlot``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from django.db import connection

from finops.core.meters import Meter
from finops.core.money import ZERO
from pricing.book import Quote
from pricing.catalogue import published_history, seconds
from pricing.facts import Facts, normalise
from pricing.grid import Cell, Grid, SlotKey
from pricing.history import AS_IF, NEVER, History
from pricing.models import PriceSlot, SlotRate, SplitSlot, UnitMeter
from pricing.rating import each, saving_each

# Held exclusively while a version is published, shared while slots are made: a slot made meanwhile is
# either seen by the publication or made from the new book.
PUBLISHING_LOCK = 7_270_311_801
_AMOUNTS = ("list_price", "contracted_price", "effective_price", "saving_price")
_TOKEN_METER_IDS = {meter.label: int(meter) for meter in Meter}


@dataclass(frozen=True, slots=True)
class MeterPrice:
    """The prices of one meter in one slot; dollars for a single unit.

    Usage costs effectively what was contracted; what commitments make of that is charged beside usage.
    """

    meter: str
    list_price: Decimal
    contracted_price: Decimal
    saving_price: Decimal
    price_id: int
    agreement_id: int | None = None

    @property
    def effective_price(self) -> Decimal:
        return self.contracted_price


# A unit price with the Unix seconds from when to when it was known.
Dated = tuple[MeterPrice, float, float]


@dataclass(frozen=True, slots=True)
class Rerating:
    """What a new version did to existing slots."""

    changed: int
    to_split: int


@dataclass(frozen=True, slots=True)
class Division:
    """A slot, the cells of the grid that it holds, and the one whose calls it keeps if prices differ."""

    slot: int
    key: SlotKey
    grid: Grid
    cells: Sequence[Cell]
    kept: Cell

    @property
    def is_divided(self) -> bool:
        """Whether prices differ within it."""
        return len({self.grid.signature(cell) for cell in self.cells}) > 1

    @property
    def narrowed(self) -> SlotKey:
        """What is left of the slot."""
        return self.grid.box(self.kept, set(self.cells).__contains__)

    def keeping(self, kept: Cell) -> Division:
        """The same with another cell kept."""
        return replace(self, kept=kept)


@dataclass
class Grids:
    """The grids of a history, made when first asked for."""

    history: History
    _made: dict[Facts, Grid] = field(default_factory=dict)

    def of(self, facts: Facts) -> Grid:
        """The grid of these facts."""
        normal = normalise(facts)
        if normal not in self._made:
            self._made[normal] = Grid(normal, self.history.tariffs(normal))
        return self._made[normal]


def meter_prices(quote: Quote, *, from_response_cache: bool) -> list[MeterPrice]:
    """The unit prices that a quote gives a slot; none when nothing prices it.

    A marginal price beyond its threshold depends on the single call and has no unit price: the slot is
    left unpriced. A call answered from the application's own cache costs nothing and saves all.
    """
    if quote.row is None or len(quote.brackets) > 1:
        return []
    prices = []
    for meter, priced in sorted(quote.meters.items()):
        listed, contracted = each(priced.unit_price), each(priced.contracted)
        saving = contracted if from_response_cache else saving_each(meter, quote.meters)
        if from_response_cache:
            listed = contracted = ZERO
        agreement = priced.agreed.id if priced.agreed else None
        prices.append(MeterPrice(meter, listed, contracted, saving, priced.row.id, agreement))
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


_TEXTS = ("provider", "model", "host", "region", "service_tier", "processing", "speed")
_FACTS = (*_TEXTS, "from_response_cache", "account")
_BOUNDS = ("context_over", "context_upto", "schedule", "effective_from", "effective_to")
_TYPES = (*("text",) * len(_TEXTS), "boolean", "text", *("integer",) * 2, "text", *("timestamptz",) * 2)
_COLUMNS = ", ".join(_FACTS + _BOUNDS)
_ARRAYS = ", ".join(f"%s::{kind}[]" for kind in _TYPES)
_INSERT_SLOTS = f"""
    INSERT INTO price_slot ({_COLUMNS}) SELECT * FROM unnest({_ARRAYS}) ON CONFLICT DO NOTHING
    RETURNING id
"""  # noqa: S608 - names of columns and types only
_SAME = " AND ".join(f"s.{name} IS NOT DISTINCT FROM w.{name}" for name in ("context_upto", *_BOUNDS[3:]))
_FIND_SLOTS = f"""
    SELECT w.position, s.id FROM unnest({_ARRAYS}) WITH ORDINALITY AS w ({_COLUMNS}, position)
    JOIN price_slot s USING ({", ".join((*_FACTS, "context_over", "schedule"))}) WHERE {_SAME}
"""  # noqa: S608 - names of columns and types only


def ensure_slots(wanted: Sequence[tuple[SlotKey, Iterable[tuple[float, float, Quote]]]]) -> list[int]:
    """The ids of these slots, in order; missing ones are made, with all unit prices ever known.

    With each key comes its ``Grid.timeline``. Three statements and no more for any number. Safe when
    others make the same slots at the same time.
    """
    order = sorted(range(len(wanted)), key=lambda n: repr(wanted[n][0]))
    columns = [list(column) for column in zip(*(_row(wanted[n][0]) for n in order), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_SLOTS, columns)
        made = {slot for (slot,) in cursor.fetchall()}
        cursor.execute(_FIND_SLOTS, columns)
        found = {order[position - 1]: slot for position, slot in cursor.fetchall()}
    ids = [found[n] for n in range(len(wanted))]
    # Whoever made a slot has given it its prices.
    _insert_rates(
        [
            (slot, *dated)
            for slot, (key, timeline) in zip(ids, wanted, strict=True)
            if slot in made
            for dated in dated_prices(timeline, from_response_cache=key.facts.from_response_cache)
        ]
    )
    return ids


def dated_prices(
    timeline: Iterable[tuple[float, float, Quote]], *, from_response_cache: bool
) -> Iterator[Dated]:
    """The unit prices of a slot with the time each was known; as long as amounts are the same, once."""
    running: dict[str, Dated] = {}
    for known_from, known_to, quote in timeline:
        if known_from >= AS_IF:
            break
        until = known_to if known_to < AS_IF else NEVER
        prices = {p.meter: p for p in meter_prices(quote, from_response_cache=from_response_cache)}
        for meter in list(running):
            if meter not in prices or _amounts(running[meter][0]) != _amounts(prices[meter]):
                yield running.pop(meter)
        for meter, price in prices.items():
            before, since, _ = running.get(meter, (price, known_from, until))
            running[meter] = (before, since, until)
    yield from running.values()


def divisions(grids: Grids, known_before: float) -> list[Division]:
    """The slots, made by what was known before this time, within which prices differ now.

    Each keeps its first cell: the earliest interval and the smallest prompts.
    """
    found = []
    for slot in PriceSlot.objects.order_by("id").iterator():
        division = division_of(slot, grids, known_before)
        if division is not None and division.is_divided:
            found.append(division)
    return found


def narrow(divided: Sequence[Division], at: datetime) -> None:
    """Leave each slot the part that it keeps, and remember that its other calls belong elsewhere.

    Where there is a slot for just that part already, this one keeps nothing. Hold ``PUBLISHING_LOCK``
    alone, for others look slots up by what they hold.
    """
    for division in divided:
        columns = (*_FACTS, *_BOUNDS)
        values = dict(zip(columns, _row(division.narrowed), strict=True))
        if PriceSlot.objects.filter(**values).exclude(pk=division.slot).exists():
            values["schedule"] = f"moved {division.slot}"
        PriceSlot.objects.filter(pk=division.slot).update(**values)
    SplitSlot.objects.bulk_create(
        [
            SplitSlot(
                slot_id=division.slot, at=at, held={name: getattr(division.key, name) for name in _BOUNDS}
            )
            for division in divided
        ]
    )


def cells_held(grid: Grid, split: SplitSlot) -> frozenset[Cell]:
    """The cells that a slot had until it was narrowed."""
    return frozenset(grid.cells_of(SlotKey(grid.facts, **split.held), split.at.timestamp()))


def rerate_slots(published_at: datetime) -> Rerating:
    """Give every existing slot the unit prices of the book as published now; old ones end here.

    A slot within which the new book changes its price is narrowed first, and counted.
    """
    grids = Grids(published_history())
    divided = divisions(grids, published_at.timestamp())
    narrow(divided, published_at)
    kept = {division.slot: division.kept for division in divided}
    current = current_amounts()
    changed: list[tuple[int, list[MeterPrice]]] = []
    for slot in PriceSlot.objects.order_by("id").iterator():
        division = division_of(slot, grids, published_at.timestamp())
        if division is None:
            continue
        quote = division.grid.quote(kept.get(slot.pk, division.kept))
        prices = meter_prices(quote, from_response_cache=slot.from_response_cache)
        if amounts_of(prices) != current.get(slot.pk, set()):
            changed.append((slot.pk, prices))
    SlotRate.objects.filter(slot_id__in=[slot for slot, _ in changed], known_to=None).update(
        known_to=published_at
    )
    now = published_at.timestamp()
    _insert_rates([(slot, price, now, NEVER) for slot, prices in changed for price in prices])
    return Rerating(len(changed), len(divided))


def division_of(slot: PriceSlot, grids: Grids, known_before: float) -> Division | None:
    """The cells that a slot holds; None when it holds nothing any more.

    A slot that was cut by a schedule known only since is named by it.
    """
    key = slot_key(slot)
    grid = grids.of(key.facts)
    cells = grid.cells_of(key, known_before) or grid.cells_of(key)
    return Division(slot.pk, key, grid, cells, cells[0]) if cells else None


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


def current_amounts() -> dict[int, set[tuple[object, ...]]]:
    """Every slot's unit prices as known now, to be compared with ``amounts_of``."""
    names = {number: name for name, number in _TOKEN_METER_IDS.items()}
    names |= dict(UnitMeter.objects.values_list("id", "name"))
    current: dict[int, set[tuple[object, ...]]] = {}
    rows = SlotRate.objects.filter(known_to=None)
    for slot, meter, agreement, *amounts in rows.values_list(
        "slot_id", "meter_id", "agreement_id", *_AMOUNTS
    ):
        said = (names[meter], agreement, *(amount.normalize() for amount in amounts))
        current.setdefault(slot, set()).add(said)
    return current


def amounts_of(prices: Iterable[MeterPrice]) -> set[tuple[object, ...]]:
    """What these prices say, whichever rows of the book they come from, and by which agreements."""
    return {_amounts(price) for price in prices}


def _amounts(price: MeterPrice) -> tuple[object, ...]:
    amounts = (getattr(price, name) for name in _AMOUNTS)
    return (price.meter, price.agreement_id, *(amount.normalize() for amount in amounts))


def _insert_rates(rows: Sequence[tuple[int, MeterPrice, float, float]]) -> None:
    numbers = meter_ids(price.meter for _, price, _, _ in rows)
    SlotRate.objects.bulk_create(
        [
            SlotRate(
                slot_id=slot,
                meter_id=numbers[price.meter],
                known_from=_instant(known_from),
                known_to=None if known_to == NEVER else _instant(known_to),
                list_price=price.list_price,
                contracted_price=price.contracted_price,
                effective_price=price.effective_price,
                saving_price=price.saving_price,
                price_id=price.price_id,
                agreement_id=price.agreement_id,
            )
            for slot, price, known_from, known_to in rows
        ],
        batch_size=2_000,
    )


def _instant(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)
