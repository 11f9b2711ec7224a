"""``/api/v1/outcomes``: how tasks ended."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution import outcomes
from attribution.api.exact_json import ExactJson
from attribution.api.outcomes_shapes import (
    OutcomePage,
    OutcomesAnswer,
    OutcomesBody,
    OutcomeShape,
    OutcomesSpooled,
)
from attribution.outcomes import Sender
from finops.accounts.idempotency import idempotent
from finops.accounts.models import ApiKey
from finops.accounts.permissions import Capability, principal_of
from finops.core.shapes import problem_answers


class MaySend(BasePermission):
    """To send: recording outcomes or sending events, for programs do both with one key."""

    def has_permission(self, request: Request, view: Any) -> bool:  # Any: as DRF types a view
        principal = principal_of(request)
        reads = request.method in SAFE_METHODS
        if not principal.may(Capability.VIEW_COSTS if reads else Capability.SEND_EVENTS):
            principal.require(Capability.RECORD_OUTCOMES)
        return True


class NewestFirst(CursorPagination):
    page_size = 100
    max_page_size = 1000
    page_size_query_param = "limit"
    ordering = "-id"


class Outcomes(APIView):
    """``/api/v1/outcomes``."""

    permission_classes = (MaySend,)
    parser_classes = (ExactJson,)

    @extend_schema(
        operation_id="outcomes",
        summary="Outcomes as they were stated",
        parameters=[
            OpenApiParameter("task_id"),
            OpenApiParameter("source"),
            OpenApiParameter("cursor"),
            OpenApiParameter("limit", int),
        ],
        responses={200: OutcomePage, **problem_answers(401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """The last received first. A caller bound to teams sees what came with their teams' keys."""
        given = request.query_params
        found = outcomes.stated(
            principal_of(request), task_id=given.get("task_id", ""), source=given.get("source", "")
        )
        paginator = NewestFirst()
        page = paginator.paginate_queryset(found, request, view=self) or []
        return paginator.get_paginated_response(OutcomeShape(page, many=True).data)

    @extend_schema(
        operation_id="send_outcomes",
        summary="Say how tasks ended",
        description=(
            "At most 10,000 outcomes, before or after their calls; gzip and zstd bodies too. Sending the"
            " same again does no harm. Of several outcomes of one task the one with the latest `occurred_at`"
            " counts, in whichever order they arrive. One bad outcome never costs the others."
        ),
        request=OutcomesBody,
        responses={
            200: OutcomesAnswer,
            202: OutcomesSpooled,
            **problem_answers(400, 401, 403, 413, 415, 422, 429, 503),
        },
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """200 says that what it counts as accepted is durable; so is what 202 counts as spooled."""
        answered = outcomes.record(request.data, _sender(request))
        return Response(answered.as_dict(), 202 if answered.spooled else 200)


def _sender(request: Request) -> Sender:
    principal = principal_of(request)
    key = request.auth
    if not isinstance(key, ApiKey):
        return Sender(principal.label)
    return Sender(principal.label, key.source or key.name, bool(key.source or key.team), key.team)
