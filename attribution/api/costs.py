"""``GET /api/v1/costs``: any question to the books."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution.api.cost_shapes import CostAnswer, cost_answer
from attribution.api.questions import cost_query
from attribution.cost_query import (
    DEFAULT_MEASURES,
    DIMENSIONS,
    DOLLARS,
    MEASURES,
    NEGOTIATED,
    Granularity,
)
from attribution.reports import costs
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.shapes import problem_answers

FILTER = OpenApiParameter(
    "filter",
    str,
    many=True,
    explode=True,
    description=(
        "`dimension:value,value`, repeated for several dimensions, all of which must hold. An empty value"
        " is what has none (`team:`); `!dimension:...` keeps the others; a value with a comma is quoted."
    ),
)
_PARAMETERS = [
    OpenApiParameter(
        "from", OpenApiTypes.DATE, required=True, description="First day, in the reporting zone."
    ),
    OpenApiParameter("to", OpenApiTypes.DATE, required=True, description="The day after the last."),
    OpenApiParameter("granularity", str, enum=list(Granularity), default="total"),
    OpenApiParameter(
        "group_by",
        str,
        many=True,
        explode=False,
        description=f"Any of: {', '.join(DIMENSIONS)}, `tags.<key>` of allocation keys.",
    ),
    FILTER,
    OpenApiParameter(
        "measures",
        str,
        many=True,
        explode=False,
        description=f"Any of: {', '.join(MEASURES)}. Default: {', '.join(DEFAULT_MEASURES)}.",
    ),
    OpenApiParameter(
        "currency",
        str,
        default=DOLLARS,
        description=(
            "Each month's amounts are converted by the rate booked for it; a total is the sum of its months."
        ),
    ),
    OpenApiParameter(
        "as_of", OpenApiTypes.DATETIME, description="Answer with the prices and owners known at that time."
    ),
]


class Costs(APIView):
    """What was spent, on what, by whom."""

    permission_classes = (requires(read=Capability.VIEW_COSTS),)

    @extend_schema(
        operation_id="costs",
        summary="Costs by group and time",
        parameters=_PARAMETERS,
        responses={200: CostAnswer, **problem_answers(400, 401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """Amounts are exact decimal strings. Whatever the grouping, the total is the same.

        `contracted_cost` and `billed_cost` need the right to see contracted prices. Callers bound to teams
        get what is attributed to these. Charges beside usage (commitments, credits, taxes) are in every
        group of their own and in the total; they are no calls, and of no customer.
        """
        principal = principal_of(request)
        query = cost_query(request.query_params, principal.visible_teams)
        if not NEGOTIATED.isdisjoint(query.measures):
            principal.require(Capability.VIEW_CONTRACTED_PRICES)
        report = costs(query)
        answer = cost_answer(
            report,
            zone=settings.REPORTING_TIME_ZONE.key,
            currency=query.currency,
            as_of=query.as_of or timezone.now(),
        )
        return Response(answer)
