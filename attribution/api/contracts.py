"""``/api/v1/source_contracts``: what sources must say."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution import contracts
from attribution.models import ContractMode, SourceContract
from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.shapes import problem_answers
from pricing.shapes import Strict

_MAY = (requires(read=Capability.VIEW_COSTS, write=Capability.EDIT_OWNERSHIP),)
Json = dict[str, Any]  # Any: JSON
_KEYS = f"{', '.join(contracts.KEYS)}, and `tags.<key>` of allocation keys"


class ContractBody(Strict):
    """What is not said stays as it is."""

    mode = serializers.ChoiceField(ContractMode.choices, required=False)
    required = serializers.ListField(  # type: ignore[assignment]
        child=serializers.CharField(), required=False, help_text=f"Keys among {_KEYS}."
    )
    allowed = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="By key, the values it may have.",
    )
    aliases = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField()),
        required=False,
        help_text="By key, other spellings (in upper or lower case) and what they are kept as.",
    )
    teams = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="The teams it may claim, as they are kept; none: any. Always refused otherwise.",
    )
    owner = serializers.CharField(
        max_length=254, required=False, allow_blank=True, help_text="Whom to ask about its events."
    )
    account = serializers.CharField(
        max_length=contracts.LONGEST,
        required=False,
        allow_blank=True,
        help_text="The provider's account that is billed for calls that name none, from now on.",
    )


class NewContractBody(ContractBody):
    source = serializers.CharField(max_length=contracts.LONGEST)  # type: ignore[assignment]


class ContractShape(serializers.Serializer[Json]):
    source = serializers.CharField()  # type: ignore[assignment]
    mode = serializers.ChoiceField(ContractMode.choices)
    required = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    allowed = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    aliases = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))
    teams = serializers.ListField(child=serializers.CharField())
    owner = serializers.CharField()
    account = serializers.CharField()


class ContractPage(serializers.Serializer[Json]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ContractShape(many=True)


class BySource(CursorPagination):
    page_size = 100
    max_page_size = 1_000
    page_size_query_param = "limit"
    ordering = "source"


class SourceContracts(APIView):
    """``/api/v1/source_contracts``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="source_contracts_list",
        parameters=[OpenApiParameter("cursor"), OpenApiParameter("limit", int)],
        responses={200: ContractPage, **problem_answers(401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """In the order of the sources."""
        paginator = BySource()
        page = paginator.paginate_queryset(SourceContract.objects.all(), request, view=self) or []
        return paginator.get_paginated_response([contracts.as_json(row) for row in page])

    @extend_schema(
        operation_id="source_contracts_put",
        request=NewContractBody,
        responses={
            201: OpenApiResponse(ContractShape, description="Made."),
            200: OpenApiResponse(ContractShape, description="Changed."),
            **problem_answers(400, 401, 403, 422, 429),
        },
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Make the contract of a source, or change it. It holds in every process within a second or so."""
        said = _checked(NewContractBody(data=request.data))
        contract, is_new = contracts.put(actor=principal_of(request).label, **said)
        return Response(contracts.as_json(contract), status.HTTP_201_CREATED if is_new else 200)


class SourceContractOne(APIView):
    """``/api/v1/source_contracts/{source}``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="source_contracts_get",
        responses={200: ContractShape, **problem_answers(401, 403, 404, 429)},
    )
    def get(self, request: Request, source: str) -> Response:
        """What the source must say."""
        return Response(contracts.as_json(contracts.contract_of(source)))

    @extend_schema(
        operation_id="source_contracts_change",
        request=ContractBody,
        responses={200: ContractShape, **problem_answers(400, 401, 403, 404, 429)},
    )
    def patch(self, request: Request, source: str) -> Response:
        """Change what is said."""
        contracts.contract_of(source)
        said = _checked(ContractBody(data=request.data))
        contract, _ = contracts.put(source, actor=principal_of(request).label, **said)
        return Response(contracts.as_json(contract))

    @extend_schema(
        operation_id="source_contracts_drop",
        responses={204: None, **problem_answers(401, 403, 404, 429)},
    )
    def delete(self, request: Request, source: str) -> Response:
        """From now on anything goes for it."""
        contracts.drop(source, actor=principal_of(request).label)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _checked(body: serializers.Serializer[Json]) -> Json:
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)
