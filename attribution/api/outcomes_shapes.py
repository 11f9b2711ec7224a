"""The shapes of outcomes and revenue, and what is checked of revenue."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from attribution.ingest.rules import SLUG
from attribution.models.outcomes import Revenue, TaskEnd, TaskOutcome
from attribution.outcomes import MOST_OUTCOMES
from pricing.shapes import ExactField, InstantField, Strict

Json = dict[str, Any]  # Any: JSON
_ENDS = tuple(end.label for end in TaskEnd)
_MONTH = r"^20\d\d-(0[1-9]|1[0-2])$"
_CURRENCY = r"^[A-Z]{3}$"


class OutcomeBody(serializers.Serializer[Json]):
    """How one task ended. Checked one by one by ``attribution.outcomes``."""

    task_id = serializers.CharField(max_length=128, help_text="As the task's calls carry it.")
    outcome = serializers.ChoiceField(_ENDS)
    occurred_at = InstantField(help_text="RFC 3339 with an offset, or milliseconds since 1970.")
    value_usd = serializers.DecimalField(
        max_digits=24, decimal_places=6, required=False, allow_null=True, help_text="What it was worth."
    )
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=128,
        required=False,
        help_text="The source of the task's calls. Default: that of the key, or its name.",
    )


class OutcomesBody(serializers.Serializer[Json]):
    outcomes = serializers.ListField(child=OutcomeBody(), max_length=MOST_OUTCOMES)


class RejectedOutcome(serializers.Serializer[Json]):
    """An outcome that breaks a rule; it is not kept."""

    index = serializers.IntegerField()
    task_id = serializers.CharField(allow_null=True)
    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class OutcomesAnswer(serializers.Serializer[Json]):
    """What became of every outcome."""

    accepted = serializers.IntegerField(help_text="New, and durable.")
    duplicates = serializers.IntegerField(help_text="Stated before, word for word.")
    superseded = serializers.IntegerField(
        help_text="Accepted, but kept as history only: a later outcome of the task is known."
    )
    rejected = RejectedOutcome(many=True)
    unknown_fields = serializers.ListField(
        child=serializers.CharField(), help_text="Names that were ignored; at most 20."
    )


class OutcomesSpooled(serializers.Serializer[Json]):
    """PostgreSQL is away: durable on the disk of this host, and kept when it is back."""

    spooled = serializers.IntegerField(help_text="Duplicates among them are found later.")
    rejected = RejectedOutcome(many=True)
    unknown_fields = serializers.ListField(
        child=serializers.CharField(), help_text="Names that were ignored; at most 20."
    )


class OutcomeShape(serializers.ModelSerializer[TaskOutcome]):
    """One statement; ``is_current`` is the one that counts among those of its task."""

    outcome = serializers.SerializerMethodField()
    occurred_at = InstantField()
    received_at = InstantField()
    value_usd = ExactField(allow_null=True)
    is_current = serializers.SerializerMethodField()

    class Meta:
        model = TaskOutcome
        fields = (
            "source",
            "task_id",
            "outcome",
            "occurred_at",
            "value_usd",
            "is_current",
            "received_at",
            "sent_by",
        )

    def get_outcome(self, row: TaskOutcome) -> str:
        return TaskEnd(row.outcome).label

    def get_is_current(self, row: TaskOutcome) -> bool:
        return bool(getattr(row, "counting_id", None) == row.pk)


class OutcomePage(serializers.Serializer[Json]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = OutcomeShape(many=True)


class RevenueBody(Strict):
    """What was earned in a month. Without a tier or feature it is that of all of them."""

    period = serializers.RegexField(_MONTH, help_text="YYYY-MM")
    tier = serializers.RegexField(rf"^{SLUG.pattern}$", max_length=128, required=False, allow_blank=True)
    feature = serializers.RegexField(rf"^{SLUG.pattern}$", max_length=128, required=False, allow_blank=True)
    revenue = serializers.DecimalField(max_digits=24, decimal_places=6)
    active_users = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=10**12)
    currency = serializers.RegexField(_CURRENCY, help_text="ISO 4217")


class RevenueShape(serializers.ModelSerializer[Revenue]):
    """``known_to`` is when it was superseded; null: it holds."""

    revenue = ExactField()
    known_from = InstantField()
    known_to = InstantField(allow_null=True)

    class Meta:
        model = Revenue
        fields = (
            "id",
            "period",
            "tier",
            "feature",
            "currency",
            "revenue",
            "active_users",
            "known_from",
            "known_to",
            "made_by",
        )


class RevenuePage(serializers.Serializer[Json]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = RevenueShape(many=True)
