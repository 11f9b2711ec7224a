"""From a query string to a question to the books; every fault of it is named at once."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.http import QueryDict

from attribution.cost_query import DEFAULT_MEASURES, DOLLARS, CostQuery, Filter, Granularity
from finops.core.errors import FieldProblem, InvalidInput
from finops.core.periods import Period
from pricing.fx import checked_currency

Value = TypeVar("Value")

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)
# Above this an answer by the hour is no answer any more.
MOST_DAYS_BY_HOUR = 93


class Parameters:
    """Reads parameters one by one and collects what is wrong with them."""

    def __init__(self, given: QueryDict, known: Sequence[str]) -> None:
        self.given = given
        self.problems = [
            FieldProblem(name, "unknown", f"There is no parameter {name}.")
            for name in given
            if name not in known
        ]

    def read(self, name: str, parse: Callable[[str], Value], default: Value) -> Value:
        """One value; ``default`` when it is absent, or when ``parse`` (ValueError) refuses it."""
        text = self.given.get(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.refuse(name, "invalid", str(error))
            return default

    def words(self, name: str) -> tuple[str, ...]:
        """Comma-separated words, from one or several parameters of that name."""
        words = (word.strip() for text in self.given.getlist(name) for word in text.split(","))
        return tuple(word for word in words if word)

    def period(self, default: Period | None = None) -> Period:
        """``from`` and ``to``, half-open, in days of the reporting zone; required without a default."""
        first = self.read("from", _day, default.first if default else None)
        end = self.read("to", _day, default.end if default else None)
        for name, value in (("from", first), ("to", end)):
            if value is None and name not in self.given:
                self.refuse(name, "required", f"{name} is required: a date such as 2026-10-01.")
        if first is None or end is None:
            return Period(EARLIEST, EARLIEST)
        if end <= first:
            self.refuse("to", "out_of_range", "to must be after from: the range is half-open.")
            return Period(EARLIEST, EARLIEST)
        return Period(first, end)

    def filters(self) -> dict[str, Filter]:
        """``filter=dimension:value,value``, repeated; ``!dimension`` keeps the others.

        An empty value stands for "not given": ``team:`` is what has no team.
        """
        filters: dict[str, Filter] = {}
        for text in self.given.getlist("filter"):
            name, colon, values = text.partition(":")
            negated = name.startswith("!")
            name = name.removeprefix("!").strip()
            if not colon or not name:
                self.refuse("filter", "invalid", f'"{text}" does not read dimension:value,value.')
            elif name in filters:
                self.refuse("filter", "repeated", f"{name} is filtered by twice; list its values in one.")
            else:
                words = _words(values)
                chosen = tuple(word for word in words if word)
                filters[name] = Filter(chosen, negated, empty="" in words)
        return filters

    def refuse(self, name: str, code: str, message: str) -> None:
        """Remember one fault."""
        self.problems.append(FieldProblem(name, code, message))

    def check(self, also: Sequence[FieldProblem] = ()) -> None:
        """Raises InvalidInput when anything was wrong."""
        problems = [*self.problems, *also]
        if problems:
            raise InvalidInput("; ".join(problem.message for problem in problems), problems)


COST_PARAMETERS = (
    "from",
    "to",
    "granularity",
    "group_by",
    "filter",
    "measures",
    "currency",
    "as_of",
)


def cost_query(given: QueryDict, visible_teams: frozenset[str] | None) -> CostQuery:
    """The question of ``GET /api/v1/costs``. Raises InvalidInput."""
    parameters = Parameters(given, COST_PARAMETERS)
    period = parameters.period()
    granularity = parameters.read("granularity", _granularity, Granularity.TOTAL)
    if granularity == Granularity.HOUR and period.days > MOST_DAYS_BY_HOUR:
        message = f"Ask for at most {MOST_DAYS_BY_HOUR} days by the hour."
        parameters.refuse("granularity", "too_fine", message)
    filters = parameters.filters()
    as_of = parameters.read("as_of", instant, None)
    currency = parameters.read("currency", _currency, DOLLARS)
    try:
        query = CostQuery(
            period=period,
            granularity=granularity,
            group_by=parameters.words("group_by"),
            filters=filters,
            measures=tuple(dict.fromkeys(parameters.words("measures"))) or DEFAULT_MEASURES,
            as_of=as_of,
            visible_teams=visible_teams,
            currency=currency,
        )
    except InvalidInput as error:
        parameters.check(error.problems)
        raise
    parameters.check()
    return query


def instant(text: str) -> datetime:
    """An RFC 3339 time with its offset, in UTC. Raises ValueError with a sentence."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f'"{text}" is not a time such as 2026-10-01T12:00:00Z.') from error
    if found.tzinfo is None:
        raise ValueError("A time needs its offset from UTC, such as 2026-10-01T12:00:00Z.")
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("That time is before the year 1 or after 9999.") from error


def last_days(days: int) -> Period:
    """The default of lists of calls: so many days up to and with today."""
    today = datetime.now(settings.REPORTING_TIME_ZONE).date()
    return Period(today - timedelta(days=days - 1), today + timedelta(days=1))


def whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number in a range."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
            raise ValueError(f"Give a whole number from {least} to {most}.")
        return int(text)

    return parse


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f'"{text}" is not a date such as 2026-10-01.') from error
    if not EARLIEST <= found <= LATEST:
        raise ValueError(f"Dates are from {EARLIEST} to {LATEST}.")
    return found


def _granularity(text: str) -> Granularity:
    try:
        return Granularity(text)
    except ValueError as error:
        raise ValueError(f'"{text}" is not one of: {", ".join(Granularity)}.') from error


def _currency(text: str) -> str:
    try:
        return checked_currency(text)
    except InvalidInput as error:
        raise ValueError(error.detail) from error


def _words(text: str) -> list[str]:
    """Values between commas; one that contains a comma is quoted, as in CSV."""
    return next(csv.reader([text]), [""]) or [""]
