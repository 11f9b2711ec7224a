"""``/api/v1/reratings``: corrections of prices, shown before they are posted."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution import reratings
from attribution.models import Rerating
from attribution.rerating_lines import GROUPS, Effect, effects
from attribution.reratings import rerating_of
from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import InvalidInput, NotAllowed
from finops.core.shapes import problem_answers
from pricing.models import BookVersion
from pricing.shapes import ExactField, InstantField, Strict

_MAY = (requires(read=Capability.VIEW_COSTS, write=Capability.EDIT_PRICES),)
Json = dict[str, Any]  # Any: JSON
_GROUP_BY = OpenApiParameter(
    "group_by", str, description=f"Some of {', '.join(GROUPS)}, with commas between; team unless said."
)


class VersionBody(Strict):
    """Which version of the price book to look at: a draft, or one that was reviewed."""

    version = serializers.IntegerField(help_text="Its id.")


class DiscardBody(Strict):
    reason = serializers.CharField(required=False, default="", allow_blank=True)


class EffectShape(serializers.Serializer[Effect]):
    """Effective cost in US dollars, exact; what has no price is in no amount but in the counts."""

    calls = serializers.IntegerField(help_text="Calls of which a price changes.")
    newly_priced = serializers.IntegerField(help_text="Of those, calls that had no price.")
    newly_unpriced = serializers.IntegerField(help_text="Of those, calls that would have none.")
    before = ExactField()
    after = ExactField()
    difference = ExactField()


class ReratingShape(serializers.Serializer[Rerating]):
    """One re-rating and its totals, as they were shown."""

    id = serializers.IntegerField()
    version = serializers.IntegerField(source="version_id")
    status = serializers.CharField()
    made_at = InstantField()
    made_by = serializers.CharField()
    decided_at = InstantField(allow_null=True)
    decided_by = serializers.CharField()
    reason = serializers.CharField()
    currency = serializers.CharField(default="USD", read_only=True)
    first_day = serializers.DateField(allow_null=True)
    last_day = serializers.DateField(allow_null=True)
    running_day = serializers.DateField(help_text="From this day on usage may grow until it is approved.")
    total = EffectShape(source="*")
    known_from = InstantField(
        allow_null=True, help_text="As of any time before, everything costs what it did."
    )
    posted_before = ExactField(allow_null=True)
    posted_after = ExactField(allow_null=True)


class ReratingLineShape(EffectShape):
    key = serializers.DictField(help_text="By the names of `group_by`; null: nobody's.")


class ReratingDetailShape(ReratingShape):
    lines = ReratingLineShape(many=True, help_text="The largest change first.")


class _Newest(CursorPagination):
    page_size = 50
    ordering = "-id"


class Reratings(ListAPIView[Rerating]):
    """``/api/v1/reratings``."""

    permission_classes = _MAY
    serializer_class = ReratingShape
    pagination_class = _Newest
    queryset = Rerating.objects.none()

    @extend_schema(
        operation_id="reratings_list",
        responses={200: ReratingShape(many=True), **problem_answers(401, 403, 429)},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The newest first."""
        _refuse_some_teams(request)
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="reratings_preview",
        request=VersionBody,
        parameters=[_GROUP_BY],
        responses={
            201: OpenApiResponse(ReratingDetailShape, description="Nothing is changed yet."),
            **problem_answers(400, 401, 403, 409, 422, 429),
        },
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Show what publishing a version would change of what is booked, and keep it to be approved."""
        said = VersionBody(data=request.data)
        said.is_valid(raise_exception=True)
        version = BookVersion.objects.filter(pk=said.validated_data["version"]).first()
        if version is None:
            raise InvalidInput.field("version", "unknown", "There is no such version of the price book.")
        made = reratings.preview(version, by=principal_of(request).label)
        return Response(_detail(request, made), status.HTTP_201_CREATED)

    def get_queryset(self) -> QuerySet[Rerating]:
        return Rerating.objects.all()


class ReratingOne(APIView):
    """``/api/v1/reratings/{id}``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="reratings_get",
        parameters=[_GROUP_BY],
        responses={200: ReratingDetailShape, **problem_answers(400, 401, 403, 404, 429)},
    )
    def get(self, request: Request, number: int) -> Response:
        """One re-rating with its lines, as they were shown."""
        _refuse_some_teams(request)
        return Response(_detail(request, rerating_of(number)))


class ReratingApprove(APIView):
    """``POST /api/v1/reratings/{id}/approve``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="reratings_approve",
        request=None,
        responses={200: ReratingShape, **problem_answers(401, 403, 404, 409, 422, 429)},
    )
    def post(self, request: Request, number: int) -> Response:
        """Publish the version and restate what is booked. Approved before, nothing is done.

        409 `rerating_stale` when the figures would be others than shown: preview the version again.
        """
        done = reratings.approve(rerating_of(number), principal_of(request).label)
        return Response(ReratingShape(done).data)


class ReratingDiscard(APIView):
    """``POST /api/v1/reratings/{id}/discard``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="reratings_discard",
        request=DiscardBody,
        responses={200: ReratingShape, **problem_answers(400, 401, 403, 404, 409, 429)},
    )
    def post(self, request: Request, number: int) -> Response:
        """Decide against it. The version stays as it is."""
        said = DiscardBody(data=request.data)
        said.is_valid(raise_exception=True)
        actor = principal_of(request).label
        done = reratings.discard(rerating_of(number), actor, said.validated_data["reason"])
        return Response(ReratingShape(done).data)


def _detail(request: Request, rerating: Rerating) -> Json:
    names = request.query_params.get("group_by", "team").split(",")
    if unknown := [name for name in names if name not in GROUPS]:
        message = f'"{unknown[0]}" is none of {", ".join(GROUPS)}.'
        raise InvalidInput.field("group_by", "unknown", message)
    lines = [
        {**EffectShape(effect).data, "key": dict(zip(names, map(_plain, effect.key), strict=True))}
        for effect in effects(rerating, names)
    ]
    return {**ReratingShape(rerating).data, "lines": lines}


def _plain(value: Any) -> str | None:  # Any: a name or a day
    return None if value is None else str(value)


def _refuse_some_teams(request: Request) -> None:
    """The effect is on everybody: who sees some teams only may not read it."""
    if principal_of(request).visible_teams is not None:
        raise NotAllowed("Re-ratings are for those who see all teams.")
