"""The shapes of commitments, credits, taxes and rates of exchange in the API's answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from pricing.models import AttributeTo, Commitment, CommitmentKind, Credit, CreditKind, FxRate, Tax, Term
from pricing.shapes import ExactField, InstantField

Json = dict[str, Any]  # Any: JSON


class TermQuery(serializers.Serializer[Json]):
    """Which terms to list."""

    provider = serializers.CharField(required=False, max_length=64)
    at = serializers.DateField(required=False, help_text="Terms that hold on this reporting day.")
    as_of = InstantField(required=False, help_text="As they were known at this time; now, if left out.")


class TermShape(serializers.Serializer[Any]):
    """What is said of any term; amounts in the currency they were entered in, and in dollars."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    provider = serializers.CharField()
    model = serializers.CharField(help_text="A name, or a pattern.")
    account = serializers.CharField()
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(help_text="The first day without it.")
    currency = serializers.CharField()
    fx_rate = ExactField(help_text="Units of the currency for a dollar, as booked when it was entered.")
    team = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    note = serializers.CharField()
    entered_by = serializers.CharField()
    known_from = InstantField()
    known_to = InstantField(allow_null=True, help_text="Since when it is corrected or withdrawn.")
    replaces = serializers.IntegerField(source="replaces_id", allow_null=True)
    replaced_by = serializers.SerializerMethodField(help_text="The row that corrects this one.")

    def get_replaced_by(self, term: Term) -> int | None:
        following = getattr(term, "replaced_by", None)
        return following.pk if following else None


class CommitmentShape(TermShape):
    """Spend or capacity bought for a term."""

    kind = serializers.ChoiceField(CommitmentKind.choices)
    host = serializers.CharField()
    amount = ExactField(help_text="Paid in advance.")
    amount_usd = ExactField()
    credit = ExactField(allow_null=True, help_text="Of usage that a prepayment buys; null: as its amount.")
    credit_usd = ExactField(allow_null=True)
    units = serializers.IntegerField(allow_null=True)
    hourly = ExactField(help_text="For an hour of the term, all units.")
    hourly_usd = ExactField()
    capacity_per_hour = ExactField(allow_null=True, help_text="Tokens an hour, all units.")
    attribute_unused_to = serializers.ChoiceField(AttributeTo.choices, source="attribute_to")


class CreditShape(TermShape):
    """What a provider grants or gives back."""

    kind = serializers.ChoiceField(CreditKind.choices)
    amount = ExactField()
    amount_usd = ExactField()
    attribute_to = serializers.ChoiceField(AttributeTo.choices)


class TaxShape(TermShape):
    """What is levied on a provider's bill."""

    percent = ExactField(allow_null=True)
    amount = ExactField(allow_null=True)
    amount_usd = ExactField(allow_null=True)
    attribute_to = serializers.ChoiceField(AttributeTo.choices)


SHAPES: dict[type[Term], type[TermShape]] = {
    Commitment: CommitmentShape,
    Credit: CreditShape,
    Tax: TaxShape,
}


class FxRateShape(serializers.Serializer[FxRate]):
    """How many units of a currency one dollar was in a month."""

    currency = serializers.CharField()
    month = serializers.SerializerMethodField(help_text="As 2026-10.")
    rate = ExactField(help_text="Units of the currency for one dollar.")
    source = serializers.CharField()  # type: ignore[assignment]
    entered_by = serializers.CharField()
    known_from = InstantField()
    known_to = InstantField(allow_null=True)

    def get_month(self, rate: FxRate) -> str:
        return f"{rate.month:%Y-%m}"
