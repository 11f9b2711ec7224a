"""A price as it is entered: by the API, in a sheet, on a screen. All three are checked here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from rest_framework import serializers

from finops.core.errors import FieldProblem
from pricing.models import ContextMode, ContextOperator, Evidence, Price, PriceKind, Rate
from pricing.placing import Priced
from pricing.schedules import Schedule
from pricing.shapes import EdgeField, Strict

METER_NAME = r"^[a-z][a-z0-9_]*$"
_LOWER = ("provider", "service_tier", "processing", "speed", "region", "host")
_CONDITIONS = {"service_tier": "standard", "processing": "sync", "speed": "standard"}


class RateBody(Strict):
    """What `per` units of a meter cost."""

    meter = serializers.RegexField(
        METER_NAME, max_length=64, help_text="`input`, `cache_read`, `output`, … or a per-call unit."
    )
    unit_price = serializers.DecimalField(
        max_digits=24, decimal_places=12, min_value=Decimal(0), help_text="Dollars for `per` units."
    )
    per = serializers.IntegerField(min_value=1, max_value=10**9, default=1_000_000)
    minimum = serializers.DecimalField(
        max_digits=24,
        decimal_places=6,
        min_value=Decimal(0),
        required=False,
        allow_null=True,
        default=None,
        help_text="The least quantity that a call is charged for.",
    )


class PriceBody(Strict):
    """One price under one set of conditions during one interval."""

    kind = serializers.ChoiceField(PriceKind.choices, default=PriceKind.RATES)
    provider = serializers.CharField(max_length=64)
    model = serializers.CharField(max_length=256, help_text="A name, or a pattern with `*`, `?`, `[...]`.")
    service_tier = serializers.CharField(max_length=64, required=False, allow_blank=True)
    processing = serializers.CharField(max_length=32, required=False, allow_blank=True)
    speed = serializers.CharField(max_length=32, required=False, allow_blank=True)
    region = serializers.CharField(max_length=64, default="", allow_blank=True)
    host = serializers.CharField(max_length=64, default="", allow_blank=True)
    context_threshold = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, allow_null=True, default=None
    )
    context_operator = serializers.ChoiceField(
        ContextOperator.choices, default="", allow_blank=True, help_text="`gt` unless said."
    )
    mode = serializers.ChoiceField(ContextMode.choices, default=ContextMode.WHOLE_REQUEST)
    schedule = serializers.DictField(
        required=False,
        allow_null=True,
        default=None,
        help_text='Daily windows in UTC: `{"name", "windows": [["01:00", "04:00"]], "days", "except"}`.',
    )
    effective_from = EdgeField(required=False, allow_null=True, default=None)
    effective_to = EdgeField(required=False, allow_null=True, default=None)
    rates = RateBody(many=True, allow_empty=False)
    source = serializers.CharField(default="", allow_blank=True, max_length=2_000)  # type: ignore[assignment]
    evidence = serializers.ChoiceField(Evidence.choices, default=Evidence.OWN)
    note = serializers.CharField(default="", allow_blank=True, max_length=2_000)

    def validate_schedule(self, stored: dict[str, Any] | None) -> dict[str, Any] | None:
        if stored is None:
            return None
        try:
            Schedule.parse(stored)
        except KeyError as missing:
            raise serializers.ValidationError(f"A schedule needs {missing}.") from None
        except (TypeError, ValueError) as problem:
            raise serializers.ValidationError(f"No schedule: {problem}.") from None
        return stored

    def validate_rates(self, rates: list[dict[str, Any]]) -> list[dict[str, Any]]:
        meters = [rate["meter"] for rate in rates]
        if twice := sorted({meter for meter in meters if meters.count(meter) > 1}):
            raise serializers.ValidationError(f"Stated twice: {', '.join(twice)}.", "duplicate")
        return rates

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in _LOWER:
            attrs[name] = attrs.get(name, "").strip().lower()
        if attrs["kind"] == PriceKind.FEES:
            self._refuse_conditions(attrs)
        for name, usual in _CONDITIONS.items():
            attrs[name] = attrs[name] or ("" if attrs["kind"] == PriceKind.FEES else usual)
        threshold = attrs["context_threshold"]
        if threshold is None and (attrs["context_operator"] or attrs["mode"] == ContextMode.MARGINAL):
            raise serializers.ValidationError({"context_threshold": ["This needs a threshold."]}, "required")
        if threshold is not None and not attrs["context_operator"]:
            attrs["context_operator"] = ContextOperator.GREATER
        start, end = attrs["effective_from"], attrs["effective_to"]
        if start is not None and end is not None and start >= end:
            raise serializers.ValidationError({"effective_to": ["It must end after it starts."]}, "order")
        for name in ("effective_from", "effective_to"):
            if attrs[name] is not None and attrs[name].microsecond:
                raise serializers.ValidationError({name: ["Give whole seconds."]}, "precision")
        return attrs

    def _refuse_conditions(self, attrs: dict[str, Any]) -> None:
        for name in (*_CONDITIONS, "context_threshold", "schedule"):
            if attrs[name]:
                message = "Fees hold under any condition; leave this out."
                raise serializers.ValidationError({name: [message]}, "not_for_fees")


def read_price(body: object, place: str = "") -> tuple[Priced | None, list[FieldProblem]]:
    """A price and its rates, unsaved; or everything that is wrong with it, each under its place."""
    if not isinstance(body, Mapping):
        return None, [FieldProblem(place or "body", "invalid", "Expected a JSON object.")]
    try:
        said = dict(_check().run_validation(dict(body)))
    except serializers.ValidationError as error:
        return None, list(_problems(error.detail, place))
    rates = [Rate(**rate) for rate in said.pop("rates")]
    return (Price(**said), rates), []


@cache
def _check() -> PriceBody:
    """One for all prices: its fields are copied when it is made, which takes longer than a check."""
    return PriceBody()


def _problems(errors: Any, path: str) -> Iterator[FieldProblem]:  # Any: DRF's nested errors
    if isinstance(errors, Mapping):
        for key, value in errors.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _problems(value, ".".join(part for part in (path, name) if part))
    elif isinstance(errors, list) and any(isinstance(value, Mapping) for value in errors):
        for number, value in enumerate(errors):
            yield from _problems(value, f"{path}.{number}")
    elif isinstance(errors, list):
        for value in errors:
            yield from _problems(value, path)
    else:
        yield FieldProblem(path or "body", getattr(errors, "code", "invalid"), str(errors))
