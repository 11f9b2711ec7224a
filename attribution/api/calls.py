"""``GET /api/v1/events``: single calls, each with its cost, and the explanation of one."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlencode

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution.api.call_shapes import CallPageShape, ExplanationShape, call_json, explanation_json
from attribution.api.costs import FILTER
from attribution.api.questions import Parameters, instant, last_days, whole
from attribution.call_costs import prices_of
from attribution.calls import MOST_AT_ONCE, CallQuery, calls
from attribution.explanations import explain
from attribution.models.events import CallStatus
from finops.accounts.permissions import Capability, Principal, principal_of, requires
from finops.core.errors import InvalidInput, NotFound
from finops.core.shapes import problem_answers

_STATUSES = {status.label: status for status in CallStatus}
_EXACT = ("event_id", "task_id", "session_id", "end_user", "trace_id")
_KNOWN = ("from", "to", "filter", "status", "priced", "limit", "cursor", "as_of", *_EXACT)
_DEFAULT_DAYS = 7

LIST_PARAMETERS = [
    OpenApiParameter(
        "from", OpenApiTypes.DATE, description="First day, in the reporting zone. Default: a week."
    ),
    OpenApiParameter("to", OpenApiTypes.DATE, description="The day after the last."),
    FILTER,
    *(OpenApiParameter(name, str) for name in _EXACT),
    OpenApiParameter("status", str, enum=list(_STATUSES), many=True, explode=False),
    OpenApiParameter("priced", bool, description="`false`: only calls without any price, or without usage."),
    OpenApiParameter("limit", int, description=f"1 to {MOST_AT_ONCE}, default 50."),
    OpenApiParameter("cursor", str, description="From `next`."),
    OpenApiParameter("as_of", OpenApiTypes.DATETIME),
]


class ListCalls(APIView):
    """The reading half of ``/api/v1/events``."""

    permission_classes = (requires(read=Capability.VIEW_COSTS),)

    @extend_schema(
        operation_id="events",
        summary="Single calls with their cost",
        parameters=LIST_PARAMETERS,
        responses={200: CallPageShape, **problem_answers(400, 401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """Newest first. Costs are exact, at the prices and owners known now or at `as_of`."""
        principal = principal_of(request)
        query = _query(request, principal)
        page = calls(query)
        prices = prices_of([call.cost for call in page.calls])
        contracted = _may_see_contracted(principal)
        return Response(
            {
                "next": _next(request, page.next),
                "previous": None,
                "results": [call_json(call, prices, contracted=contracted) for call in page.calls],
            }
        )


class ExplainCall(APIView):
    """``GET /api/v1/events/{source}/{event_id}/explain``."""

    permission_classes = (requires(read=Capability.VIEW_COSTS),)

    @extend_schema(
        operation_id="explain_event",
        summary="Why a call costs what it costs",
        parameters=[
            OpenApiParameter("source", str, OpenApiParameter.PATH, description="Percent-encoded."),
            OpenApiParameter("event_id", str, OpenApiParameter.PATH, description="Percent-encoded."),
            OpenApiParameter("as_of", OpenApiTypes.DATETIME),
        ],
        responses={200: ExplanationShape, **problem_answers(400, 401, 403, 404, 429)},
    )
    def get(self, request: Request, source: str, event_id: str) -> Response:
        """The chain: usage, meters, unit prices and their source, the rule that attributed it."""
        principal = principal_of(request)
        parameters = Parameters(request.query_params, ("as_of",))
        as_of = parameters.read("as_of", instant, None)
        parameters.check()
        for split in _splits(f"{source}/{event_id}"):
            with suppress(NotFound):
                found = explain(*split, visible_teams=principal.visible_teams, as_of=as_of)
                return Response(explanation_json(found, contracted=_may_see_contracted(principal)))
        raise NotFound(f'There is no call "{event_id}" of source "{source}".')


def _may_see_contracted(principal: Principal) -> bool:
    return principal.may(Capability.VIEW_CONTRACTED_PRICES)


def _splits(path: str) -> list[tuple[str, str]]:
    """Every way to read ``source/event_id``: servers decode %2F, so a slash may be part of either."""
    return [(path[:place], path[place + 1 :]) for place, letter in enumerate(path) if letter == "/"]


def _query(request: Request, principal: Principal) -> CallQuery:
    parameters = Parameters(request.query_params, _KNOWN)
    period = parameters.period(last_days(_DEFAULT_DAYS))
    filters = parameters.filters()
    statuses = parameters.words("status")
    for status in statuses:
        if status not in _STATUSES:
            parameters.refuse("status", "unknown", f'"{status}" is not one of: {", ".join(_STATUSES)}.')
    priced = parameters.read("priced", _flag, None)
    limit = parameters.read("limit", whole(1, MOST_AT_ONCE), 50)
    as_of = parameters.read("as_of", instant, None)
    given = request.query_params
    try:
        query = CallQuery(
            period=period,
            filters=filters,
            **{name: given.get(name) for name in _EXACT},
            statuses=frozenset(_STATUSES[status] for status in statuses if status in _STATUSES),
            unpriced_only=priced is False,
            after=given.get("cursor"),
            limit=limit,
            as_of=as_of,
            visible_teams=principal.visible_teams,
        )
    except InvalidInput as error:
        parameters.check(error.problems)
        raise
    parameters.check()
    return query


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("Give true or false.")
    return text == "true"


def _next(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    kept = [(name, value) for name, value in _pairs(request) if name != "cursor"]
    return request.build_absolute_uri(f"{request.path}?{urlencode([*kept, ('cursor', cursor)])}")


def _pairs(request: Request) -> list[tuple[str, str]]:
    return [(name, value) for name, values in request.query_params.lists() for value in values]
