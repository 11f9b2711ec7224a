"""The querystring as the state of a screen: parsed by allow-list, written in one canonical order.

``?period=last-month&compare=last-year&group=feature&split=model&team=search,support&model=!gpt-4o``

Absent means default, and defaults are never written, so equal views have equal URLs. A condition is a
list of values with commas between (a comma inside a value is ``\\,``); ``!`` in front means none of
them; an empty value means "not given". ``period=custom`` goes with ``from`` and ``to``, half-open as
in the API. What may be grouped and filtered is passed in by the screen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Self
from urllib.parse import quote, urlencode

from django.http import QueryDict

from finops.core.periods import Period
from finops.ui import presets
from finops.ui.presets import Span

COMPARISONS = {"previous": "Period before", "last-year": "Same days last year", "none": "Nothing"}
COSTS = {
    "effective": "Effective cost",
    "contracted": "Contracted cost",
    "list": "List cost",
    "billed": "Billed cost",
}
# Those that tell what was negotiated: a right of their own.
NEGOTIATED = frozenset({"contracted", "billed"})
GRAINS = {"day": "By day", "month": "By month", "hour": "By hour"}
# Written by the form that adds a condition; turned into the condition at once.
ADD, ADD_VALUE, ADD_NOT = "add", "add_value", "add_not"
LONGEST = 5 * 366  # days; beyond that a mistyped year, not a question
# An escaped character, a separator, or a run of plain text; a lone backslash at the end is plain.
_PIECE = re.compile(r"\\.|,|[^\\,]+|\\", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something to group and filter by, under its public name."""

    name: str
    label: str
    plural: str = ""

    @property
    def labels(self) -> str:
        return self.plural or f"{self.label}s"


@dataclass(frozen=True, slots=True)
class Screen:
    """What one screen lets its URL say; every choice's first key is its default."""

    path: str
    dimensions: Sequence[Dimension] = ()
    # Reads further dimensions, which people may add to, when the screen is opened.
    more: Callable[[], Sequence[Dimension]] = tuple
    group: str = ""
    sorts: Sequence[str] = ("-cost",)
    tabs: Sequence[str] = ()
    costs: Sequence[str] = tuple(COSTS)
    period: str = presets.DEFAULT
    # Parameters that pass through unread, such as a page's cursor.
    others: Sequence[str] = ()

    def dimension(self, name: str) -> Dimension:
        return next(dimension for dimension in self.dimensions if dimension.name == name)

    @property
    def names(self) -> list[str]:
        return [dimension.name for dimension in self.dimensions]


class Unknown(Exception):
    """A parameter says something this screen does not know; ``without`` is the view without it."""

    def __init__(self, parameter: str, value: str, known: Iterable[str], without: str) -> None:
        self.parameter, self.value, self.known, self.without = parameter, value, list(known), without
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        if not self.value:
            return f"There is no filter named “{self.parameter}” on this screen."
        return f"“{self.value}” is not something that {self.parameter} can be."


def _values(text: str) -> list[str]:
    """The values of a list with commas between, each without its escapes."""
    values = [""]
    for piece in _PIECE.findall(text):
        if piece == ",":
            values.append("")
        else:
            values[-1] += piece.removeprefix("\\") if len(piece) > 1 else piece
    return values


@dataclass(frozen=True, slots=True)
class Condition:
    """Any of ``values``, or none of them; an empty value stands for "not given"."""

    values: tuple[str, ...]
    negated: bool = False

    @classmethod
    def read(cls, text: str) -> Condition:
        negated = text.startswith("!")
        return cls(tuple(dict.fromkeys(_values(text[1:] if negated else text))), negated)

    def written(self) -> str:
        text = ",".join(re.sub(r"([\\,])", r"\\\1", value) for value in self.values)
        if self.negated:
            return f"!{text}"
        return f"\\{text}" if text.startswith("!") else text

    @property
    def verb(self) -> str:
        return "is not" if self.negated else "is"

    @property
    def words(self) -> str:
        return " or ".join(value or "not given" for value in self.values)

    def with_value(self, value: str) -> Condition:
        return replace(self, values=tuple(dict.fromkeys((*self.values, value))))


@dataclass(frozen=True, slots=True)
class Chip:
    """One condition as it shows above a report, with the link that drops it."""

    text: str
    without: str


@dataclass(frozen=True, slots=True)
class View:
    """One state of one screen. ``with_`` makes neighbours of it, ``url`` its address."""

    screen: Screen
    today: date
    period: str
    custom: Period | None = None
    compare: str = "previous"
    group: str = ""
    split: str = ""
    filters: Mapping[str, Condition] = field(default_factory=dict)
    cost: str = "effective"
    grain: str = ""
    sort: str = ""
    tab: str = ""
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def span(self) -> Span:
        found = presets.span(self.period, self.today, self.custom)
        assert found is not None  # parse and with_ let no other name in
        return found

    @property
    def compared(self) -> Period | None:
        """The days to compare with, or None."""
        if self.compare == "none":
            return None
        return self.span.last_year() if self.compare == "last-year" else self.span.before()

    def with_(self, **changes: Any) -> Self:  # Any: as dataclasses.replace
        return replace(self, **changes)

    def in_period(self, period: Period) -> Self:
        name, custom = presets.name_of(period, self.today)
        return self.with_(period=name, custom=custom, others={})

    def pinned(self) -> Self:
        """The same view that stays the same tomorrow: presets become their days."""
        if self.period == presets.CUSTOM or self.period not in presets.PRESETS:
            return self
        whole = self.span.whole
        if whole.is_whole_month:
            return self.with_(period=f"{whole.first:%Y-%m}", custom=None)
        return self.with_(period=presets.CUSTOM, custom=whole)

    def narrowed(self, dimension: str, value: str | None) -> Self:
        """Only what has this value; None is what has none."""
        return self.with_(filters={**self.filters, dimension: Condition((value or "",))}, others={})

    @property
    def bucket_link(self) -> str:
        """This view's address for one bucket of time, with ``{from}`` and ``{to}`` to be filled in."""
        whole = Period(date.min, date.max)
        address = self.with_(period=presets.CUSTOM, custom=whole, others={}).url
        return address.replace(str(whole.first), "{from}").replace(str(whole.end), "{to}")

    def without(self, dimension: str) -> Self:
        kept = {name: condition for name, condition in self.filters.items() if name != dimension}
        return self.with_(filters=kept, others={})

    @property
    def chips(self) -> list[Chip]:
        return [
            Chip(
                f"{self.screen.dimension(name).label} {condition.verb} {condition.words}",
                self.without(name).url,
            )
            for name, condition in self.filters.items()
        ]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """In canonical order, without defaults."""
        screen = self.screen
        pairs = [("period", self.period if self.period != screen.period else "")]
        if self.custom is not None and self.period == presets.CUSTOM:
            pairs += [("from", self.custom.first.isoformat()), ("to", self.custom.end.isoformat())]
        pairs += [
            ("compare", self.compare if self.compare != "previous" else ""),
            ("group", self.group if self.group != screen.group else ""),
            ("split", self.split),
        ]
        kept = [(name, value) for name, value in pairs if value]
        # A condition on "not given" has an empty value that must be written.
        kept += [(name, self.filters[name].written()) for name in screen.names if name in self.filters]
        rest = [
            ("cost", self.cost if self.cost != screen.costs[0] else ""),
            ("grain", self.grain),
            ("sort", self.sort if self.sort != screen.sorts[0] else ""),
            ("tab", self.tab if self.tab != _first(screen.tabs) else ""),
            *((name, self.others.get(name, "")) for name in screen.others),
        ]
        return kept + [(name, value) for name, value in rest if value]

    @property
    def url(self) -> str:
        query = urlencode(self.parameters, quote_via=quote, safe="!,:/")
        return f"{self.screen.path}?{query}" if query else self.screen.path

    @property
    def hidden_filters(self) -> list[tuple[str, str]]:
        """The conditions as hidden fields of the filter form."""
        return [(name, condition.written()) for name, condition in self.filters.items()]


def parse(screen: Screen, query: QueryDict, today: date) -> View:
    """The view that a querystring asks for. Raises Unknown for the first thing it cannot mean."""
    known = {"period", "from", "to", "compare", "group", "split", "cost", "grain", "sort", "tab"}
    known |= {ADD, ADD_VALUE, ADD_NOT, *screen.names, *screen.others}
    for name in query:
        if name not in known:
            raise Unknown(name, "", screen.names, _without(screen, query, name))
    reader = _Reader(screen, query)
    given = {name: str(query[name]) for name in query}
    period, custom = reader.period(today)
    view = View(
        screen=screen,
        today=today,
        period=period,
        custom=custom,
        compare=reader.choice("compare", COMPARISONS, "previous"),
        group=reader.choice("group", screen.names, screen.group),
        split=reader.choice("split", screen.names, ""),
        filters={name: Condition.read(given[name]) for name in screen.names if name in given},
        cost=reader.choice("cost", screen.costs, screen.costs[0]),
        grain=reader.choice("grain", GRAINS, ""),
        sort=reader.choice("sort", screen.sorts, screen.sorts[0]),
        tab=reader.choice("tab", screen.tabs, _first(screen.tabs)),
        others={name: given[name] for name in screen.others if given.get(name)},
    )
    if view.split == view.group:
        view = view.with_(split="")
    return _with_addition(view, reader)


def is_canonical(view: View, query: QueryDict) -> bool:
    """Whether the querystring is how this view is written; else redirect to ``view.url``."""
    return [(name, value) for name, values in query.lists() for value in values] == view.parameters


@dataclass(frozen=True, slots=True)
class _Reader:
    screen: Screen
    query: QueryDict

    def choice(self, name: str, known: Iterable[str], default: str) -> str:
        value = self.query.get(name) or default
        if value != default and value not in known:
            raise self.unknown(name, value, known)
        return value

    def period(self, today: date) -> tuple[str, Period | None]:
        name = self.query.get("period") or self.screen.period
        custom = self._custom() if name == presets.CUSTOM else None
        try:
            found = presets.span(name, today, custom)
        except ValueError:  # a month that no calendar has, such as year 0
            found = None
        if found is None:
            raise self.unknown("period", name, [*presets.PRESETS, "2026-10", presets.CUSTOM])
        if not date(2000, 1, 1) <= found.whole.first <= date(2100, 1, 1):
            raise self.unknown("period", name, ["days from 2000 to 2100"])
        return name, custom

    def _custom(self) -> Period:
        first, end = self._day("from"), self._day("to")
        if not first < end or (end - first).days > LONGEST:
            raise self.unknown("to", end.isoformat(), [f"a day after {first}, within five years"])
        return Period(first, end)

    def _day(self, name: str) -> date:
        text = self.query.get(name, "")
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise self.unknown(name, text or "nothing", ["a day such as 2026-10-31"]) from None

    def unknown(self, name: str, value: str, known: Iterable[str]) -> Unknown:
        dropped = ("period", "from", "to") if name in ("period", "from", "to") else (name,)
        return Unknown(name, value, known, _without(self.screen, self.query, *dropped))


def _with_addition(view: View, reader: _Reader) -> View:
    """The view with the condition that the "add a filter" form asks for, if it does."""
    name = reader.choice(ADD, view.screen.names, "")
    if not name:
        return view
    value = reader.query.get(ADD_VALUE, "").strip()
    negated = bool(reader.query.get(ADD_NOT))
    present = view.filters.get(name)
    if present is not None and present.negated == negated:
        condition = present.with_value(value)
    else:
        condition = Condition((value,), negated)
    return view.with_(filters={**view.filters, name: condition}, others={})


def _without(screen: Screen, query: QueryDict, *names: str) -> str:
    kept = [(key, value) for key, values in query.lists() for value in values if key not in names]
    return f"{screen.path}?{urlencode(kept)}" if kept else screen.path


def _first(choices: Sequence[str]) -> str:
    return choices[0] if choices else ""
