"""``/api/v1/revenue``: what was earned, by month."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution import revenue
from attribution.api.exact_json import ExactJson
from attribution.api.outcomes import NewestFirst
from attribution.api.outcomes_shapes import RevenueBody, RevenuePage, RevenueShape
from attribution.revenue import Earned
from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import InvalidInput
from finops.core.shapes import problem_answers

_EXACT = ("period", "tier", "feature", "currency")


class Revenues(APIView):
    """``/api/v1/revenue``."""

    permission_classes = (requires(read=Capability.VIEW_COSTS, write=Capability.RECORD_OUTCOMES),)
    parser_classes = (ExactJson,)

    @extend_schema(
        operation_id="revenue",
        summary="Revenue as it was told",
        parameters=[
            *(OpenApiParameter(name) for name in _EXACT),
            OpenApiParameter("history", bool, description="`true`: superseded amounts as well."),
            OpenApiParameter("cursor"),
            OpenApiParameter("limit", int),
        ],
        responses={200: RevenuePage, **problem_answers(400, 401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """The last told first. A caller bound to teams sees that of features that their teams own today."""
        given = request.query_params
        history = given.get("history", "false")
        if history not in ("true", "false"):
            raise InvalidInput.field("history", "not_a_choice", "One of true, false.")
        asked = {name: given[name] for name in _EXACT if name in given}
        found = revenue.recorded(principal_of(request), history=history == "true", **asked)
        paginator = NewestFirst()
        page = paginator.paginate_queryset(found, request, view=self) or []
        return paginator.get_paginated_response(RevenueShape(page, many=True).data)

    @extend_schema(
        operation_id="send_revenue",
        summary="Tell what was earned",
        request=RevenueBody,
        responses={
            201: OpenApiResponse(RevenueShape, description="Kept; what was told before is superseded."),
            200: OpenApiResponse(RevenueShape, description="Nothing new."),
            **problem_answers(400, 401, 403, 413, 415, 422, 429, 503),
        },
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """One amount a month, tier, feature and currency: a new one supersedes the old, which is kept."""
        body = RevenueBody(data=request.data)
        body.is_valid(raise_exception=True)
        row, is_new = revenue.record(Earned(**body.validated_data), principal_of(request))
        return Response(RevenueShape(row).data, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)
