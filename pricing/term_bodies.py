"""Commitments, credits and taxes as they are entered: by the API, on a screen. Both are read here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, localcontext
from typing import Any, TypeVar

from rest_framework import serializers

from finops.core.errors import FieldProblem, InvalidInput
from finops.core.money import EXACT, as_text
from finops.core.problems import field_problems
from pricing.fx import checked_currency
from pricing.models import AttributeTo, Commitment, CommitmentKind, Credit, CreditKind, Tax, Term
from pricing.shapes import Strict

Json = dict[str, Any]  # Any: JSON
Entered = TypeVar("Entered", bound=Commitment | Credit | Tax)
_ATTRIBUTE = "attribute_to"
# Other names of fields, as other parts of the product say them.
_ALIASES = {"effective_from": "starts_on", "effective_to": "ends_on"}


def _amount(help_text: str) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=18, decimal_places=6, required=False, allow_null=True, help_text=help_text
    )


class TermBody(Strict):
    """What commitments, credits and taxes have in common."""

    name = serializers.CharField(max_length=128, help_text="Its own among those of its kind.")
    provider = serializers.CharField(max_length=64)
    model = serializers.CharField(
        max_length=256, default="*", help_text="A name, or a pattern with `*`, `?`, `[...]`."
    )
    account = serializers.CharField(
        max_length=128, default="", allow_blank=True, help_text="The account that is billed; '': every one."
    )
    starts_on = serializers.DateField(
        required=False, help_text="The first day, in the reporting zone. Needed; or say `effective_from`."
    )
    ends_on = serializers.DateField(
        required=False, help_text="The first day without it; or say `effective_to`."
    )
    effective_from = serializers.DateField(required=False)
    effective_to = serializers.DateField(required=False)
    currency = serializers.CharField(
        default="USD", help_text="Of the amounts. Converted by the booked rate of the month it starts in."
    )
    team = serializers.CharField(max_length=128, default="", allow_blank=True)
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=2_000, default="", allow_blank=True, help_text="Where it can be looked up."
    )
    note = serializers.CharField(max_length=2_000, default="", allow_blank=True)


class CommitmentBody(TermBody):
    """Spend or capacity bought for a term."""

    kind = serializers.ChoiceField(CommitmentKind.choices)
    host = serializers.CharField(max_length=64, default="", allow_blank=True)
    amount = _amount("Paid in advance, on the first day.")
    credit = _amount("Prepaid: the usage at contracted prices that it buys; left out: as much as `amount`.")
    hourly_price = _amount("Capacity: for an hour of the term; with `units`, of one unit.")
    units = serializers.IntegerField(min_value=1, max_value=10**6, required=False, allow_null=True)
    capacity_per_hour = _amount(
        "Capacity: tokens an hour, in total. Left out: not known; all use is covered."
    )
    capacity_per_unit_hour = _amount("Or tokens an hour of one of the `units`.")
    attribute_unused_to = serializers.ChoiceField(
        AttributeTo.choices,
        default=AttributeTo.NOBODY,
        help_text="Who bears what is not used: nobody (visibly), one `team`, or those who use it, by use.",
    )


class CreditBody(TermBody):
    """What a provider grants or gives back."""

    kind = serializers.ChoiceField(CreditKind.choices)
    amount = serializers.DecimalField(max_digits=18, decimal_places=6)
    attribute_to = serializers.ChoiceField(
        AttributeTo.choices,
        required=False,
        help_text="Of a refund: whose it is, `nobody` or a `team`. A grant is theirs whose use it pays for.",
    )


class TaxBody(TermBody):
    """What is levied on a provider's bill: a percentage of it, or an amount of an invoice."""

    percent = serializers.DecimalField(max_digits=9, decimal_places=6, required=False, allow_null=True)
    amount = _amount("Booked on the first day.")
    attribute_to = serializers.ChoiceField(
        AttributeTo.choices,
        required=False,
        help_text="Of an amount: who bears it, `nobody` or a `team`. A percentage falls on what it is on.",
    )


BODIES: Mapping[type[Term], type[TermBody]] = {Commitment: CommitmentBody, Credit: CreditBody, Tax: TaxBody}


def read_term(kind: type[Entered], body: object) -> Entered:
    """A term, unsaved and not in dollars yet. Raises InvalidInput, naming every field that cannot be read."""
    if not isinstance(body, Mapping):
        raise InvalidInput.field("body", "invalid", "Send a JSON object.")
    check = BODIES[kind](data=dict(body))
    if not check.is_valid():
        _refuse(list(field_problems(check.errors)))
    said: Json = dict(check.validated_data)
    problems = [*_dates(said), *_currency(said)]
    fields = _READERS[kind](said, problems)
    if problems:
        _refuse(problems)
    for name in ("provider", "host"):
        if name in fields:
            fields[name] = fields[name].strip().lower()
    return kind(**fields)


def corrected_body(term: Term, changes: object) -> Json:
    """The body of a term with these changes; what they do not name stays."""
    if not isinstance(changes, Mapping):
        raise InvalidInput.field("body", "invalid", "Send a JSON object.")
    if not changes:
        raise InvalidInput.field("body", "required", "Say what is to be otherwise.")
    named = {_ALIASES.get(name, name) for name in changes}
    kept = {name: value for name, value in body_of(term).items() if name not in named}
    if "capacity_per_unit_hour" in named:
        kept.pop("capacity_per_hour", None)
    if named & {_ATTRIBUTE, "attribute_unused_to"}:
        kept.pop("team", None)
    if isinstance(term, Tax) and named & {"percent", "amount"}:
        kept = {name: value for name, value in kept.items() if name not in ("percent", "amount", _ATTRIBUTE)}
    return {**kept, **changes}


def body_of(term: Term) -> Json:
    """What would have to be sent to say the same; nulls and blanks left out."""
    told: Json = {
        name: getattr(term, name)
        for name in ("name", "provider", "model", "account", "currency", "team", "source", "note")
    }
    told |= {"starts_on": term.starts_on.isoformat(), "ends_on": term.ends_on.isoformat()}
    if isinstance(term, Commitment):
        with localcontext(EXACT):
            hourly = term.hourly / (term.units or 1)
        told |= {
            "kind": term.kind,
            "host": term.host,
            "amount": _text(term.amount or None),
            "credit": _text(term.credit),
            "hourly_price": _text(hourly or None),
            "units": term.units,
            "capacity_per_hour": _text(term.capacity_per_hour),
            "attribute_unused_to": term.attribute_to,
        }
    elif isinstance(term, Credit):
        told |= {"kind": term.kind, "amount": _text(term.amount), _ATTRIBUTE: term.attribute_to}
    elif isinstance(term, Tax):
        told |= {
            "percent": _text(term.percent),
            "amount": _text(term.amount),
            _ATTRIBUTE: term.attribute_to,
        }
    return {name: value for name, value in told.items() if value not in (None, "")}


def _dates(said: Json) -> list[FieldProblem]:
    problems = []
    for alias, name in _ALIASES.items():
        other = said.pop(alias, None)
        if other is not None and said.setdefault(name, other) != other:
            problems.append(
                FieldProblem(alias, "contradiction", f"Another day than {name}; say one of them.")
            )
    if "starts_on" not in said:
        problems.append(FieldProblem("starts_on", "required", "Say its first day."))
    return problems


def _currency(said: Json) -> list[FieldProblem]:
    try:
        said["currency"] = checked_currency(said["currency"])
    except InvalidInput as refused:
        return list(refused.problems)
    return []


def _commitment(said: Json, problems: list[FieldProblem]) -> Json:
    _need_end(said, problems)
    units, each = said.get("units"), said.pop("capacity_per_unit_hour", None)
    if each is not None and units is None:
        problems.append(FieldProblem("units", "required", "Capacity of a unit: of how many units?"))
    if each is not None and said.get("capacity_per_hour") is not None:
        message = "Say the capacity in total or of one unit, not both."
        problems.append(FieldProblem("capacity_per_unit_hour", "contradiction", message))
    said["attribute_to"] = said.pop("attribute_unused_to")
    said["amount"] = said.get("amount") or Decimal(0)
    with localcontext(EXACT):
        said["hourly"] = (said.pop("hourly_price", None) or Decimal(0)) * (units or 1)
        if each is not None and units is not None:
            said["capacity_per_hour"] = each * units
    return said


def _credit(said: Json, problems: list[FieldProblem]) -> Json:
    is_refund = said["kind"] == CreditKind.REFUND
    _need_end(said, problems, at_once=is_refund)
    said.setdefault(_ATTRIBUTE, _usual(said) if is_refund else AttributeTo.USE)
    return said


def _tax(said: Json, problems: list[FieldProblem]) -> Json:
    is_amount = said.get("percent") is None
    _need_end(said, problems, at_once=is_amount)
    said.setdefault(_ATTRIBUTE, _usual(said) if is_amount else AttributeTo.USE)
    return said


_READERS = {Commitment: _commitment, Credit: _credit, Tax: _tax}


def _usual(said: Json) -> AttributeTo:
    return AttributeTo.TEAM if said["team"] else AttributeTo.NOBODY


def _need_end(said: Json, problems: list[FieldProblem], *, at_once: bool = False) -> None:
    """What is booked at once has a day of its own, unless another end is said."""
    start = said.get("starts_on")
    if "ends_on" in said:
        return
    if at_once and isinstance(start, date):
        said["ends_on"] = start + timedelta(days=1)
    elif not at_once:
        problems.append(FieldProblem("ends_on", "required", "Say the first day without it."))


def _refuse(problems: list[FieldProblem]) -> None:
    raise InvalidInput("; ".join(f"{one.field}: {one.message}" for one in problems[:3]), problems)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else as_text(amount)
