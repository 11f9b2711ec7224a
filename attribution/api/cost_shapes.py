"""The shapes of cost answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from attribution.cost_query import COSTS, DIMENSIONS, MEASURES, PERCENTILES
from attribution.reports import Bucket, CostReport, Coverage, Measures
from finops.core.money import as_text
from pricing.shapes import ExactField, InstantField


def _measure_fields() -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    # Any: DRF's own parameters of a field.
    fields: dict[str, serializers.Field[Any, Any, Any, Any]] = {}
    for name in MEASURES:
        if name in COSTS:
            fields[name] = ExactField(
                required=False, allow_null=True, help_text="Exact; null: nothing of it has a price."
            )
        elif name in PERCENTILES:
            fields[name] = serializers.FloatField(
                required=False, allow_null=True, help_text="Milliseconds, from a histogram; about 1 % exact."
            )
        else:
            fields[name] = serializers.IntegerField(required=False)
    return fields


MeasuresShape = type(
    "MeasuresShape",
    (serializers.Serializer,),
    {"__doc__": "The measures that were asked for.", **_measure_fields()},
)
BucketShape = type(
    "BucketShape",
    (MeasuresShape,),
    {
        "__doc__": "One bucket of time, only if there were calls or charges in it.",
        "start": serializers.CharField(
            help_text="First day (`2026-10-01`), or by the hour its first instant in UTC."
        ),
    },
)
KeyShape = type(
    "KeyShape",
    (serializers.Serializer,),
    {
        "__doc__": "The dimensions grouped by, tags of allocation keys too; null: not given, or nobody's.",
        **{name: serializers.CharField(required=False, allow_null=True) for name in DIMENSIONS},
    },
)


class GroupShape(serializers.Serializer[dict[str, Any]]):
    key = KeyShape()
    buckets = BucketShape(many=True)


class CoverageShape(serializers.Serializer[dict[str, Any]]):
    """What the figures leave out, and what is nobody's."""

    calls = serializers.IntegerField()
    unpriced_calls = serializers.IntegerField(help_text="Calls without any price; they are in no cost.")
    unpriced_quantities = serializers.DictField(
        child=ExactField(), help_text="By meter: what has no unit price, also of calls priced in part."
    )
    unattributed_calls = serializers.IntegerField()
    unattributed_cost = ExactField(
        allow_null=True, help_text="Effective, of calls and charges without a team."
    )
    complete_to = InstantField(help_text="Everything received before is counted.")
    pending_calls = serializers.IntegerField(help_text="Acknowledged calls that are not counted yet.")


class CostAnswer(serializers.Serializer[dict[str, Any]]):
    """Costs by group and bucket. The total is that of everything asked about, not a sum of a page."""

    def get_fields(self) -> dict[str, Any]:  # `from` is a word of the language
        period = {"from": serializers.DateField(), "to": serializers.DateField()}
        return {**period, **super().get_fields()}

    time_zone = serializers.CharField()
    currency = serializers.CharField(help_text="Of every amount.")
    as_of = InstantField(help_text="The knowledge the answer rests on.")
    groups = GroupShape(many=True)
    total = MeasuresShape()
    coverage = CoverageShape()


def cost_answer(report: CostReport, *, zone: str, currency: str, as_of: datetime) -> dict[str, Any]:
    """The report as JSON: amounts are strings, counts and tokens numbers."""
    period, names = report.query.period, report.query.group_by
    return {
        "from": period.first.isoformat(),
        "to": period.end.isoformat(),
        "time_zone": zone,
        "currency": currency,
        "as_of": _start(as_of, period.first),
        "groups": [
            {
                "key": dict(zip(names, group.key, strict=True)),
                "buckets": [_bucket(bucket, period.first) for bucket in group.buckets],
            }
            for group in report.groups
        ],
        "total": measures(report.total),
        "coverage": coverage(report.coverage),
    }


def measures(values: Measures) -> dict[str, Any]:
    """Measures as JSON."""
    return {name: as_text(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def coverage(value: Coverage) -> dict[str, Any]:
    """Coverage as JSON."""
    return {
        "calls": value.calls,
        "unpriced_calls": value.unpriced_calls,
        "unpriced_quantities": _texts(value.unpriced_quantities),
        "unattributed_calls": value.unattributed_calls,
        "unattributed_cost": None if value.unattributed_cost is None else as_text(value.unattributed_cost),
        "complete_to": InstantField().to_representation(value.watermark.complete_to),
        "pending_calls": value.watermark.pending_calls,
    }


def _texts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: as_text(amount) for name, amount in amounts.items()}


def _bucket(bucket: Bucket, first: date) -> dict[str, Any]:
    return {"start": _start(bucket.start, first), **measures(bucket.measures)}


def _start(start: date | datetime | None, first: date) -> str:
    if isinstance(start, datetime):
        return InstantField().to_representation(start)
    return (start or first).isoformat()
