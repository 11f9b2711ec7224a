"""``/api/v1/allocation_keys``: the tag keys that costs are allocated by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution import allocation_keys
from attribution.allocation_keys import DEFAULT_VALUES, LEAST_VALUES, MOST_VALUES, Usage
from attribution.models import AllocationKey
from attribution.tag_names import name_of
from finops.accounts.idempotency import idempotent
from finops.accounts.permissions import Capability, principal_of, requires
from finops.core.shapes import problem_answers
from pricing.shapes import InstantField, Strict

_MAY = (requires(read=Capability.VIEW_COSTS, write=Capability.EDIT_OWNERSHIP),)
Json = dict[str, Any]  # Any: JSON

_MOST_HELP = 'Values kept of each source; further ones are booked as "(other)", and the call keeps its own.'


class KeyBody(Strict):
    """A tag key, as events spell it."""

    key = serializers.CharField(max_length=64)
    most_values = serializers.IntegerField(
        min_value=LEAST_VALUES, max_value=MOST_VALUES, default=DEFAULT_VALUES, help_text=_MOST_HELP
    )


class LimitBody(Strict):
    most_values = serializers.IntegerField(
        min_value=LEAST_VALUES, max_value=MOST_VALUES, help_text=_MOST_HELP
    )


class AllocationKeyShape(serializers.Serializer[Json]):
    """Counts are of the last seven days; null for who sees some teams only."""

    key = serializers.CharField()
    name = serializers.CharField(help_text="What rules, contracts and reports call it.")
    most_values = serializers.IntegerField()
    declared_at = InstantField(help_text="Calls that arrived since carry it.")
    declared_by = serializers.CharField()
    dropped_at = InstantField(allow_null=True, help_text="Calls that arrived since do not.")
    values = serializers.IntegerField(allow_null=True)
    calls = serializers.IntegerField(allow_null=True)
    capped_calls = serializers.IntegerField(allow_null=True, help_text='Of those, booked as "(other)".')


class AllocationKeyPage(serializers.Serializer[Json]):
    """All keys at once, those that were dropped too."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = AllocationKeyShape(many=True)


class AllocationKeys(APIView):
    """``/api/v1/allocation_keys``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="allocation_keys_list",
        responses={200: AllocationKeyPage, **problem_answers(401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """In the order of the keys."""
        used = _usage(request)
        found = [_json(row, used) for row in AllocationKey.objects.all()]
        return Response({"next": None, "previous": None, "results": found})

    @extend_schema(
        operation_id="allocation_keys_declare",
        request=KeyBody,
        responses={
            201: OpenApiResponse(AllocationKeyShape, description="Declared."),
            **problem_answers(400, 401, 403, 409, 422, 429),
        },
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Declare a key: calls that arrive from now on carry its tag, in every process within a second or so.

        Calls that arrived before do not.
        """
        said = _checked(KeyBody(data=request.data))
        row = allocation_keys.declare(
            said["key"], actor=principal_of(request).label, most_values=said["most_values"]
        )
        return Response(_json(row, _usage(request)), status.HTTP_201_CREATED)


class AllocationKeyOne(APIView):
    """``/api/v1/allocation_keys/{key}``."""

    permission_classes = _MAY

    @extend_schema(
        operation_id="allocation_keys_get",
        responses={200: AllocationKeyShape, **problem_answers(401, 403, 404, 429)},
    )
    def get(self, request: Request, key: str) -> Response:
        """One declared key."""
        return Response(_json(allocation_keys.declared_key(key), _usage(request)))

    @extend_schema(
        operation_id="allocation_keys_limit",
        request=LimitBody,
        responses={200: AllocationKeyShape, **problem_answers(400, 401, 403, 404, 429)},
    )
    def patch(self, request: Request, key: str) -> Response:
        """Keep more or fewer values. Those that are stored stay."""
        said = _checked(LimitBody(data=request.data))
        row = allocation_keys.limit(key, said["most_values"], actor=principal_of(request).label)
        return Response(_json(row, _usage(request)))

    @extend_schema(
        operation_id="allocation_keys_drop",
        responses={204: None, **problem_answers(401, 403, 404, 409, 429)},
    )
    def delete(self, request: Request, key: str) -> Response:
        """Calls that arrive from now on do not carry it; what was booked stays.

        Refused while a contract, or a rule that is still to hold, asks for it.
        """
        allocation_keys.drop(key, actor=principal_of(request).label)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _checked(body: serializers.Serializer[Json]) -> Json:
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _usage(request: Request) -> Mapping[str, Usage] | None:
    """By key; None for who may not see all calls."""
    return allocation_keys.usage() if principal_of(request).visible_teams is None else None


def _json(row: AllocationKey, usage: Mapping[str, Usage] | None) -> Json:
    used = None if usage is None else usage.get(row.key, Usage())
    return {
        "key": row.key,
        "name": name_of(row.key),
        "most_values": row.most_values,
        "declared_at": InstantField().to_representation(row.declared_at),
        "declared_by": row.declared_by,
        "dropped_at": InstantField().to_representation(row.dropped_at) if row.dropped_at else None,
        "values": used.values if used else None,
        "calls": used.calls if used else None,
        "capped_calls": used.capped_calls if used else None,
    }
