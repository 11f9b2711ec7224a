"""The shapes of agreements in the API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from pricing.agreeing import AGREEMENTS
from pricing.agreement_bodies import AgreementBody
from pricing.models import Agreement, AgreementBand, AgreementRate, BandMode, VolumeOf
from pricing.shapes import ExactField, InstantField, Strict
from pricing.version_shapes import PriceVersionShape

Json = dict[str, Any]  # Any: JSON


class AgreementQuery(Strict):
    """Which agreements to list."""

    provider = serializers.CharField(required=False, max_length=64)
    at = InstantField(required=False, help_text="Those that apply to usage at this time.")
    as_of = InstantField(required=False, help_text="As they were known at this time; now, if left out.")
    version = serializers.IntegerField(
        required=False, help_text="Those that this version states, also a draft."
    )
    cursor = serializers.CharField(required=False)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=1_000)


class AgreedRateShape(serializers.Serializer[AgreementRate]):
    """What `per` units of a meter cost, regional factors included."""

    meter = serializers.CharField()
    unit_price = ExactField()
    per = serializers.IntegerField()


class BandShape(serializers.Serializer[AgreementBand]):
    """What holds from a volume of a month on."""

    over = ExactField(help_text="Exclusive.")
    percent_off = ExactField(allow_null=True)
    rates = AgreedRateShape(many=True)


class AgreementShape(serializers.Serializer[Agreement]):
    """One agreement; '' is no condition."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    provider = serializers.CharField()
    model = serializers.CharField(help_text="A name, or a pattern.")
    account = serializers.CharField(allow_blank=True)
    host = serializers.CharField(allow_blank=True)
    region = serializers.CharField(allow_blank=True)
    service_tier = serializers.CharField(allow_blank=True)
    processing = serializers.CharField(allow_blank=True)
    speed = serializers.CharField(allow_blank=True)
    meters = serializers.ListField(child=serializers.CharField())
    includes_fees = serializers.BooleanField()
    volume_of = serializers.ChoiceField(VolumeOf.choices, allow_blank=True)
    band_mode = serializers.ChoiceField(BandMode.choices, allow_blank=True)
    bands = BandShape(many=True, help_text="From the lowest volume up.")
    effective_from = InstantField(allow_null=True)
    effective_to = InstantField(allow_null=True)
    source = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    note = serializers.CharField(allow_blank=True)
    version = serializers.IntegerField(source="version_id")
    known_from = InstantField(source="version.published_at", allow_null=True)
    superseded_by = serializers.IntegerField(source="superseded_by_id", allow_null=True)


class AgreementDraft(Strict):
    """Which draft an agreement goes into, what it replaces, and whether it is put in force at once."""

    version = serializers.IntegerField(required=False, help_text="An open draft; a new one unless said.")
    label = serializers.CharField(max_length=100, default=AGREEMENTS)  # type: ignore[assignment]
    draft_note = serializers.CharField(default="", allow_blank=True, max_length=2_000)
    replaces = serializers.ListField(
        child=serializers.IntegerField(),
        default=list,
        help_text="Agreements in force that it supersedes. To end one, replace it by the same with an"
        " `effective_to`.",
    )
    publish = serializers.BooleanField(
        allow_null=True,
        default=None,
        help_text="Unless said: review and publish at once where no booked usage would be priced otherwise,"
        " and it does not go into a `version`. `true`: answer 409 where that cannot be. `false`: only draft.",
    )


class NewAgreement(AgreementDraft, AgreementBody):
    """An agreement, and the draft that it goes into."""


class AgreementEntered(serializers.Serializer[Json]):
    """The version that it is in, and the agreement."""

    version = PriceVersionShape()
    agreement = AgreementShape()
    waits = serializers.CharField(allow_blank=True, help_text="Why it is not in force, and what to do.")
