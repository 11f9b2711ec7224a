"""What differs between the screens of commitments, credits and taxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.urls import reverse

from attribution.views.terms_forms import CommitmentForm, CreditForm, TaxForm, TermForm
from finops.core.money import as_text
from finops.ui import formats
from finops.ui.formats import Currency
from pricing import fx, terms
from pricing.models import AttributeTo, Commitment, Credit, CreditKind, Tax

AnyTerm = Commitment | Credit | Tax
_WORDS = {
    "starts_on": "from",
    "ends_on": "to",
    "amount_usd": "in dollars",
    "hourly_usd": "an hour in dollars",
    "credit_usd": "credit in dollars",
    "fx_rate": "rate of exchange",
    "attribute_to": "falls on",
    "capacity_per_hour": "tokens an hour",
}


@dataclass(frozen=True, slots=True)
class Screen:
    """One of the three."""

    model: type[AnyTerm]
    form: type[TermForm]
    singular: str
    plural: str
    empty: str  # what such a thing is, where there is none yet

    @property
    def list_name(self) -> str:
        return f"attribution:{self.plural}"

    @property
    def list_url(self) -> str:
        return reverse(self.list_name)

    @property
    def enter_url(self) -> str:
        return reverse(f"{self.list_name}-enter")

    def url_of(self, term: AnyTerm) -> str:
        return reverse(f"attribution:{self.singular}", args=[term.pk])

    def correct_url(self, term: AnyTerm) -> str:
        return reverse(f"attribution:{self.singular}-correct", args=[term.pk])


SCREENS: Mapping[str, Screen] = {
    "commitments": Screen(
        Commitment,
        CommitmentForm,
        "commitment",
        "commitments",
        "Prepaid spend, provisioned throughput, reserved capacity: what is bought for a term, drawn down by "
        "usage, and partly left unused.",
    ),
    "credits": Screen(
        Credit,
        CreditForm,
        "credit",
        "credits",
        "A grant pays for usage until it is used up; a refund comes off the bill at once.",
    ),
    "taxes": Screen(
        Tax,
        TaxForm,
        "tax",
        "taxes",
        "A percentage of a provider's bill, or an amount of one invoice: a line of its own in billed and "
        "effective cost.",
    ),
}


def scope(term: AnyTerm) -> str:
    """What a term is about, as "openai/gpt-5* for account a1 on azure"."""
    words = term.provider if term.model == "*" else f"{term.provider}/{term.model}"
    if term.account:
        words += f" for account {term.account}"
    host = getattr(term, "host", "")
    return f"{words} on {host}" if host else words


def kind_words(term: AnyTerm) -> str:
    """Its kind in a word or two."""
    if isinstance(term, Tax):
        return "Percentage" if term.percent is not None else "Amount"
    return (
        str(term.get_kind_display()).split(":", maxsplit=1)[0]
        if isinstance(term, Commitment)
        else _credit(term)
    )


def price_words(term: AnyTerm) -> list[str]:
    """What is paid, given or levied, as it was entered."""
    if isinstance(term, Tax) and term.percent is not None:
        return [f"{as_text(term.percent)}%"]
    told = []
    if term.amount:
        told.append(entered(term.amount, term.currency))
    if isinstance(term, Commitment) and term.hourly:
        told.append(f"{entered(term.hourly, term.currency)} an hour")
    return told


def entered(amount: Decimal, currency: str) -> str:
    """An amount in the currency it was entered in, to as many digits as it has, at least the minor unit."""
    code = Currency(currency)
    digits = max(code.decimals, -int(amount.normalize().as_tuple().exponent))
    return code.write(amount, digits)


def bearer(term: AnyTerm) -> str:
    """Whom it falls on."""
    if term.team:
        return f"the team {term.team}"
    if term.attribute_to == AttributeTo.NOBODY:
        return "nobody, and stays visibly unattributed"
    if isinstance(term, Credit):
        return "those whose usage it pays for"
    return "those whose charges it is on" if isinstance(term, Tax) else "those who use it, by their use"


def corrections(term: AnyTerm) -> list[tuple[AnyTerm, list[tuple[str, str, str]]]]:
    """Each row of its history, the last first, with what it says otherwise than the one it replaced."""
    rows = terms.history(term)
    told = [terms.as_json(row) for row in rows]
    found = []
    for number, row in enumerate(rows):
        before = told[number + 1] if number + 1 < len(rows) else None
        found.append((row, [] if before is None else _differences(before, told[number])))
    return found


def is_foreign(term: AnyTerm) -> bool:
    """Whether amounts were converted."""
    return term.currency != fx.USD


def _credit(term: Credit) -> str:
    return "Grant" if term.kind == CreditKind.GRANT else "Refund"


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    changed = [name for name in after if before[name] != after[name]]
    if before["currency"] == after["currency"] == fx.USD:
        changed = [name for name in changed if not name.endswith("_usd")]
    return [
        (_WORDS.get(name, name.replace("_", " ")), _said(before[name]), _said(after[name]))
        for name in changed
    ]


def _said(value: object) -> str:
    return "nothing" if value in (None, "") else formats.middle(str(value), 60)
