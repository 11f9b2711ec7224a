"""The shapes of the price API: what is asked, checked field by field, and what is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from finops.core.meters import USAGE_FIELDS
from finops.core.money import as_text
from pricing.models import ContextMode, Evidence, Price, PriceKind
from pricing.rating import Status
from pricing.raw_usage import FLAVOURS

_LARGEST = 10**9
_UNIT_NAME = r"^[a-z][a-z0-9_]*$"


@extend_schema_field(OpenApiTypes.DATETIME)
class InstantField(serializers.Field[datetime, Any, str, Any]):
    """RFC 3339 with an offset, or milliseconds since 1970; UTC out."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": "Give a time as RFC 3339 with its offset, or as milliseconds since 1970.",
        "naive": "A time needs its offset from UTC, such as 2026-10-01T12:00:00Z.",
    }

    def to_internal_value(self, data: Any) -> datetime:
        try:
            if isinstance(data, int) and not isinstance(data, bool):
                return datetime.fromtimestamp(data / 1000, UTC)
            instant = datetime.fromisoformat(data)
        except (TypeError, ValueError, OverflowError, OSError):
            self.fail("invalid")
        if instant.tzinfo is None:
            self.fail("naive")
        try:
            return instant.astimezone(UTC)
        except OverflowError:
            self.fail("invalid")

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@extend_schema_field({"type": "string", "example": "2026-11-01T00:00:00Z"})
class EdgeField(InstantField):
    """Where an interval of the book begins or ends: an instant, or a day, which is its first in UTC."""

    def to_internal_value(self, data: Any) -> datetime:
        is_day = isinstance(data, str) and len(data) == len("2026-11-01")
        return super().to_internal_value(f"{data}T00:00:00Z" if is_day else data)


@extend_schema_field({"type": "string", "format": "decimal", "example": "0.0000025"})
class ExactField(serializers.Field[Decimal, Any, str, Any]):
    """An exact decimal as a string: no exponent, no trailing zeros."""

    def to_representation(self, value: Decimal) -> str:
        return as_text(value)


class Strict(serializers.Serializer[dict[str, Any]]):
    """Refuses names it does not know: a misspelt count would silently be zero."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        known: dict[str, Any] = super().to_internal_value(data)
        if unknown := [name for name in data if name not in self.fields]:
            raise serializers.ValidationError(
                {name: ["There is no such field."] for name in unknown}, "unknown"
            )
        return known


class UsageShape(Strict):
    """Tokens under their wire names: totals inclusive, the rest subsets; per-call units by name."""

    units = serializers.DictField(
        child=serializers.DecimalField(max_digits=24, decimal_places=6, min_value=Decimal(0)),
        required=False,
        help_text="Per-call units such as `web_search_calls`, `audio_seconds`, `characters`.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        count = serializers.IntegerField
        tokens = {name: count(min_value=0, max_value=_LARGEST, required=False) for name in USAGE_FIELDS}
        return {**tokens, **super().get_fields()}


class RateRequest(Strict):
    """One call to rate. Give `usage`, or `raw_usage` with `api_flavor`."""

    provider = serializers.CharField(max_length=64)
    model = serializers.CharField(max_length=256)
    occurred_at = InstantField(help_text="When the call completed.")
    usage = UsageShape(required=False)
    usage_semantics = serializers.ChoiceField(
        ["inclusive", "anthropic"],
        default="inclusive",
        help_text="`anthropic`: the input total leaves out cache reads and writes.",
    )
    raw_usage = serializers.DictField(
        required=False, help_text="The provider's own usage object, or its whole answer."
    )
    api_flavor = serializers.ChoiceField(FLAVOURS, required=False)
    service_tier = serializers.CharField(
        max_length=64, required=False, default="", allow_blank=True, help_text="As served, not as asked."
    )
    processing = serializers.CharField(max_length=32, required=False, default="", allow_blank=True)
    speed = serializers.CharField(max_length=32, required=False, default="", allow_blank=True)
    region = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    host = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    account = serializers.CharField(
        max_length=128,
        required=False,
        default="",
        allow_blank=True,
        help_text="The provider's account that is billed.",
    )
    response_cache = serializers.ChoiceField(["hit", "miss"], required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "usage" not in attrs and "raw_usage" not in attrs:
            raise serializers.ValidationError(
                {"usage": ["Give usage, or raw_usage with api_flavor."]}, "required"
            )
        if "raw_usage" in attrs and "api_flavor" not in attrs:
            raise serializers.ValidationError(
                {"api_flavor": ["raw_usage needs it, to be read by."]}, "required"
            )
        if "usage" in attrs and not attrs["usage"]:
            raise serializers.ValidationError({"usage": ["Give at least one count."]}, "required")
        return attrs


class AgreementReference(serializers.Serializer[Any]):
    """The agreement that makes the contracted price."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class LineShape(serializers.Serializer[dict[str, Any]]):
    """One meter of the call; prices and costs are null where no price is known."""

    meter = serializers.CharField()
    quantity = ExactField()
    unit_price = ExactField(allow_null=True, help_text="The list's: dollars for a single unit.")
    cost = ExactField(allow_null=True, help_text="At the list price.")
    contracted_unit_price = ExactField(
        allow_null=True,
        help_text="What was negotiated; the list's where nothing was. Null: not for your eyes.",
    )
    contracted_cost = ExactField(allow_null=True)
    agreement = AgreementReference(source="agreed", allow_null=True)


class PriceReference(serializers.Serializer[dict[str, Any]]):
    """The price that was applied."""

    id = serializers.IntegerField()
    provider = serializers.CharField()
    model = serializers.CharField()
    effective_from = InstantField(allow_null=True)
    effective_to = InstantField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]
    evidence = serializers.ChoiceField(Evidence.choices)


class RateAnswer(serializers.Serializer[dict[str, Any]]):
    """What the call costs; costs leave out what has no price, and are null when nothing has one."""

    status = serializers.ChoiceField([status.value for status in Status])
    currency = serializers.CharField()
    cost = ExactField(allow_null=True, help_text="At list prices, whatever was negotiated.")
    contracted_cost = ExactField(
        allow_null=True, help_text="After agreements, before volume bands. Null: not for your eyes."
    )
    cache_savings = ExactField(
        help_text="At contracted prices, against the same tokens without caching; negative for cache writes."
    )
    lines = LineShape(many=True)
    price = PriceReference(allow_null=True)
    reason = serializers.CharField(allow_blank=True, help_text="Why nothing is priced, else empty.")


class PriceQuery(serializers.Serializer[dict[str, Any]]):
    """Which prices to list."""

    provider = serializers.CharField(required=False, max_length=64)
    model = serializers.CharField(required=False, max_length=256)
    at = InstantField(required=False, help_text="Prices that apply to usage at this time.")
    as_of = InstantField(required=False, help_text="As the book was known at this time; now, if left out.")


class RateShape(serializers.Serializer[Any]):
    """What `per` units of a meter cost."""

    meter = serializers.CharField()
    unit_price = ExactField()
    per = serializers.IntegerField()
    minimum = ExactField(allow_null=True, help_text="The least quantity that a call is charged for.")


class PriceShape(serializers.Serializer[Price]):
    """One price of the book."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(PriceKind.choices)
    provider = serializers.CharField()
    model = serializers.CharField(help_text="A name, or a pattern.")
    service_tier = serializers.CharField()
    processing = serializers.CharField()
    speed = serializers.CharField()
    region = serializers.CharField()
    host = serializers.CharField()
    context_threshold = serializers.IntegerField(allow_null=True)
    context_operator = serializers.CharField(help_text="`gt`: above the threshold; `ge`: from it on.")
    mode = serializers.ChoiceField(ContextMode.choices)
    schedule = serializers.JSONField(allow_null=True)
    currency = serializers.CharField()
    effective_from = InstantField(allow_null=True)
    effective_to = InstantField(allow_null=True)
    rates = RateShape(many=True)
    source = serializers.CharField()  # type: ignore[assignment]
    evidence = serializers.ChoiceField(Evidence.choices)
    note = serializers.CharField()
    version = serializers.IntegerField(source="version_id")
    known_from = InstantField(source="version.published_at")
    superseded_by = serializers.IntegerField(source="superseded_by_id", allow_null=True)
