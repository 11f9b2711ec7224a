"""``/api/v1/quarantine``: records outside the books, looked at, replayed, dismissed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution import quarantining
from attribution.models import Quarantined, QuarantineReason
from attribution.quarantining import LONGEST_NOTE, MOST_AT_ONCE, Done, Wanted
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import InvalidInput
from finops.core.shapes import FieldProblemShape, problem_answers
from pricing.shapes import Strict

_MAY = (requires(read=Capability.VIEW_COSTS, write=Capability.REPLAY_QUARANTINE),)
Json = dict[str, Any]  # Any: JSON


class QuarantinedShape(serializers.ModelSerializer[Quarantined]):
    class Meta:
        model = Quarantined
        fields = (
            "id",
            "received_at",
            "reason",
            "source",
            "event_id",
            "api_key",
            "key_team",
            "field",
            "code",
            "message",
            "payload",
            "resolved_at",
            "resolution",
            "resolved_by",
            "note",
        )


class QuarantinePage(serializers.Serializer[Json]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = QuarantinedShape(many=True)


class ReplayBody(Strict):
    """``event``: what it should have said; left out, the record as it is."""

    event = serializers.DictField(required=False)


class ReplayedShape(serializers.Serializer[Json]):
    became = serializers.ChoiceField(["accepted", "duplicate"])
    record = QuarantinedShape()


class IdsBody(Strict):
    ids = serializers.ListField(child=serializers.IntegerField(), min_length=1, max_length=MOST_AT_ONCE)


class DismissBody(Strict):
    note = serializers.CharField(max_length=LONGEST_NOTE, help_text="Why it stays outside the books.")


class DismissAllBody(IdsBody):
    note = serializers.CharField(max_length=LONGEST_NOTE)


class FailureShape(serializers.Serializer[Json]):
    id = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldProblemShape(many=True)  # type: ignore[assignment]


class DoneShape(serializers.Serializer[Json]):
    """Records that are gone from the list, and those that stay with the reason."""

    resolved = serializers.ListField(child=serializers.IntegerField())
    failed = FailureShape(many=True)


class NewestFirst(CursorPagination):
    page_size = 100
    max_page_size = 1000
    page_size_query_param = "limit"
    ordering = ("-received_at", "-id")


class QuarantineList(APIView):
    """``GET /api/v1/quarantine``."""

    permission_classes = (requires(read=Capability.VIEW_COSTS),)

    @extend_schema(
        operation_id="quarantine",
        summary="Records outside the books",
        parameters=[
            OpenApiParameter("reason", enum=QuarantineReason.values),
            OpenApiParameter("source"),
            OpenApiParameter("code", description="The rule that is broken, such as `contract`."),
            OpenApiParameter("age_days", int, description="At least so old."),
            OpenApiParameter("state", enum=["open", "resolved"], description="`open` unless said."),
            OpenApiParameter("cursor"),
            OpenApiParameter("limit", int),
        ],
        responses={200: QuarantinePage, **problem_answers(400, 401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """Newest first; a caller bound to teams sees what names them."""
        records = quarantining.wanted(quarantining.visible(principal_of(request)), _wanted(request))
        paginator = NewestFirst()
        page = paginator.paginate_queryset(records, request, view=self) or []
        return paginator.get_paginated_response(QuarantinedShape(page, many=True).data)


class Replay(APIView):
    """``POST /api/v1/quarantine/{id}/replay``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="quarantine_replay",
        request=ReplayBody,
        responses={200: ReplayedShape, **problem_answers(400, 401, 403, 404, 409, 429, 503)},
    )
    def post(self, request: Request, number: int) -> Response:
        """Send it, as it is or put right, through the same door as any event. Safe to repeat."""
        principal = principal_of(request)
        said = _checked(ReplayBody(data=request.data))
        record = quarantining.find(number, principal)
        became = quarantining.replay(record, principal, said.get("event"))
        record.refresh_from_db()
        return Response({"became": became, "record": QuarantinedShape(record).data})


class Dismiss(APIView):
    """``POST /api/v1/quarantine/{id}/dismiss``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="quarantine_dismiss",
        request=DismissBody,
        responses={200: QuarantinedShape, **problem_answers(400, 401, 403, 404, 409, 429)},
    )
    def post(self, request: Request, number: int) -> Response:
        """It stays outside the books, and is kept with who decided so and why."""
        principal = principal_of(request)
        said = _checked(DismissBody(data=request.data))
        record = quarantining.find(number, principal)
        quarantining.dismiss(record, principal, said["note"])
        record.refresh_from_db()
        return Response(QuarantinedShape(record).data)


class ReplayAll(APIView):
    """``POST /api/v1/quarantine/replay``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="quarantine_replay_all",
        request=IdsBody,
        responses={200: DoneShape, **problem_answers(400, 401, 403, 429, 503)},
    )
    def post(self, request: Request) -> Response:
        """Several as they are; what still fails stays."""
        said = _checked(IdsBody(data=request.data))
        return Response(_done(quarantining.replay_all(said["ids"], principal_of(request))))


class DismissAll(APIView):
    """``POST /api/v1/quarantine/dismiss``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="quarantine_dismiss_all",
        request=DismissAllBody,
        responses={200: DoneShape, **problem_answers(400, 401, 403, 429)},
    )
    def post(self, request: Request) -> Response:
        """Several for one reason."""
        said = _checked(DismissAllBody(data=request.data))
        return Response(_done(quarantining.dismiss_all(said["ids"], principal_of(request), said["note"])))


def _wanted(request: Request) -> Wanted:
    given = request.query_params
    reason, state = given.get("reason", ""), given.get("state", "open")
    if reason and reason not in QuarantineReason.values:
        raise InvalidInput.field("reason", "not_a_choice", f"One of {', '.join(QuarantineReason.values)}.")
    if state not in ("open", "resolved"):
        raise InvalidInput.field("state", "not_a_choice", "One of open, resolved.")
    days = given.get("age_days", "")
    if days and not (days.isascii() and days.isdigit() and len(days) < 6):
        raise InvalidInput.field("age_days", "invalid", "Expected a whole number of days.")
    return Wanted(
        reason=reason,
        source=given.get("source", ""),
        code=given.get("code", ""),
        days=int(days) if days else None,
        is_resolved=state == "resolved",
    )


def _done(done: Done) -> Json:
    failed = [
        {"id": number, "detail": error.detail, "errors": [problem.as_dict() for problem in error.problems]}
        for number, error in done.failed.items()
    ]
    return {"resolved": done.resolved, "failed": failed}


def _checked(body: serializers.Serializer[Json]) -> Json:
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)
