"""``POST /api/v1/tagging_rules/test``: whose would such a call be?"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attribution.organisation import today
from attribution.tag_names import name_of
from attribution.tagging import try_out
from attribution.tagging_sql import MATCHED
from finops.accounts.permissions import Capability, requires
from finops.core.shapes import problem_answers
from pricing.shapes import Strict

Json = dict[str, Any]  # Any: JSON


class TrialBody(Strict):
    """What a call says; what is left out it does not say."""

    day = serializers.DateField(required=False, help_text="A reporting day; today unless said.")
    tags = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=256),
        required=False,
        help_text="By key; only allocation keys can matter.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Each field that rules may ask about."""
        fields = super().get_fields()
        for name in MATCHED:
            fields[name] = serializers.CharField(required=False, allow_blank=True, max_length=256)
        return fields


class TrialShape(serializers.Serializer[Json]):
    """Whose such a call is, and why; ``met`` are the rules it meets, in the order they are asked."""

    team = serializers.CharField(allow_null=True)
    cost_centre = serializers.CharField(allow_null=True)
    business_unit = serializers.CharField(allow_null=True)
    feature = serializers.CharField(allow_null=True)
    tier = serializers.CharField(allow_null=True)
    rule = serializers.CharField()
    met = serializers.ListField(child=serializers.DictField())


class TaggingRuleTest(APIView):
    """``POST /api/v1/tagging_rules/test``."""

    permission_classes = (requires(read=Capability.VIEW_COSTS),)

    @extend_schema(
        operation_id="tagging_rules_test",
        request=TrialBody,
        responses={200: TrialShape, **problem_answers(400, 401, 403, 429)},
    )
    def post(self, request: Request) -> Response:
        """Whose a call that says so would be, by which rule. Stores nothing."""
        body = TrialBody(data=request.data)
        body.is_valid(raise_exception=True)
        said = dict(body.validated_data)
        day = said.pop("day", None) or today()
        tags = {name_of(key): value for key, value in said.pop("tags", {}).items()}
        return Response(try_out({**said, **tags}, day).as_json())
