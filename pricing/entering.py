"""Enters prices into a draft: what a desk, a script or a sheet says, beside what the book says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction

from finops.core.errors import FieldProblem, InvalidInput
from pricing import drafts
from pricing.conditions import conditions_of
from pricing.models import BookVersion, Price, VersionStatus
from pricing.placing import Priced, Room, collision

OWN = "own prices"


@transaction.atomic
def enter(
    prices: Sequence[Priced],
    *,
    by: str,
    version: BookVersion | None = None,
    label: str = OWN,
    note: str = "",
    replaces: Iterable[int] = (),
    makes_room: bool = False,
    places: Sequence[str] = (),
) -> BookVersion:
    """Put prices into a draft; into a new one where none is given.

    ``replaces`` names published rows that go altogether. What else is in the way is refused, naming it,
    or with ``makes_room`` cut to the time before and after. ``places`` says where each price was given.
    Raises InvalidInput with a problem for each, Conflict where the draft is none any more.
    """
    version = version or drafts.start(label=label, by=by, note=note)
    room = Room.beside(version, {price.provider for price, _ in prices})
    problems = _end(room, replaces)
    for number, (price, rates) in enumerate(prices):
        place = places[number] if places else f"prices.{number}"
        in_the_way = room.colliding(price, rates)
        if makes_room and all(conditions_of(other) == conditions_of(price) for other, _ in in_the_way):
            room.make_room(price, rates)
        elif in_the_way:
            problems += [collision(price, other, place) for other, _ in in_the_way]
        else:
            room.add(price, rates)
    if problems:
        raise InvalidInput(problems[0].message, problems)
    drafts.write(version, room.changes(), dropped=room.dropped, by=by)
    version.refresh_from_db()
    return version


def _end(room: Room, numbers: Iterable[int]) -> list[FieldProblem]:
    wanted = list(numbers)
    known = Price.objects.filter(
        pk__in=wanted, superseded_by=None, version__status=VersionStatus.PUBLISHED
    ).in_bulk()
    listed = {price.pk: price for rows in room.rows.values() for price, _ in rows}
    problems = []
    for number in wanted:
        if number not in known:
            problems.append(FieldProblem("replaces", "unknown", f"The book has no price {number} in force."))
        else:
            room.end(listed.get(number, known[number]))
    return problems
