"""``/api/v1/provider_keys``: whose a provider's keys and projects are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution.ingest.rules import SLUG
from attribution.models import ProviderMapping
from attribution.pullers import mappings
from attribution.pullers.mappings import LONGEST, NAMES, Mapped
from attribution.pullers.providers import PROVIDERS
from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.shapes import problem_answers
from pricing.shapes import Strict

_MAY = (requires(read=Capability.VIEW_COSTS, write=Capability.EDIT_OWNERSHIP),)
Json = dict[str, Any]  # Any: JSON


def _listed(help_text: str) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=LONGEST), default=list, help_text=help_text
    )


class NamesShape(Strict):
    """Whose what is booked is; what is left out is decided by rules."""

    team = serializers.RegexField(SLUG.pattern + "$", max_length=LONGEST, required=False)
    feature = serializers.RegexField(SLUG.pattern + "$", max_length=LONGEST, required=False)
    tier = serializers.RegexField(SLUG.pattern + "$", max_length=LONGEST, required=False)
    environment = serializers.RegexField(SLUG.pattern + "$", max_length=LONGEST, required=False)


class MappingBody(Strict):
    provider = serializers.ChoiceField(list(PROVIDERS))
    name = serializers.CharField(max_length=LONGEST)
    api_keys = _listed("Ids as the provider reports them, never the keys.")
    projects = _listed("Ids of projects or workspaces: all their keys that no other mapping names.")
    sources = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST),
        help_text="Every source that tells of calls with these keys; empty: no client does.",
    )
    names = NamesShape(default=dict)
    book_from = serializers.DateField(required=False, help_text="The first UTC day; left out: today.")


class MappingShape(serializers.Serializer[Json]):
    provider = serializers.ChoiceField(list(PROVIDERS))
    name = serializers.CharField()
    api_keys = serializers.ListField(child=serializers.CharField())
    projects = serializers.ListField(child=serializers.CharField())
    sources = serializers.ListField(child=serializers.CharField())
    names = NamesShape()
    book_from = serializers.DateField()
    booked_days = serializers.IntegerField()
    held_days = serializers.IntegerField(help_text="Not booked, for it is not certain what to book.")


class MappingPage(serializers.Serializer[Json]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = MappingShape(many=True)


class ByName(CursorPagination):
    page_size = 100
    max_page_size = 1_000
    page_size_query_param = "limit"
    ordering = ("provider", "name")


class ProviderKeys(APIView):
    """``/api/v1/provider_keys``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="provider_keys_list",
        parameters=[OpenApiParameter("cursor"), OpenApiParameter("limit", int)],
        responses={200: MappingPage, **problem_answers(401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """In the order of provider and name."""
        paginator = ByName()
        page = paginator.paginate_queryset(mappings.active(), request, view=self) or []
        return paginator.get_paginated_response([_shown(row) for row in page])

    @extend_schema(
        operation_id="provider_keys_put",
        request=MappingBody,
        responses={200: OpenApiResponse(MappingShape), **problem_answers(400, 401, 403, 422, 429)},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Make a mapping, or replace the one of this name, for days that are not booked yet."""
        body = MappingBody(data=request.data)
        body.is_valid(raise_exception=True)
        said = dict(body.validated_data)
        said.setdefault("book_from", datetime.now(UTC).date())
        row = mappings.put(Mapped(**said), actor=principal_of(request).label)
        return Response(_shown(mappings.active().get(pk=row.pk)))


class ProviderKeysOne(APIView):
    """``/api/v1/provider_keys/{provider}/{name}``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="provider_keys_drop",
        responses={204: None, **problem_answers(401, 403, 404, 429)},
    )
    def delete(self, request: Request, provider: str, name: str) -> Response:
        """Book nothing more for it. What is booked stays."""
        mappings.drop(provider, name, actor=principal_of(request).label)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _shown(row: ProviderMapping) -> Json:
    counts: Any = row  # Any: with what ``mappings.active`` adds
    return {
        "provider": row.provider,
        "name": row.name,
        **{name: value for name, value in mappings.as_json(row).items() if name != "names"},
        "names": {name: row.names[name] for name in NAMES if name in row.names},
        "booked_days": counts.booked,
        "held_days": counts.held,
    }
