"""How tasks ended: each statement checked, kept once, and the one of each task that counts.

Statements are only ever added, and which of them counts is decided by what they say, never by when they
came. So whatever their order, and however often they are sent, the same ones leave the same state, which
is also why they may wait in the spool while the database is away.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, OuterRef, QuerySet, Subquery

from attribution.ingest import intake
from attribution.ingest.decoding import printable
from attribution.ingest.spool import spool
from attribution.ingest.spool_files import Record
from attribution.models.outcomes import TaskEnd, TaskOutcome
from finops.accounts.permissions import Principal
from finops.core import outage
from finops.core.errors import FieldProblem, InvalidInput, TooLarge, Unavailable
from finops.core.money import ZERO

MOST_OUTCOMES = 10_000
MOST_AHEAD = timedelta(minutes=10)
LONGEST_ID = 128
MOST_DIGITS, MOST_PLACES = 18, 6  # before and after the decimal point
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_FIELDS = frozenset({"task_id", "outcome", "occurred_at", "value_usd", "source"})
_LONGEST_NAME, _MOST_UNKNOWN_FIELDS = 64, 20
# Before Python's own reader, which takes more than RFC 3339: dates alone, weeks, times without an offset.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_ENDS = {end.label: end for end in TaskEnd}
_SPOOLED = "outcomes"
_LONGEST_SECONDS = 20
Json = Any  # as the client sent it


@dataclass(frozen=True, slots=True)
class Sender:
    """In whose name outcomes come. A key bound to a source or a team speaks for its own source only."""

    name: str  # for the record
    source: str = ""  # of outcomes that name none; empty: they must
    is_bound: bool = False
    team: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """One sound outcome."""

    source: str
    task_id: str
    occurred_at: datetime
    outcome: TaskEnd
    value_usd: Decimal | None

    @property
    def rank(self) -> tuple[str, str, datetime, int, bool, Decimal]:
        """The order in which their locks are taken, the same in every process."""
        value = self.value_usd
        return (self.source, self.task_id, self.occurred_at, self.outcome, value is None, value or ZERO)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An outcome that breaks a rule; it is not kept."""

    index: int
    task_id: str | None
    problem: FieldProblem

    def as_dict(self) -> dict[str, Any]:
        return {"index": self.index, "task_id": self.task_id, **self.problem.as_dict()}


@dataclass(slots=True)
class Answered:
    """What became of the outcomes of one request."""

    accepted: int = 0
    duplicates: int = 0
    superseded: int = 0
    spooled: int = 0  # durable on this host's disk, and not in the database yet
    rejected: list[Rejected] = field(default_factory=list)
    unknown_fields: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """The answer to the client."""
        kept = {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "superseded": self.superseded,
        }
        return {
            **({"spooled": self.spooled} if self.spooled else kept),
            "rejected": [one.as_dict() for one in self.rejected],
            "unknown_fields": sorted(self.unknown_fields)[:_MOST_UNKNOWN_FIELDS],
        }


def record(body: Json, sender: Sender) -> Answered:
    """Keep what is sound, durably; say of everything else why not.

    While the database is away they are durable in the spool. Raises InvalidInput for a body without a list
    of outcomes, TooLarge for more than ``MOST_OUTCOMES``, Unavailable (503) when nothing can be made durable.
    """
    answered, statements = Answered(), []
    now = datetime.fromtimestamp(time.time(), UTC)
    for index, item in enumerate(_items(body)):
        try:
            statements.append(_statement(item, sender, now))
        except InvalidInput as error:
            answered.rejected.append(Rejected(index, _shown(item), error.problems[0]))
        if isinstance(item, dict):
            answered.unknown_fields.update(
                printable(name[:_LONGEST_NAME]) for name in item if name not in _FIELDS
            )
    if statements:
        try:
            _keep(statements, sender, now, answered)
        except Unavailable:
            _spool(statements, sender)
            answered.spooled = len(statements)
    return answered


def replay(records: Sequence[Record]) -> None:
    """Keep what was spooled, as received then. Raises Unavailable when the database is away again."""
    for record in records:
        told = record.sender
        _keep(
            [
                Statement(source, task_id, at, TaskEnd(end), value)
                for source, task_id, at, end, value in _decode(record.payload)
            ],
            Sender(told.api_key, team=told.team),
            datetime.fromtimestamp(record.at_us / 1e6, UTC),
            Answered(),
        )


def _spool(statements: Sequence[Statement], sender: Sender) -> None:
    rows = [(one.source, one.task_id, one.occurred_at, int(one.outcome), one.value_usd) for one in statements]
    holder = intake.Sender(sender.source, sender.name, sender.team)
    spool().append(_SPOOLED, holder, _encode(rows), len(rows))


_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, str, datetime, int, Decimal | None]]).decode


def _items(body: Json) -> list[Json]:
    items = body.get("outcomes") if isinstance(body, dict) else body
    if not isinstance(items, list):
        raise InvalidInput.field("outcomes", "required", 'Expected {"outcomes": [...]} or an array of them.')
    if len(items) > MOST_OUTCOMES:
        message = f"More than {MOST_OUTCOMES} outcomes: send them in several requests."
        raise TooLarge(message, [FieldProblem("outcomes", "too_many", message)])
    return items


def _keep(statements: Sequence[Statement], sender: Sender, now: datetime, answered: Answered) -> None:
    ordered = sorted(statements, key=lambda one: one.rank)
    columns: dict[str, Any] = {
        "sources": [one.source for one in ordered],
        "tasks": [one.task_id for one in ordered],
        "times": [one.occurred_at for one in ordered],
        "ends": [int(one.outcome) for one in ordered],
        "values": [one.value_usd for one in ordered],
        "now": now,
        "sent_by": sender.name,
        "team": sender.team,
    }
    try:
        with outage.watched(_LONGEST_SECONDS), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_INSERT, columns)
            new = [row[0] for row in cursor.fetchall()]
            cursor.execute(_LATE, {"new": new})
            answered.superseded = cursor.fetchone()[0]
    except (OperationalError, InterfaceError) as error:
        if not connection.in_atomic_block:
            connection.close()
        outage.note_away(error)
        raise Unavailable("The database is away: nothing was kept. Send the same outcomes again.") from error
    answered.accepted, answered.duplicates = len(new), len(ordered) - len(new)


_INSERT = """
    INSERT INTO task_outcome (source, task_id, occurred_at, outcome, value_usd, received_at, sent_by, team)
    SELECT source, task_id, occurred_at, outcome, value_usd, %(now)s, %(sent_by)s, %(team)s
    FROM unnest(%(sources)s::text[], %(tasks)s::text[], %(times)s::timestamptz[], %(ends)s::smallint[],
                %(values)s::numeric[])
         WITH ORDINALITY AS sent(source, task_id, occurred_at, outcome, value_usd, place)
    ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING id
"""
# Those among the new that do not count, because another on the same task does.
_LATE = """
    SELECT count(*) FROM task_outcome stated
    WHERE stated.id = ANY(%(new)s) AND stated.id <> (
        SELECT other.id FROM task_outcome other
        WHERE other.source = stated.source AND other.task_id = stated.task_id
        ORDER BY other.occurred_at DESC, other.outcome DESC, other.value_usd DESC NULLS LAST
        LIMIT 1
    )
"""


def stated(principal: Principal, *, task_id: str = "", source: str = "") -> QuerySet[TaskOutcome]:
    """What a caller may see: all statements, or those sent with their teams' keys.

    ``counting_id`` of each is the statement of its task that counts.
    """
    found = TaskOutcome.objects.all()
    if principal.visible_teams is not None:
        found = found.filter(team__in=sorted(principal.visible_teams - {""}))
    if task_id:
        found = found.filter(task_id=task_id).extra(
            where=["task_key = hashtextextended(%s, 0)"], params=[task_id]
        )
    if source:
        found = found.filter(source=source)
    counting = (
        TaskOutcome.objects.filter(source=OuterRef("source"), task_id=OuterRef("task_id"))
        .order_by("-occurred_at", "-outcome", F("value_usd").desc(nulls_last=True))
        .values("pk")[:1]
    )
    return found.annotate(counting_id=Subquery(counting))


def _statement(item: Json, sender: Sender, now: datetime) -> Statement:
    """Raises InvalidInput with the first rule that is broken."""
    if not isinstance(item, dict):
        raise InvalidInput.field("", "wrong_type", "Expected a JSON object.")
    source = _text(item, "source", default=sender.source)
    if sender.is_bound and source != sender.source:
        message = f'This key sends for the source "{sender.source}" only.'
        raise InvalidInput.field("source", "source_not_allowed", message)
    return Statement(
        source=source,
        task_id=_text(item, "task_id"),
        occurred_at=_instant(item.get("occurred_at"), now),
        outcome=_end(item.get("outcome")),
        value_usd=_amount(item.get("value_usd")),
    )


def _text(item: dict[str, Json], name: str, *, default: str = "") -> str:
    value = item.get(name)
    if value is None or value == "":
        value = default
    if value == "":
        raise InvalidInput.field(name, "required", "This field is required.")
    if not isinstance(value, str):
        raise InvalidInput.field(name, "wrong_type", "Expected a text.")
    if len(value) > LONGEST_ID:
        raise InvalidInput.field(name, "too_long", f"At most {LONGEST_ID} characters.")
    if not value.isprintable():
        raise InvalidInput.field(name, "not_printable", "Control characters are not allowed.")
    return value


def _end(value: Json) -> TaskEnd:
    if value is None or value == "":
        raise InvalidInput.field("outcome", "required", "This field is required.")
    if not isinstance(value, str) or value not in _ENDS:
        raise InvalidInput.field("outcome", "not_a_choice", f"Expected one of {', '.join(_ENDS)}.")
    return _ENDS[value]


def _instant(value: Json, now: datetime) -> datetime:
    if value is None or value == "":
        raise InvalidInput.field("occurred_at", "required", "This field is required.")
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            found = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value)
        elif isinstance(value, str) and _RFC3339.fullmatch(value):
            found = datetime.fromisoformat(value.upper()).astimezone(UTC)
        else:
            raise ValueError
    except (ValueError, OverflowError):
        message = "Expected an RFC 3339 time with an offset, or epoch milliseconds."
        raise InvalidInput.field("occurred_at", "invalid_time", message) from None
    if found > now + MOST_AHEAD:
        raise InvalidInput.field("occurred_at", "in_the_future", "More than 10 minutes ahead of our clock.")
    if found < EARLIEST:
        message = "Before 2020: a time as a number is in milliseconds since 1970."
        raise InvalidInput.field("occurred_at", "implausible", message)
    return found


def _amount(value: Json) -> Decimal | None:
    """Exact: from a text or a number of JSON, never by way of a binary fraction."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise InvalidInput.field("value_usd", "wrong_type", "Expected an amount as a text or a number.")
    # A number that JSON gives with an exponent has no more digits than it was written with.
    is_near = isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= LONGEST_ID
    text = format(value, "f") if is_near else str(value)
    if not _DECIMAL.fullmatch(text):
        raise InvalidInput.field("value_usd", "invalid", "Expected a decimal such as 12.50.")
    amount = Decimal(text)
    if amount != 0 and amount.adjusted() >= MOST_DIGITS:
        raise InvalidInput.field(
            "value_usd", "out_of_range", f"At most {MOST_DIGITS} digits before the point."
        )
    whole, _, places = text.partition(".")
    if len(places.rstrip("0")) > MOST_PLACES:
        raise InvalidInput.field("value_usd", "too_precise", f"At most {MOST_PLACES} decimal places.")
    return Decimal(whole + "." + places.rstrip("0")) if places.rstrip("0") else Decimal(whole)


def _shown(item: Json) -> str | None:
    task_id = item.get("task_id") if isinstance(item, dict) else None
    return printable(task_id[:LONGEST_ID]) if isinstance(task_id, str) else None
