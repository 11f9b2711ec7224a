"""Exact money: decimals in, decimals out, rounding only where a document is drawn up."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from typing import TypeVar

Key = TypeVar("Key")

ZERO = Decimal(0)
CENT = Decimal("0.01")

# Wide enough that no sum or product of the books is ever rounded by the context.
EXACT = Context(prec=60)


def as_text(amount: Decimal) -> str:
    """The amount as a plain decimal string: exact, no exponent, no trailing zeros."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def to_cents(amount: Decimal) -> Decimal:
    """Rounded half up to cents: for documents and screens only."""
    with localcontext(EXACT):
        return amount.quantize(CENT, ROUND_HALF_UP)


def apportion(total: Decimal, exact: Mapping[Key, Decimal], unit: Decimal = CENT) -> dict[Key, Decimal]:
    """Round each share to whole units so that the shares still sum to ``total``.

    Largest remainder: every share is rounded down, then the units left over go one each to the
    largest remainders, ties broken by the order of ``exact``. ``total`` must be a whole number of
    units and within one unit per share of the exact sum, else ValueError.
    """
    with localcontext(EXACT):
        rounded = {key: amount.quantize(unit, ROUND_FLOOR) for key, amount in exact.items()}
        spare = (total - sum(rounded.values(), ZERO)) / unit
        if spare != int(spare) or not 0 <= spare <= len(rounded):
            raise ValueError(f"{total} is not a rounding of the shares given")
        by_remainder = sorted(exact, key=lambda key: rounded[key] - exact[key])
        for key in by_remainder[: int(spare)]:
            rounded[key] += unit
    return rounded


def round_to_total(exact: Mapping[Key, Decimal], unit: Decimal = CENT) -> dict[Key, Decimal]:
    """Shares rounded so that they sum to the exact sum rounded half up once."""
    with localcontext(EXACT):
        total = sum(exact.values(), ZERO).quantize(unit, ROUND_HALF_UP)
    return apportion(total, exact, unit)
