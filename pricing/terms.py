"""Commitments, credits and taxes: entered, corrected, ended early, withdrawn; no row ever changes.

A correction is a further row; the one that it replaces keeps what it said, and until when that was known.
Amounts are entered in a currency and converted once, by the booked rate of the month of ``starts_on``: a
correction keeps that rate unless it moves the start to another month or changes the currency.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from finops.accounts import audit
from finops.core.errors import Conflict, FieldProblem, InvalidInput, NotFound
from finops.core.money import as_text
from pricing import fx
from pricing.models import Commitment, CommitmentKind, Credit, Tax, Term
from pricing.term_rules import AMOUNTS, problems_of

Entered = TypeVar("Entered", bound=Commitment | Credit | Tax)
IsTeam = Callable[[str], bool]
_LARGEST = Decimal(10) ** 18  # what an amount in dollars stays below
# What a row says of itself, not of what was agreed.
_BOOKKEEPING = frozenset({"id", "entered_by", "known_from", "known_to", "replaces"})


@transaction.atomic
def enter(term: Entered, *, by: str, is_team: IsTeam) -> Entered:
    """Enter what was agreed. ``is_team`` says whether a slug is that of a team.

    Raises InvalidInput, naming every field that is wrong; NoRateBooked; Conflict for a name that is taken.
    """
    _check(term, is_team)
    _convert(term, None)
    _save(term, by, timezone.now())
    _record(by, "entered", None, term)
    return term


@transaction.atomic
def correct(number: int, term: Entered, *, by: str, is_team: IsTeam) -> Entered:
    """Put ``term`` in the place of a row; the same again changes nothing.

    Raises NotFound, Conflict where the row was replaced already, and what ``enter`` raises.
    """
    before = _in_force(type(term), number)
    _check(term, is_team)
    _convert(term, before)
    if _said(term) == _said(before):
        return before
    return _replace(before, term, by, "corrected")


@transaction.atomic
def end(kind: type[Entered], number: int, ends_on: date, *, by: str) -> Entered:
    """Let a term end earlier than was agreed; ``ends_on`` is the first day without it.

    Raises NotFound, Conflict where the row was replaced already, and InvalidInput.
    """
    before = _in_force(kind, number)
    if not before.starts_on < ends_on < before.ends_on:
        message = f"It must end after {before.starts_on} and before {before.ends_on}."
        raise InvalidInput.field("ends_on", "order", message)
    term = kind(**{name: getattr(before, name) for name in _names(kind)})
    term.ends_on = ends_on
    return _replace(before, term, by, "ended")


@transaction.atomic
def withdraw(kind: type[Entered], number: int, *, by: str, reason: str) -> Entered:
    """Take back what should not have been entered at all. Raises NotFound, Conflict, InvalidInput."""
    before = _in_force(kind, number)
    if not reason.strip():
        raise InvalidInput.field("reason", "required", "Say why; it is in the audit log for good.")
    _close(before, timezone.now())
    _record(by, "withdrawn", before, None, reason=reason.strip())
    return before


def find(kind: type[Entered], number: int) -> Entered:
    """Any row, in force or replaced. Raises NotFound."""
    found: Entered | None = kind.objects.filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no {kind._meta.verbose_name} {number}.")
    return found


def history(term: Entered) -> list[Entered]:
    """A term as it was entered and corrected, the last first; a query for each."""
    rows = [term]
    while (following := type(term).objects.filter(replaces=rows[0]).first()) is not None:
        rows.insert(0, following)
    while rows[-1].replaces_id is not None:
        rows.append(find(type(term), rows[-1].replaces_id))
    return rows


def as_json(term: Term) -> dict[str, Any]:
    """What was agreed, for the audit log."""
    return {name: _plain(value) for name, value in _said(term).items()}


def _in_force(kind: type[Entered], number: int) -> Entered:
    found: Entered | None = kind.objects.select_for_update().filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no {kind._meta.verbose_name} {number}.")
    if found.known_to is not None:
        following = kind.objects.filter(replaces=found).values_list("pk", flat=True).first()
        instead = f"replaced by {following}" if following else "withdrawn"
        raise Conflict(f"{found} ({number}) was {instead} at {found.known_to:%Y-%m-%dT%H:%M:%SZ}.")
    return found


def _check(term: Entered, is_team: IsTeam) -> None:
    problems = problems_of(term)
    if term.team and not is_team(term.team):
        problems.append(FieldProblem("team", "unknown", f'There is no team "{term.team}".'))
    if problems:
        raise InvalidInput("; ".join(f"{one.field}: {one.message}" for one in problems[:3]), problems)


def _convert(term: Term, before: Term | None) -> None:
    """Amounts in dollars; by the rate that ``before`` was converted by where currency and month stay."""
    if before is not None and _rate_key(before) == _rate_key(term):
        term.fx_rate = before.fx_rate
    else:
        _, term.fx_rate = fx.to_usd(Decimal(0), term.currency, term.starts_on)
    for name in AMOUNTS[type(term)]:
        amount = getattr(term, name)
        usd = None if amount is None else fx.converted(amount, term.fx_rate)
        if usd is not None and (usd >= _LARGEST or (amount and not usd)):
            message = f"At {as_text(term.fx_rate)} {term.currency} a dollar this is no amount in dollars."
            raise InvalidInput.field(name, "invalid", message)
        setattr(term, f"{name}_usd", usd)
    if isinstance(term, Commitment) and term.kind == CommitmentKind.PREPAID and term.credit is None:
        term.credit_usd = term.amount_usd


def _rate_key(term: Term) -> tuple[str, int, int]:
    return term.currency, term.starts_on.year, term.starts_on.month


def _replace(before: Entered, term: Entered, by: str, done: str) -> Entered:
    now = timezone.now()
    _close(before, now)
    term.replaces = before
    _save(term, by, now)
    _record(by, done, before, term)
    return term


def _close(term: Term, now: datetime) -> None:
    term.known_to = now
    term.save(update_fields=["known_to"])


def _save(term: Term, by: str, now: datetime) -> None:
    term.entered_by, term.known_from = by, now
    try:
        with transaction.atomic():
            term.save(force_insert=True)
    except IntegrityError as error:
        if "has_a_name_of_its_own" not in str(error):
            raise
        message = f'There is already a {term._meta.verbose_name} "{term.name}".'
        raise Conflict(message, [FieldProblem("name", "taken", message)]) from error


def _record(by: str, done: str, before: Term | None, after: Term | None, **more: str) -> None:
    term = after or before
    assert term is not None
    kind = str(term._meta.model_name)
    audit.record(
        by,
        f"{kind}.{done}",
        subject_kind=kind,
        subject=term.name,
        before=None if before is None else as_json(before),
        after=more or None if after is None else as_json(after),
    )


def _said(term: Term) -> dict[str, Any]:  # Any: the values of its fields
    return {name: getattr(term, name) for name in _names(type(term))}


def _names(kind: type[models.Model]) -> list[str]:
    return [field.name for field in kind._meta.concrete_fields if field.name not in _BOOKKEEPING]


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return as_text(value)
    return value.isoformat() if isinstance(value, date) else value
