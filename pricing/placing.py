"""Puts prices into a draft beside what the book says already: refuses what collides, or makes room."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from finops.core.errors import Conflict, FieldProblem
from pricing.changes import Changes
from pricing.conditions import (
    Conditions,
    Span,
    collide,
    conditions_of,
    in_words,
    said_by,
    span_in_words,
    span_of,
    without,
)
from pricing.models import BookVersion, Price, Rate, VersionStatus
from pricing.patterns import is_pattern

Priced = tuple[Price, list[Rate]]
_COPIED = (
    "kind", "provider", "model", "service_tier", "processing", "speed", "region", "host", "context_threshold",
    "context_operator", "mode", "schedule", "currency", "evidence", "source", "note",
)  # fmt: skip


@dataclass
class Room:
    """The book as it would be with a draft, while prices are put into it."""

    version: BookVersion | None = None
    rows: dict[Conditions, list[Priced]] = field(default_factory=lambda: defaultdict(list))
    added: list[Priced] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)  # published rows
    dropped: set[int] = field(default_factory=set)  # rows of the draft itself

    @classmethod
    def beside(cls, version: BookVersion | None, providers: Iterable[str]) -> Room:
        """With the published rows that the draft leaves standing, and its own. Two queries."""
        known = Q(version__status=VersionStatus.PUBLISHED, superseded_by=None)
        prices = Price.objects.filter(known)
        if version is not None:
            gone = version.supersessions.exclude(price=None).values("price")
            prices = Price.objects.filter((known & ~Q(pk__in=gone)) | Q(version=version))
        room = cls(version)
        for price in prices.filter(provider__in=set(providers)).prefetch_related("rates"):
            room.rows[_place(price)].append((price, list(price.rates.all())))
        return room

    def colliding(self, price: Price, rates: Sequence[Rate]) -> list[Priced]:
        """The rows beside which it would be open which price applies."""
        return [
            (other, theirs)
            for other, theirs in self.rows[_place(price)]
            if other is not price and collide(price, rates, other, theirs)
        ]

    def add(self, price: Price, rates: list[Rate]) -> None:
        """As it is."""
        self.rows[_place(price)].append((price, rates))
        self.added.append((price, rates))

    def end(self, price: Price) -> None:
        """Take a row out: superseded if it is published, dropped if it belongs to the draft."""
        rows = self.rows[_place(price)]
        rows[:] = [row for row in rows if row[0] is not price]
        left = [row for row in self.added if row[0] is not price]
        if len(left) < len(self.added):
            self.added[:] = left
        elif self.version is not None and price.version_id == self.version.pk:
            self.dropped.add(price.pk)
        else:
            self.ended.add(price.pk)

    def make_room(self, price: Price, rates: list[Rate]) -> None:
        """Add it, and cut what is in its way: rows under the same conditions go on before and after it.

        Where the book says the same already, nothing changes. Raises Conflict for a row that is in the
        way under another pattern, which cannot be cut.
        """
        pieces = [span_of(price)]
        for other, theirs in self.colliding(price, rates):
            if conditions_of(other) != conditions_of(price):
                raise Conflict(collision(price, other).message)
            if said_by(other, theirs) == said_by(price, rates):
                pieces = [left for piece in pieces for left in without(piece, span_of(other))]
        for piece in pieces:
            for other, theirs in self.colliding(copy(price, piece), rates):
                self.cut_short(other, theirs, piece)
            self.add(copy(price, piece), [copy_rate(rate) for rate in rates])

    def cut_short(self, price: Price, rates: Sequence[Rate], hole: Span) -> None:
        """End a row during an interval; it goes on before and after it."""
        self.end(price)
        for piece in without(span_of(price), hole):
            self.add(copy(price, piece), [copy_rate(rate) for rate in rates])

    def changes(self) -> Changes:
        """What is to be written and superseded."""
        return Changes(prices=self.added, ended={Price: sorted(self.ended)})


def collision(price: Price, other: Price, place: str = "prices") -> FieldProblem:
    """The refusal that names the row in the way."""
    number = f"price {other.pk}" if other.pk else "another price given here"
    return FieldProblem(
        place,
        "overlap",
        f"{in_words(price)}, {span_in_words(span_of(price))}, overlaps {number} "
        f"({in_words(other)}, {span_in_words(span_of(other))}).",
    )


def copy(price: Price, span: Span) -> Price:
    """The same price at another time, unsaved."""
    said = {name: getattr(price, name) for name in _COPIED}
    return Price(**said, effective_from=span[0], effective_to=span[1])


def copy_rate(rate: Rate) -> Rate:
    """The same rate, unsaved and of no price."""
    return Rate(meter=rate.meter, unit_price=rate.unit_price, per=rate.per, minimum=rate.minimum)


def _place(price: Price) -> Conditions:
    """Prices that may collide share a place: an exact name with its equals, a pattern with patterns."""
    conditions = conditions_of(price)
    return conditions._replace(model="" if is_pattern(price.model) else conditions.model, region="")
