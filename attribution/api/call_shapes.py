"""The shapes of single calls and of their explanation."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from rest_framework import serializers

from attribution.call_costs import CallCost, CostLine
from attribution.calls import NAMES, Call
from attribution.cost_query import TOKENS
from attribution.explanations import Explanation
from attribution.models.events import CallStatus
from finops.core.meters import FIRST_UNIT_METER
from finops.core.money import as_text
from pricing.models import Agreement, Price, PriceSlot
from pricing.rating import Status
from pricing.shapes import ExactField, InstantField

_OWNERS = ("team", "cost_centre", "business_unit", "feature", "tier")
_NAMES = tuple(name for name in NAMES if name != "source")
_WIRE_TOKENS = tuple(name for name in TOKENS if name != "uncached_input_tokens")


class CallCostsShape(serializers.Serializer[dict[str, Any]]):
    """Exact amounts; null where nothing is priced, or (contracted) not for the caller's eyes."""

    list_cost = ExactField(allow_null=True)
    contracted_cost = ExactField(allow_null=True)
    effective_cost = ExactField(allow_null=True)
    cache_savings = ExactField(allow_null=True)


class PriceReferenceShape(serializers.Serializer[dict[str, Any]]):
    """A row of the price book."""

    id = serializers.IntegerField()
    effective_from = InstantField(allow_null=True)
    effective_to = InstantField(allow_null=True)
    published_at = InstantField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]


class AgreementReferenceShape(serializers.Serializer[dict[str, Any]]):
    """What makes a contracted price differ from the list's."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    version = serializers.IntegerField(help_text="Of the price book.")
    effective_from = InstantField(allow_null=True)
    effective_to = InstantField(allow_null=True)
    published_at = InstantField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]


class AttributionShape(serializers.Serializer[dict[str, Any]]):
    """Whose the call is, and the rule that says so."""

    team = serializers.CharField(allow_null=True)
    cost_centre = serializers.CharField(allow_null=True)
    business_unit = serializers.CharField(allow_null=True)
    feature = serializers.CharField(allow_null=True)
    tier = serializers.CharField(allow_null=True)
    rule = serializers.CharField()


UsageShape = type(
    "UsageShape",
    (serializers.Serializer,),
    {
        "__doc__": "Inclusive totals and their subsets, under their wire names.",
        **{name: serializers.IntegerField() for name in _WIRE_TOKENS},
        "units": serializers.DictField(child=ExactField()),
    },
)


class CallShape(serializers.Serializer[dict[str, Any]]):
    """One call, by every dimension of reports (null: not given, or nobody's), and what it used.

    There is no prompt and no completion text: none is ever kept.
    """

    def get_fields(self) -> dict[str, Any]:
        names = {name: serializers.CharField(allow_null=True) for name in _NAMES}
        return {**super().get_fields(), **names}

    event_id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    occurred_at = InstantField()
    received_at = InstantField(allow_null=True)
    status = serializers.ChoiceField(choices=[status.label for status in CallStatus])
    attempt = serializers.IntegerField()
    response_cache = serializers.CharField(allow_blank=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    ttft_ms = serializers.IntegerField(allow_null=True)
    tool_calls = serializers.IntegerField()
    retrieval_tokens = serializers.IntegerField(allow_null=True)
    task_id = serializers.CharField(allow_null=True)
    session_id = serializers.CharField(allow_null=True)
    end_user = serializers.CharField(allow_null=True)
    trace_id = serializers.CharField(allow_null=True)
    usage = UsageShape()
    cost_status = serializers.ChoiceField(choices=list(Status))
    cost = ExactField(allow_null=True, help_text="The effective cost; null: nothing of it has a price.")
    currency = serializers.CharField()
    costs = CallCostsShape()
    price = PriceReferenceShape(allow_null=True)
    attribution = AttributionShape()
    detail = serializers.DictField(
        child=serializers.JSONField(), help_text="What few calls have: tags, error type, reported cost, ..."
    )
    allocated_tags = serializers.DictField(
        child=serializers.CharField(),
        help_text='By allocation key, what the call is counted under: "(other)" beyond the cap.',
    )


class CallPageShape(serializers.Serializer[dict[str, Any]]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True, help_text="Always null: calls are read backwards.")
    results = CallShape(many=True)


class CostLineShape(serializers.Serializer[dict[str, Any]]):
    """One meter: quantity x unit price. A meter without a price has no cost, and is in no total."""

    meter = serializers.CharField()
    quantity = ExactField()
    list_price = ExactField(allow_null=True, help_text="Dollars for a single unit.")
    contracted_price = ExactField(allow_null=True)
    unit_price = ExactField(allow_null=True, help_text="What is effectively paid for a single unit.")
    list_cost = ExactField(allow_null=True)
    contracted_cost = ExactField(allow_null=True)
    cost = ExactField(allow_null=True, help_text="Effective.")
    price = PriceReferenceShape(allow_null=True)
    agreement = AgreementReferenceShape(allow_null=True)


class SlotShape(serializers.Serializer[PriceSlot]):
    """Everything about the call that decided its prices."""

    id = serializers.IntegerField()
    provider = serializers.CharField()
    model = serializers.CharField()
    host = serializers.CharField(allow_blank=True)
    region = serializers.CharField(allow_blank=True)
    service_tier = serializers.CharField()
    processing = serializers.CharField()
    speed = serializers.CharField()
    from_response_cache = serializers.BooleanField()
    account = serializers.CharField(allow_blank=True, help_text="The provider's account that is billed.")
    context_over = serializers.IntegerField(help_text="Prompt tokens, exclusive.")
    context_upto = serializers.IntegerField(allow_null=True, help_text="Prompt tokens, inclusive.")
    schedule = serializers.CharField(allow_blank=True)
    effective_from = InstantField(allow_null=True)
    effective_to = InstantField(allow_null=True)


class OwnershipShape(AttributionShape):
    """The row that attributes it: for which reporting days, and since when that is known."""

    valid_from = serializers.DateField(allow_null=True)
    valid_to = serializers.DateField(allow_null=True)
    known_from = InstantField(allow_null=True)


class ExplanationShape(serializers.Serializer[dict[str, Any]]):
    """Usage, meters, unit prices and their source, the rule, the statement line."""

    event = CallShape()
    usage = UsageShape()
    price_slot = SlotShape()
    lines = CostLineShape(many=True)
    status = serializers.ChoiceField(choices=list(Status))
    cost = ExactField(allow_null=True, help_text="The sum of the lines.")
    currency = serializers.CharField()
    attribution = OwnershipShape()
    statement_line = serializers.CharField(allow_null=True, help_text="Null until a statement holds it.")


def call_json(call: Call, prices: dict[int, Price], *, contracted: bool) -> dict[str, Any]:
    """A call as JSON; contracted amounts only for those who may see them."""
    return {
        "event_id": call.event_id,
        "source": call.source,
        "occurred_at": _time(call.occurred_at),
        "received_at": _time(call.received_at),
        **{name: call.names[name] for name in _NAMES},
        "status": call.status.label,
        "attempt": call.attempt,
        "response_cache": call.response_cache.label,
        "duration_ms": call.duration_ms,
        "ttft_ms": call.ttft_ms,
        "tool_calls": call.tool_calls,
        "retrieval_tokens": call.retrieval_tokens,
        "task_id": call.task_id,
        "session_id": call.session_id,
        "end_user": call.end_user,
        "trace_id": call.trace_id,
        "usage": _usage(call.cost),
        "cost_status": call.cost.status.value,
        "cost": _text(call.cost.effective_cost),
        "currency": settings.REPORTING_CURRENCY,
        "costs": _costs(call.cost, contracted=contracted),
        "price": _price(call.cost.price_id, prices),
        "attribution": {**{name: call.names[name] for name in _OWNERS}, "rule": call.rule},
        "detail": dict(call.detail),
        "allocated_tags": dict(call.allocated_tags),
    }


def explanation_json(found: Explanation, *, contracted: bool) -> dict[str, Any]:
    """The whole chain as JSON."""
    owner, cost = found.attribution, found.call.cost
    return {
        "event": call_json(found.call, found.prices, contracted=contracted),
        "usage": _usage(cost),
        "price_slot": SlotShape(found.slot).data,
        "lines": [_line(line, found, contracted=contracted) for line in cost.lines],
        "status": cost.status.value,
        "cost": _text(cost.effective_cost),
        "currency": settings.REPORTING_CURRENCY,
        "attribution": {
            **{name: getattr(owner, name) for name in _OWNERS},
            "rule": owner.rule,
            "valid_from": owner.valid_from.isoformat() if owner.valid_from else None,
            "valid_to": owner.valid_to.isoformat() if owner.valid_to else None,
            "known_from": _time(owner.known_from),
        },
        "statement_line": None,
    }


def _usage(cost: CallCost) -> dict[str, Any]:
    units = {line.meter: as_text(line.quantity) for line in cost.lines if line.meter_id >= FIRST_UNIT_METER}
    return {**{name: cost.tokens(TOKENS[name]) for name in _WIRE_TOKENS}, "units": units}


def _costs(cost: CallCost, *, contracted: bool) -> dict[str, Any]:
    return {
        "list_cost": _text(cost.list_cost),
        "contracted_cost": _text(cost.contracted_cost) if contracted else None,
        "effective_cost": _text(cost.effective_cost),
        "cache_savings": _text(cost.cache_savings),
    }


def _line(line: CostLine, found: Explanation, *, contracted: bool) -> dict[str, Any]:
    return {
        "meter": line.meter,
        "quantity": as_text(line.quantity),
        "list_price": _text(line.list_price),
        "contracted_price": _text(line.contracted_price) if contracted else None,
        "unit_price": _text(line.effective_price),
        "list_cost": _text(line.list_cost),
        "contracted_cost": _text(line.contracted_cost) if contracted else None,
        "cost": _text(line.cost),
        "price": _price(line.price_id, found.prices),
        "agreement": _agreement(line.agreement_id, found.agreements) if contracted else None,
    }


def _price(price_id: int | None, prices: dict[int, Price]) -> dict[str, Any] | None:
    if price_id is None:
        return None
    price = prices[price_id]
    return {
        "id": price.pk,
        "effective_from": _time(price.effective_from),
        "effective_to": _time(price.effective_to),
        "published_at": _time(price.version.published_at),
        "source": price.source,
    }


def _agreement(agreement_id: int | None, agreements: dict[int, Agreement]) -> dict[str, Any] | None:
    if agreement_id is None:
        return None
    agreement = agreements[agreement_id]
    return {
        "id": agreement.pk,
        "name": agreement.name,
        "version": agreement.version_id,
        "effective_from": _time(agreement.effective_from),
        "effective_to": _time(agreement.effective_to),
        "published_at": _time(agreement.version.published_at),
        "source": agreement.source,
    }


def _time(value: datetime | None) -> str | None:
    return None if value is None else InstantField().to_representation(value)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else as_text(value)
