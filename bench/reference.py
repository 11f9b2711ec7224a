"""What the ingest is compared with: the plain Django way, and a view that does nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.models import PlainEvent

_TEXTS = (
    "source", "operation", "team", "feature", "tier", "environment", "workflow", "step",
    "prompt_version", "release", "customer", "end_user", "session_id", "task_id", "trace_id",
    "response_cache",
)  # fmt: skip


@csrf_exempt
def empty(request: HttpRequest) -> HttpResponse:
    """Read the body and answer: what any request costs on this server."""
    return HttpResponse(b'{"accepted": %d}' % bool(request.body), content_type="application/json")


class EpochField(serializers.IntegerField):
    """Epoch milliseconds as an aware datetime."""

    def to_internal_value(self, data: Any) -> Any:  # Any: as the base class has it
        return datetime.fromtimestamp(super().to_internal_value(data) / 1000, UTC)


class UsageSerializer(serializers.Serializer[Any]):
    """The usage object of an event."""

    input_tokens = serializers.IntegerField(min_value=0, max_value=10**9, default=0)
    cache_read_tokens = serializers.IntegerField(min_value=0, max_value=10**9, default=0)
    cache_write_tokens = serializers.IntegerField(min_value=0, max_value=10**9, default=0)
    cache_write_1h_tokens = serializers.IntegerField(min_value=0, max_value=10**9, default=0)
    output_tokens = serializers.IntegerField(min_value=0, max_value=10**9, default=0)
    reasoning_tokens = serializers.IntegerField(min_value=0, max_value=10**9, default=0)

    def validate(self, attrs: dict[str, int]) -> dict[str, int]:
        if attrs["cache_read_tokens"] + attrs["cache_write_tokens"] > attrs["input_tokens"]:
            raise serializers.ValidationError("cached tokens exceed input_tokens")
        if attrs["reasoning_tokens"] > attrs["output_tokens"]:
            raise serializers.ValidationError("reasoning_tokens exceed output_tokens")
        return attrs


class EventSerializer(serializers.Serializer[Any]):
    """One event, checked as the product checks it."""

    event_id = serializers.CharField(max_length=128)
    occurred_at = EpochField()
    provider = serializers.CharField(max_length=64)
    model = serializers.CharField(max_length=256)
    usage = UsageSerializer()
    status = serializers.ChoiceField(
        ["success", "error", "timeout", "cancelled", "refused"], default="success"
    )
    attempt = serializers.IntegerField(min_value=1, max_value=32_767, default=1)
    tool_calls = serializers.IntegerField(min_value=0, max_value=32_767, default=0)
    duration_ms = serializers.IntegerField(min_value=0, required=False)
    ttft_ms = serializers.IntegerField(min_value=0, required=False)
    retrieval_tokens = serializers.IntegerField(min_value=0, required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        texts = {name: serializers.CharField(max_length=128, required=False) for name in _TEXTS}
        return {**super().get_fields(), **texts}


class EventsView(APIView):
    """Validate with a serializer, write with ``bulk_create``; no prices, no rollups."""

    def post(self, request: Request) -> Response:
        """Store the events; duplicates are ignored by the unique constraint."""
        body: Any = request.data
        serializer = EventSerializer(data=body["events"], many=True)
        serializer.is_valid(raise_exception=True)
        rows = [PlainEvent(**{**event.pop("usage"), **event}) for event in serializer.validated_data]
        PlainEvent.objects.bulk_create(rows, ignore_conflicts=True)
        return Response({"accepted": len(rows)})
