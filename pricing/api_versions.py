"""``/api/v1/price_versions``: drafts of the book with their diff; review, publish, discard."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.errors import NotFound
from finops.core.shapes import problem_answers
from pricing import drafts, imports
from pricing.models import BookVersion, VersionStatus
from pricing.shapes import InstantField, Strict
from pricing.version_shapes import BlockShape, Json, PriceVersionDetail, PriceVersionShape, version_json

_MAY = (requires(read="read", write=Capability.EDIT_PRICES),)
_ERRORS = problem_answers(400, 401, 403, 404, 409, 422, 429)


class VersionsPage(CursorPagination):
    """Newest first, a hundred at a time."""

    page_size = 100
    max_page_size = 1_000
    page_size_query_param = "limit"
    ordering = "-id"


class NewVersion(Strict):
    """An empty draft; prices are put into it by `POST /api/v1/prices`."""

    label = serializers.CharField(max_length=100)  # type: ignore[assignment]
    note = serializers.CharField(default="", allow_blank=True, max_length=2_000)


class ImportBody(Strict):
    """A sheet, or what the optional package genai-prices lists."""

    format = serializers.ChoiceField(["csv", "json", "genai-prices"])
    content = serializers.CharField(
        required=False, trim_whitespace=False, help_text="The sheet, as text. Columns: pricing/README.md."
    )
    name = serializers.CharField(max_length=200, default="", allow_blank=True)
    apply_from = InstantField(
        required=False, help_text="For prices that the sheet does not date. Left out: the next day in UTC."
    )
    complete = serializers.BooleanField(
        default=False, help_text="The sheet lists all of its providers; what is not in it ends."
    )
    providers = serializers.ListField(
        child=serializers.CharField(),
        default=list,
        help_text="Of genai-prices; all that the book knows, if empty.",
    )
    keep_first_hand = serializers.BooleanField(
        default=True, help_text="Leave prices that rest on a provider's page, a bill or somebody here."
    )

    def validate(self, attrs: Json) -> Json:
        if attrs["format"] != "genai-prices" and "content" not in attrs:
            raise serializers.ValidationError({"content": ["Give the sheet."]}, "required")
        return attrs


class ReasonBody(Strict):
    reason = serializers.CharField(max_length=drafts.LONGEST_REASON)


class ModelBody(Strict):
    provider = serializers.CharField()
    model = serializers.CharField()


class PublishedShape(serializers.Serializer[Json]):
    """What publishing did."""

    version = PriceVersionShape()
    added = serializers.IntegerField()
    superseded = serializers.IntegerField()
    slots_rerated = serializers.IntegerField(help_text="Groups of like calls whose unit prices changed.")


class PriceVersionPageShape(serializers.Serializer[Json]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = PriceVersionShape(many=True)


def find_version(number: int) -> BookVersion:
    """Any version. Raises NotFound."""
    version = BookVersion.objects.filter(pk=number).first()
    if version is None:
        raise NotFound(f"There is no version {number} of the price book.")
    return version


class PriceVersions(APIView):
    """``/api/v1/price_versions``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="price_versions_list",
        parameters=[
            OpenApiParameter("status", str, enum=list(VersionStatus.values)),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses={200: PriceVersionPageShape, **problem_answers(400, 401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """Versions, newest first."""
        versions = BookVersion.objects.all()
        if wanted := request.query_params.get("status"):
            serializers.ChoiceField(VersionStatus.choices).run_validation(wanted)
            versions = versions.filter(status=wanted)
        paginator = VersionsPage()
        page = paginator.paginate_queryset(versions, request, view=self) or []
        return paginator.get_paginated_response([PriceVersionShape(version).data for version in page])

    @extend_schema(
        operation_id="price_versions_add", request=NewVersion, responses={201: PriceVersionDetail, **_ERRORS}
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """An empty draft."""
        said = _checked(NewVersion(data=request.data))
        made = drafts.start(label=said["label"], note=said["note"], by=principal_of(request).label)
        return Response(version_json(made), status.HTTP_201_CREATED)


class PriceVersionImport(APIView):
    """``/api/v1/price_versions/import``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="price_versions_import",
        request=ImportBody,
        responses={201: OpenApiResponse(PriceVersionDetail, description="A draft with its diff."), **_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """A draft of what a sheet or the library says otherwise than the book. Nothing is applied."""
        said = _checked(ImportBody(data=request.data))
        by = principal_of(request).label
        apply_from = said.get("apply_from") or imports.next_midnight(timezone.now())
        if said["format"] == "genai-prices":
            made = imports.import_library(
                by=by,
                apply_from=apply_from,
                providers=said["providers"],
                keeps_first_hand=said["keep_first_hand"],
            )
        else:
            made = imports.import_sheet(
                said["content"].encode(),
                name=said["name"] or f"API, {said['format']}",
                by=by,
                apply_from=apply_from,
                is_json=said["format"] == "json",
                is_complete=said["complete"],
            )
        return Response(version_json(made), status.HTTP_201_CREATED)


class PriceVersionOne(APIView):
    """``/api/v1/price_versions/{id}``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="price_versions_get",
        responses={200: PriceVersionDetail, **problem_answers(401, 403, 404, 429)},
    )
    def get(self, request: Request, number: int) -> Response:
        """A version, everything it changes, and what stands in the way of its review.

        Agreements only for those who may see contracted prices.
        """
        sees_contracted = principal_of(request).may(Capability.VIEW_CONTRACTED_PRICES)
        return Response(version_json(find_version(number), sees_contracted=sees_contracted))


class Step(APIView):
    """One step in the life of a version."""

    permission_classes = _MAY


class Review(Step):
    """``/api/v1/price_versions/{id}/review``."""

    @extend_schema(
        operation_id="price_versions_review", request=None, responses={200: PriceVersionDetail, **_ERRORS}
    )
    @idempotent
    def post(self, request: Request, number: int) -> Response:
        """Declare it fit to be published. Every finding must be acknowledged before."""
        reviewed = drafts.review(find_version(number), by=principal_of(request).label)
        return Response(version_json(reviewed))


class Publish(Step):
    """``/api/v1/price_versions/{id}/publish``."""

    @extend_schema(
        operation_id="price_versions_publish", request=None, responses={200: PublishedShape, **_ERRORS}
    )
    @idempotent
    def post(self, request: Request, number: int) -> Response:
        """Put a reviewed version in force.

        One that prices booked usage otherwise is refused (409): `POST /api/v1/reratings` shows what it
        would restate, and approving that publishes it.
        """
        version = find_version(number)
        done = drafts.publish_untouching(version, by=principal_of(request).label)
        version.refresh_from_db()
        body: dict[str, Any] = {
            "version": PriceVersionShape(version).data,
            "added": done.added,
            "superseded": done.superseded,
            "slots_rerated": done.slots_rerated,
        }
        return Response(body)


class Discard(Step):
    """``/api/v1/price_versions/{id}/discard``."""

    @extend_schema(
        operation_id="price_versions_discard", request=None, responses={200: PriceVersionShape, **_ERRORS}
    )
    @idempotent
    def post(self, request: Request, number: int) -> Response:
        """Give a draft up. It stays to be read."""
        return Response(
            PriceVersionShape(drafts.discard(find_version(number), by=principal_of(request).label)).data
        )


class LeaveOut(Step):
    """``/api/v1/price_versions/{id}/leave_out``."""

    @extend_schema(
        operation_id="price_versions_leave_out",
        request=ModelBody,
        responses={200: PriceVersionDetail, **_ERRORS},
    )
    @idempotent
    def post(self, request: Request, number: int) -> Response:
        """Take everything about one model out of a draft."""
        said = _checked(ModelBody(data=request.data))
        version = find_version(number)
        drafts.leave_out(version, said["provider"], said["model"], by=principal_of(request).label)
        return Response(version_json(find_version(number)))


class Acknowledge(Step):
    """``/api/v1/price_versions/{id}/blocks/{block}/acknowledge``."""

    @extend_schema(
        operation_id="price_versions_acknowledge",
        request=ReasonBody,
        responses={200: BlockShape, **_ERRORS},
    )
    @idempotent
    def post(self, request: Request, number: int, block: int) -> Response:
        """Say why a finding is no obstacle."""
        said = _checked(ReasonBody(data=request.data))
        version = find_version(number)
        done = drafts.acknowledge(version, block, reason=said["reason"], by=principal_of(request).label)
        return Response(BlockShape(done).data)


def _checked(body: serializers.Serializer[Json]) -> Json:
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)
