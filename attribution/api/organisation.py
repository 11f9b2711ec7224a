"""Teams, cost centres, business units, features, tiers: list, look at, make, move.

All five read alike: ``POST`` makes a name or changes one that is there, ``PATCH`` changes one, and
what is not said stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution import organisation
from attribution.api import organisation_shapes as shapes
from attribution.models import BusinessUnit, CostCentre, Feature, Team, Tier
from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import InvalidInput, NotFound
from finops.core.shapes import problem_answers

_MAY = (requires(read=Capability.VIEW_COSTS, write=Capability.EDIT_OWNERSHIP),)
Json = dict[str, Any]  # Any: JSON


class BySlug(CursorPagination):
    """A hundred at a time, in the order of their slugs."""

    page_size = 100
    max_page_size = 1_000
    page_size_query_param = "limit"
    ordering = "slug"


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the five."""

    singular: str
    plural: str
    rows: Callable[[], QuerySet[Any]]  # Any: five models
    as_json: Callable[[Any], Json]
    shape: type[serializers.BaseSerializer[Any]]
    detail: type[serializers.BaseSerializer[Any]]
    body: type[serializers.Serializer[Json]]
    put: Callable[..., bool]
    is_team: bool = False


def views_of(kind: Kind) -> tuple[type[APIView], type[APIView]]:
    """The views of ``/plural`` and ``/plural/{slug}``."""

    class Names(APIView):
        __doc__ = f"All {kind.plural.replace('_', ' ')}."
        permission_classes = _MAY

        @extend_schema(
            operation_id=f"{kind.plural}_list",
            parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
            responses={200: _page_of(kind), **problem_answers(400, 401, 403, 429)},
        )
        def get(self, request: Request) -> Response:
            """In the order of their slugs, as they stand today."""
            paginator = BySlug()
            page = paginator.paginate_queryset(_visible(kind, request), request, view=self) or []
            return paginator.get_paginated_response([_without_history(kind.as_json(row)) for row in page])

        @extend_schema(
            operation_id=f"{kind.plural}_put",
            request=kind.body,
            responses={
                201: OpenApiResponse(kind.detail, description="Made."),
                200: OpenApiResponse(kind.detail, description="Changed, or as it was already."),
                **problem_answers(400, 401, 403, 409, 422, 429),
            },
        )
        @idempotent
        def post(self, request: Request) -> Response:
            """Make it, or change one of that slug. What is not said stays as it is."""
            said = _checked(kind.body(data=request.data))
            is_new = _put(kind, said, request)
            body = kind.as_json(_find(kind, said["slug"], request))
            return Response(body, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    class Name(APIView):
        __doc__ = f"One {kind.singular.replace('_', ' ')}."
        permission_classes = _MAY

        @extend_schema(
            operation_id=f"{kind.plural}_get",
            responses={200: kind.detail, **problem_answers(401, 403, 404, 429)},
        )
        def get(self, request: Request, slug: str) -> Response:
            """As it stands today, with its history."""
            return Response(kind.as_json(_find(kind, slug, request)))

        @extend_schema(
            operation_id=f"{kind.plural}_change",
            request=kind.body,
            responses={200: kind.detail, **problem_answers(400, 401, 403, 404, 429)},
        )
        def patch(self, request: Request, slug: str) -> Response:
            """Change what is said; the slug itself never changes."""
            _find(kind, slug, request)
            if not isinstance(request.data, dict):
                raise InvalidInput.field("body", "invalid", "Send a JSON object.")
            said = _checked(kind.body(data={**request.data, "slug": slug}))
            _put(kind, said, request)
            return Response(kind.as_json(_find(kind, slug, request)))

    return Names, Name


def _page_of(kind: Kind) -> type[serializers.Serializer[Json]]:
    return type(
        f"{kind.shape.__name__.removesuffix('Shape')}Page",
        (serializers.Serializer,),
        {
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": kind.shape(many=True),
        },
    )


def _checked(body: serializers.Serializer[Json]) -> Json:
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _put(kind: Kind, said: Json, request: Request) -> bool:
    slug = said["slug"]
    rest = {name: value for name, value in said.items() if name != "slug"}
    return kind.put(slug, actor=principal_of(request).label, **rest)


def _visible(kind: Kind, request: Request) -> QuerySet[Any]:
    teams = principal_of(request).visible_teams
    rows = kind.rows()
    return rows.filter(slug__in=teams) if kind.is_team and teams is not None else rows


def _find(kind: Kind, slug: str, request: Request) -> Any:
    found = _visible(kind, request).filter(slug=slug).first()
    if found is None:
        raise NotFound(f'There is no {kind.singular.replace("_", " ")} "{slug}".')
    return found


def _without_history(body: Json) -> Json:
    return {name: value for name, value in body.items() if name != "history"}


KINDS = (
    Kind(
        "team",
        "teams",
        lambda: Team.objects.prefetch_related("placements__cost_centre__placements__business_unit"),
        shapes.team_json,
        shapes.TeamShape,
        shapes.TeamDetailShape,
        shapes.TeamBody,
        organisation.put_team,
        is_team=True,
    ),
    Kind(
        "cost_centre",
        "cost_centres",
        lambda: CostCentre.objects.prefetch_related("placements__business_unit"),
        shapes.cost_centre_json,
        shapes.CostCentreShape,
        shapes.CostCentreDetailShape,
        shapes.CostCentreBody,
        organisation.put_cost_centre,
    ),
    Kind(
        "business_unit",
        "business_units",
        BusinessUnit.objects.all,
        shapes.business_unit_json,
        shapes.NameShape,
        shapes.NameShape,
        shapes.NameBody,
        organisation.put_business_unit,
    ),
    Kind(
        "feature",
        "features",
        lambda: Feature.objects.prefetch_related("ownerships__team"),
        shapes.feature_json,
        shapes.FeatureShape,
        shapes.FeatureDetailShape,
        shapes.FeatureBody,
        organisation.put_feature,
    ),
    Kind(
        "tier",
        "tiers",
        Tier.objects.all,
        shapes.tier_json,
        shapes.TierShape,
        shapes.TierShape,
        shapes.NameBody,
        organisation.put_tier,
    ),
)
