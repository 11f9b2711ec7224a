"""What the ingest knows about itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution.ingest.health import ingest_health
from finops.accounts.permissions import Capability, principal_of, requires


class SourceCoverageShape(serializers.Serializer[dict[str, Any]]):
    source = serializers.CharField()  # type: ignore[assignment]
    calls = serializers.IntegerField()
    tagged_share = serializers.FloatField(help_text="Of calls that said their feature or their team, 0 to 1.")
    attributed_share = serializers.FloatField(help_text="Of calls that have a team today.")
    priced_share = serializers.FloatField(help_text="Of calls with some known price.")
    last_bucket = serializers.DateTimeField(help_text="The hour of its last call.")


class RepeatedPairShape(serializers.Serializer[dict[str, Any]]):
    event_id = serializers.CharField()
    other = serializers.CharField(help_text="The other call with the same answer.")


class RepeatedShape(serializers.Serializer[dict[str, Any]]):
    """Calls that are in the books although another one has the same answer, usage and second."""

    source = serializers.CharField()  # type: ignore[assignment]
    calls = serializers.IntegerField()
    last_at = serializers.DateTimeField(help_text="When the last of them was booked.")
    examples = RepeatedPairShape(many=True)


class SpoolShape(serializers.Serializer[dict[str, Any]]):
    """What the answering host acknowledged while PostgreSQL was away and has not booked yet."""

    bytes = serializers.IntegerField()
    most_bytes = serializers.IntegerField(help_text="Beyond it events are refused with 503.")
    oldest_at = serializers.DateTimeField(allow_null=True, help_text="Nothing waits since before.")
    set_aside = serializers.IntegerField(help_text="Files with records that could not be booked.")


class IngestHealthShape(serializers.Serializer[dict[str, Any]]):
    """The state of the ingest now; sources are of the last seven days."""

    watermark = serializers.DateTimeField(help_text="What was acknowledged before it is in the reports.")
    lag_seconds = serializers.FloatField()
    unfolded_batches = serializers.IntegerField()
    unfolded_calls = serializers.IntegerField()
    waiting_spans = serializers.IntegerField(help_text="Spans that wait for their relatives.")
    rates = serializers.DictField(
        child=serializers.FloatField(), help_text="Calls a second over the last `1m`, `5m`, `60m`."
    )
    sources = SourceCoverageShape(many=True)
    repeated = RepeatedShape(many=True)
    spool = SpoolShape()


class IngestHealthView(APIView):
    """``GET /api/v1/ingest/health``."""

    permission_classes = (requires(read=Capability.VIEW_COSTS),)

    @extend_schema(operation_id="ingest_health", summary="Health of the ingest", responses=IngestHealthShape)
    def get(self, request: Request) -> Response:
        """Watermark, lag, rates, and how well each source is tagged and priced."""
        health = ingest_health(principal_of(request).visible_teams)
        return Response(IngestHealthShape(asdict(health)).data)
