"""What may be said of a commitment, a credit, a tax: every rule, with the field that breaks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from finops.core.errors import FieldProblem
from pricing.models import AttributeTo, Commitment, CommitmentKind, Credit, CreditKind, Tax, Term

# The amounts of each that are entered in a currency and kept in dollars too.
AMOUNTS: Mapping[type[Term], tuple[str, ...]] = {
    Commitment: ("amount", "hourly", "credit"),
    Credit: ("amount",),
    Tax: ("amount",),
}
EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)  # days are gone through one by one
_HUNDRED = Decimal(100)
_AT_ONCE = "It is booked at once, on the day it starts: it falls on one team or on nobody."


def problems_of(term: Term) -> list[FieldProblem]:
    """Everything that is wrong with a term as it would be entered; fields as the API names them."""
    found = [*_of_any(term)]
    if isinstance(term, Commitment):
        found.extend(_of_prepaid(term) if term.kind == CommitmentKind.PREPAID else _of_capacity(term))
        found.extend(_of_attribution(term, "attribute_unused_to"))
    if isinstance(term, Credit):
        found.extend(_of_credit(term))
    if isinstance(term, Tax):
        found.extend(_of_tax(term))
    return found


def _of_any(term: Term) -> Iterator[FieldProblem]:
    for name in ("name", "provider", "model"):
        if not getattr(term, name):
            yield FieldProblem(name, "required", "This must be said.")
    for name in ("name", "provider", "model", "account"):
        if not getattr(term, name).isprintable():
            yield FieldProblem(name, "invalid", "Printable characters only.")
    if term.starts_on < EARLIEST:
        yield FieldProblem("starts_on", "invalid", f"Not before {EARLIEST}.")
    if term.ends_on > LATEST:
        yield FieldProblem("ends_on", "invalid", f"Not after {LATEST}.")
    if term.ends_on <= term.starts_on:
        yield FieldProblem(
            "ends_on", "order", "It must end after it starts: this is the first day without it."
        )


def _of_prepaid(term: Commitment) -> Iterator[FieldProblem]:
    if term.amount <= 0:
        yield FieldProblem("amount", "required", "Prepaid spend is an amount above 0.")
    if term.credit is not None and term.credit <= 0:
        yield FieldProblem("credit", "invalid", "What it buys is an amount above 0.")
    for name, value in (
        ("hourly_price", term.hourly or None),
        ("units", term.units),
        ("capacity_per_hour", term.capacity_per_hour),
    ):
        if value is not None:
            yield FieldProblem(name, "not_for_prepaid", "Prepaid spend has no hours; leave this out.")


def _of_capacity(term: Commitment) -> Iterator[FieldProblem]:
    if term.credit is not None:
        yield FieldProblem("credit", "not_for_capacity", "Capacity buys no amount of usage; leave this out.")
    if term.amount < 0:
        yield FieldProblem("amount", "invalid", "Not below 0.")
    if term.hourly < 0:
        yield FieldProblem("hourly_price", "invalid", "Not below 0.")
    if not term.amount and not term.hourly:
        message = "Say what it costs: an amount in advance, a price for the hour, or both."
        yield FieldProblem("hourly_price", "required", message)
    if term.capacity_per_hour is not None and term.capacity_per_hour <= 0:
        yield FieldProblem("capacity_per_hour", "invalid", "Tokens an hour, above 0; left out: not known.")
    if term.units is not None and term.units < 1:
        yield FieldProblem("units", "invalid", "At least one.")


def _of_credit(term: Credit) -> Iterator[FieldProblem]:
    if term.amount <= 0:
        yield FieldProblem("amount", "invalid", "An amount above 0: it is taken from the bill.")
    if term.kind == CreditKind.REFUND:
        yield from _of_attribution(term, "attribute_to", at_once=True)
    elif term.attribute_to != AttributeTo.USE or term.team:
        message = "A grant goes to those whose usage it pays for; leave this out."
        yield FieldProblem("attribute_to", "not_for_grant", message)


def _of_tax(term: Tax) -> Iterator[FieldProblem]:
    if (term.percent is None) == (term.amount is None):
        yield FieldProblem("percent", "required", "Say a percentage, or an amount; one of them.")
    elif term.percent is not None:
        if not 0 < term.percent <= _HUNDRED:
            yield FieldProblem("percent", "invalid", "Above 0, at most 100.")
        if term.attribute_to != AttributeTo.USE or term.team:
            message = "A percentage falls on those whose charges it is on; leave this out."
            yield FieldProblem("attribute_to", "not_for_percent", message)
    elif term.amount is not None and term.amount <= 0:
        yield FieldProblem("amount", "invalid", "An amount above 0.")
    if term.percent is None:
        yield from _of_attribution(term, "attribute_to", at_once=True)


def _of_attribution(term: Term, name: str, *, at_once: bool = False) -> Iterator[FieldProblem]:
    if term.attribute_to == AttributeTo.TEAM and not term.team:
        yield FieldProblem("team", "required", "Which team?")
    if term.attribute_to != AttributeTo.TEAM and term.team:
        yield FieldProblem("team", "not_for_this", f'Leave this out, or set {name} to "team".')
    if at_once and term.attribute_to == AttributeTo.USE:
        yield FieldProblem(name, "not_for_this", _AT_ONCE)
