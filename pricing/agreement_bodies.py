"""An agreement as it is entered: by the API, on a screen. Both are checked here."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from finops.core.errors import FieldProblem
from finops.core.money import ZERO
from finops.core.problems import field_problems
from pricing.changes import Terms
from pricing.facts import Facts, normalise
from pricing.models import Agreement, AgreementBand, AgreementRate, BandMode, VolumeOf
from pricing.price_bodies import METER_NAME
from pricing.shapes import EdgeField, Strict

_LOWER = ("provider", "host", "region", "service_tier", "processing", "speed")
Json = dict[str, Any]  # Any: JSON
_CONDITION: Json = {"default": "", "allow_blank": True}


class AgreedRateBody(Strict):
    """What `per` units of a meter cost, regional factors included."""

    meter = serializers.RegexField(METER_NAME, max_length=64)
    unit_price = serializers.DecimalField(
        max_digits=24, decimal_places=12, min_value=ZERO, help_text="Dollars for `per` units."
    )
    per = serializers.IntegerField(min_value=1, max_value=10**9, default=1_000_000)


class BandBody(Strict):
    """What holds from a volume of a month on: `percent_off` the list, or fixed `rates`."""

    over = serializers.DecimalField(
        max_digits=24,
        decimal_places=6,
        min_value=ZERO,
        default=ZERO,
        help_text="Exclusive; 0: from the first.",
    )
    percent_off = serializers.DecimalField(
        max_digits=9,
        decimal_places=6,
        min_value=ZERO,
        max_value=Decimal(100),
        required=False,
        allow_null=True,
    )
    rates = AgreedRateBody(many=True, required=False)

    def validate_rates(self, rates: list[Json]) -> list[Json]:
        return _each_once(rates)

    def validate(self, attrs: Json) -> Json:
        percent, rates = attrs.get("percent_off"), attrs.get("rates") or []
        if (percent is None) == (not rates):
            message = (
                "Give a percentage or rates." if percent is None else "Give a percentage or rates, not both."
            )
            raise serializers.ValidationError({"percent_off": [message]}, "required")
        return {"over": attrs["over"], "percent_off": percent, "rates": rates}


class AgreementBody(Strict):
    """A percentage off, or fixed rates, for what its conditions name; '' is no condition.

    Say what it comes to beside them, or in `bands`; what `bands` leave out below the lowest is at list price.
    """

    name = serializers.CharField(max_length=128)
    provider = serializers.CharField(max_length=64)
    model = serializers.CharField(
        max_length=256, default="*", help_text="A name, or a pattern with `*`, `?`, `[...]`."
    )
    account = serializers.CharField(max_length=128, help_text="The account that is billed.", **_CONDITION)
    host = serializers.CharField(max_length=64, **_CONDITION)
    region = serializers.CharField(max_length=64, help_text="May be a pattern.", **_CONDITION)
    service_tier = serializers.CharField(max_length=64, **_CONDITION)
    processing = serializers.CharField(max_length=32, help_text="`sync` or `batch`.", **_CONDITION)
    speed = serializers.CharField(max_length=32, **_CONDITION)
    meters = serializers.ListField(
        child=serializers.RegexField(METER_NAME, max_length=64),
        default=list,
        help_text="Only these; empty: all token meters.",
    )
    includes_fees = serializers.BooleanField(default=False, help_text="Also what is charged by the call.")
    percent_off = serializers.DecimalField(
        max_digits=9,
        decimal_places=6,
        min_value=ZERO,
        max_value=Decimal(100),
        required=False,
        allow_null=True,
        help_text="Of the list price after regional factors. Or give `rates`.",
    )
    rates = AgreedRateBody(many=True, required=False, help_text="Fixed; or call them `unit_prices`.")
    unit_prices = AgreedRateBody(many=True, required=False)
    bands = BandBody(many=True, required=False, help_text="By the volume of a calendar month.")
    volume_of = serializers.ChoiceField(VolumeOf.choices, help_text="With `bands`.", **_CONDITION)
    band_mode = serializers.ChoiceField(BandMode.choices, help_text="With `bands`.", **_CONDITION)
    effective_from = EdgeField(required=False, allow_null=True, default=None)
    effective_to = EdgeField(required=False, allow_null=True, default=None, help_text="Exclusive.")
    source = serializers.CharField(max_length=2_000, **_CONDITION)  # type: ignore[assignment]
    note = serializers.CharField(max_length=2_000, **_CONDITION)

    def validate_rates(self, rates: list[Json]) -> list[Json]:
        return _each_once(rates)

    def validate_unit_prices(self, rates: list[Json]) -> list[Json]:
        return _each_once(rates)

    def validate(self, attrs: Json) -> Json:
        for name in _LOWER:
            attrs[name] = attrs[name].strip().lower()
        attrs["service_tier"], attrs["processing"] = _tier(attrs)
        attrs["meters"] = sorted(set(attrs["meters"]))
        attrs["bands"] = self._bands(attrs)
        for name in ("percent_off", "rates", "unit_prices"):
            attrs.pop(name, None)
        self._check_bands(attrs)
        self._check_times(attrs)
        return attrs

    def _bands(self, attrs: Json) -> list[Json]:
        """All bands from the lowest volume up, the one over 0 among them."""
        bands: list[Json] = sorted(attrs.get("bands") or [], key=lambda band: band["over"])
        percent, rates = attrs.get("percent_off"), attrs.get("rates") or attrs.get("unit_prices") or []
        if attrs.get("rates") and attrs.get("unit_prices"):
            raise serializers.ValidationError(
                {"unit_prices": ["These are the rates; give one."]}, "ambiguous"
            )
        if percent is not None and rates:
            raise serializers.ValidationError({"percent_off": ["Give this or rates, not both."]}, "ambiguous")
        if percent is not None or rates:
            if bands and not bands[0]["over"]:
                raise serializers.ValidationError(
                    {"bands": ["What holds from 0 on is said twice."]}, "duplicate"
                )
            return [{"over": ZERO, "percent_off": percent, "rates": rates}, *bands]
        if not bands:
            raise serializers.ValidationError({"percent_off": ["Give this, rates or bands."]}, "required")
        at_list = {"over": ZERO, "percent_off": ZERO, "rates": []}
        return bands if not bands[0]["over"] else [at_list, *bands]

    def _check_bands(self, attrs: Json) -> None:
        bands = attrs["bands"]
        if len({band["over"] for band in bands}) < len(bands):
            raise serializers.ValidationError({"bands": ["Two begin at one volume."]}, "duplicate")
        stated = [{rate["meter"] for rate in band["rates"]} for band in bands]
        if any(meters != stated[0] for meters in stated):
            message = "All bands state a percentage, or all state rates of the same meters."
            raise serializers.ValidationError({"bands": [message]}, "mixed")
        if attrs["meters"] and (beside := sorted(stated[0] - set(attrs["meters"]))):
            message = f"It is not for the meters {', '.join(beside)}, which have rates."
            raise serializers.ValidationError({"meters": [message]}, "mixed")
        for name in ("volume_of", "band_mode"):
            if len(bands) > 1 and not attrs[name]:
                raise serializers.ValidationError({name: ["Bands need this."]}, "required")
            if len(bands) == 1 and attrs[name]:
                raise serializers.ValidationError({name: ["This needs bands over a volume."]}, "no_bands")

    def _check_times(self, attrs: Json) -> None:
        start, end = attrs["effective_from"], attrs["effective_to"]
        if start is not None and end is not None and start >= end:
            raise serializers.ValidationError({"effective_to": ["It must end after it starts."]}, "order")
        for name in ("effective_from", "effective_to"):
            if attrs[name] is not None and attrs[name].microsecond:
                raise serializers.ValidationError({name: ["Give whole seconds."]}, "precision")


def read_agreement(body: object) -> tuple[Terms | None, list[FieldProblem]]:
    """An agreement with its bands, unsaved; or everything that is wrong with it."""
    if not isinstance(body, Mapping):
        return None, [FieldProblem("body", "invalid", "Expected a JSON object.")]
    try:
        said = dict(AgreementBody().run_validation(dict(body)))
    except serializers.ValidationError as error:
        return None, list(field_problems(error.detail))
    bands = [
        (
            AgreementBand(over=band["over"], percent_off=band["percent_off"]),
            [AgreementRate(**rate) for rate in band["rates"]],
        )
        for band in said.pop("bands")
    ]
    return (Agreement(**said), bands), []


def _each_once(rates: list[Json]) -> list[Json]:
    meters = [rate["meter"] for rate in rates]
    if twice := sorted({meter for meter in meters if meters.count(meter) > 1}):
        raise serializers.ValidationError(f"Stated twice: {', '.join(twice)}.", "duplicate")
    return rates


def _tier(attrs: Json) -> tuple[str, str]:
    """Tier and processing under the book's own words; '' stays no condition."""
    tier, processing = attrs["service_tier"], attrs["processing"]
    if not tier:
        return tier, processing
    normal = normalise(Facts(attrs["provider"], "", service_tier=tier, processing=processing))
    return ("", "batch") if tier == "batch" else (normal.service_tier, processing)
