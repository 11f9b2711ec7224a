"""Answers about one commitment or credit: what it says, how far it is used, how it was corrected."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from attribution.charging.reading import drawdown
from attribution.drawdowns import Drawn, total_of
from pricing import terms
from pricing.commitments import DrawnDay
from pricing.models import Commitment, Credit, CreditKind, Tax, Term
from pricing.shapes import ExactField, InstantField
from pricing.term_shapes import SHAPES, CommitmentShape, CreditShape, TaxShape

Json = dict[str, Any]  # Any: JSON


class DrawnDayShape(serializers.Serializer[DrawnDay]):
    """A day of the term, in dollars."""

    day = serializers.DateField()
    tokens = ExactField(help_text="In scope on that day, as far as nothing before covers them.")
    covered = ExactField(help_text="Usage at contracted prices that was paid for by it.")
    used = ExactField(help_text="What of its own cost took the place of that.")
    unused = ExactField(help_text="What of its own cost nobody used.")
    billed = ExactField(source="purchase", help_text="What is billed for it on that day.")
    left = ExactField(allow_null=True, help_text="What the balance holds after the day.")


class TotalsShape(serializers.Serializer[Json]):
    """So far, in dollars."""

    amortised = ExactField(help_text="What of its cost has become cost of some day: used and unused.")
    covered = ExactField()
    used = ExactField()
    unused = ExactField()
    billed = ExactField()
    left = ExactField(allow_null=True, help_text="What the balance still holds; null for capacity.")
    utilisation = ExactField(
        allow_null=True, help_text="The share used: of what it holds, or of its capacity so far."
    )


class DrawdownShape(serializers.Serializer[Json]):
    """How far it is used, as known now."""

    totals = TotalsShape()
    days = DrawnDayShape(many=True)


class CorrectionShape(serializers.Serializer[Term]):
    """One row of a term that was corrected."""

    id = serializers.IntegerField()
    entered_by = serializers.CharField()
    known_from = InstantField()
    known_to = InstantField(allow_null=True)


class CommitmentDetail(CommitmentShape):
    """With how far it is used; null for whoever sees some teams only."""

    history = CorrectionShape(many=True, help_text="The last first.")
    drawdown = DrawdownShape(allow_null=True)


class CreditDetail(CreditShape):
    """With how far a grant is used; null for a refund, and for whoever sees some teams only."""

    history = CorrectionShape(many=True, help_text="The last first.")
    drawdown = DrawdownShape(allow_null=True)


class TaxDetail(TaxShape):
    history = CorrectionShape(many=True, help_text="The last first.")


def detail(term: Commitment | Credit | Tax, *, sees_use: bool) -> Json:
    """A term, its corrections and, where it has one, its drawdown."""
    told: Json = dict(SHAPES[type(term)](term).data)
    told["history"] = [CorrectionShape(row).data for row in terms.history(term)]
    if not isinstance(term, Tax):
        is_drawn = sees_use and getattr(term, "kind", "") != CreditKind.REFUND
        told["drawdown"] = _drawdown(term) if is_drawn else None
    return told


def _drawdown(term: Drawn) -> Json:
    days = drawdown(term)
    total = total_of(days)
    counted = {name: getattr(total, name) for name in ("amortised", "covered", "used", "unused", "billed")}
    more = {"left": total.left(term), "utilisation": total.utilisation(term)}
    return {
        "totals": TotalsShape({**counted, **more}).data,
        "days": [DrawnDayShape(day).data for day in days],
    }
