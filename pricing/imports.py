"""Makes drafts out of what others list: a sheet, or the library. Nothing is applied by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction

from finops.core.errors import Conflict, FieldProblem, InvalidInput
from pricing import drafts, library
from pricing.catalogue import load_book
from pricing.comparing import Comparison
from pricing.conditions import common, conditions_of, span_of
from pricing.models import BookVersion, Price, Rate
from pricing.placing import Room, copy
from pricing.sheets import SheetRow, read_sheet

LIBRARY_LABEL = "library prices"
SHEET_LABEL = "price sheets"
_INSTANT = timedelta(seconds=1)


def next_midnight(now: datetime) -> datetime:
    """When a change applies from where nothing else is said: the next day in UTC."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


@transaction.atomic
def import_sheet(
    content: bytes,
    *,
    name: str,
    by: str,
    apply_from: datetime,
    is_json: bool = False,
    is_complete: bool = False,
    label: str = SHEET_LABEL,
) -> BookVersion:
    """A draft that makes the book read as a sheet does.

    A row with a date holds from then on. One without replaces, from ``apply_from`` on, the price in
    force then, until that would have ended; what the book does not price yet holds at any time. With
    ``is_complete``, prices of its providers that the sheet does not list end at ``apply_from``. Raises
    InvalidInput with all that is wrong, NothingChanged where the book says all of it.
    """
    rows = read_sheet(content, is_json=is_json)
    room = Room.beside(None, {row.priced[0].provider for row in rows})
    problems: list[FieldProblem] = []
    for row in rows:
        price, rates = row.priced
        try:
            room.make_room(price if row.is_dated else _dated(price, rates, room, apply_from), rates)
        except Conflict as error:
            problems.append(FieldProblem(row.place, "overlap", error.detail))
    if problems:
        raise InvalidInput(problems[0].message, problems)
    if is_complete:
        _end_unlisted(room, rows, apply_from)
    return _drafted(room, label=label, by=by, origin=name[:200])


@transaction.atomic
def import_library(
    *,
    by: str,
    apply_from: datetime,
    providers: Iterable[str] = (),
    keeps_first_hand: bool = True,
    label: str = LIBRARY_LABEL,
) -> BookVersion:
    """A draft of what the library lists otherwise than the book: of these providers, or of all it knows.

    With ``keeps_first_hand``, prices that rest on a provider's own page, on a bill or on somebody here
    are not touched; where the library disagrees is said in the draft's note. Raises Conflict where the
    library is not installed, NothingChanged where there is nothing to propose.
    """
    if not library.is_installed():
        raise Conflict(f"The package {library.PACKAGE} is not installed.")
    book = load_book()
    chosen = set(providers) & book.rows.keys() or set(book.rows)
    found = Comparison(book, chosen, apply_from, keeps_first_hand=keeps_first_hand)
    return _drafted(found.room, label=label, by=by, origin=library.name(), note=found.note)


def _drafted(room: Room, *, label: str, by: str, origin: str, note: str = "") -> BookVersion:
    changes = room.changes()
    if not changes.added and not changes.superseded:
        raise drafts.NothingChanged(f"The price book says all of it already. {note}".strip())
    version = drafts.start(label=label, by=by, origin=origin, note=note)
    drafts.write(version, changes, by=by)
    version.refresh_from_db()
    return version


def _dated(price: Price, rates: Sequence[Rate], room: Room, apply_from: datetime) -> Price:
    """From the given day on until the price in force then ends; as it is where the book has none."""
    same = [
        other for other, _ in room.colliding(price, rates) if conditions_of(other) == conditions_of(price)
    ]
    if not same:
        return price
    in_force = [other for other in same if common(span_of(other), (apply_from, apply_from + _INSTANT))]
    end = price.effective_to or (in_force[0].effective_to if in_force else _next_start(same, apply_from))
    return copy(price, (apply_from, end))


def _next_start(prices: Sequence[Price], at: datetime) -> datetime | None:
    later = [price.effective_from for price in prices if price.effective_from and price.effective_from > at]
    return min(later, default=None)


def _end_unlisted(room: Room, rows: Iterable[SheetRow], apply_from: datetime) -> None:
    listed = {conditions_of(row.priced[0]) for row in rows}
    for others in list(room.rows.values()):
        for price, rates in list(others):
            if conditions_of(price) not in listed and common(span_of(price), (apply_from, None)):
                room.cut_short(price, rates, (apply_from, None))
