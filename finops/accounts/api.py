"""The API of accounts: who am I."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from finops.accounts.permissions import principal_of


class MeAnswer(serializers.Serializer[dict[str, object]]):
    """The caller as the product knows it."""

    label = serializers.CharField(help_text="An e-mail address, or `key: NAME`: as in the audit log.")  # type: ignore[assignment]
    role = serializers.CharField(allow_null=True, help_text="Of a person; null for a key.")
    scopes = serializers.ListField(child=serializers.CharField())
    capabilities = serializers.ListField(child=serializers.CharField())
    teams = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="The teams whose cost is visible; null: all.",
    )


class Me(APIView):
    """Who is calling, and what they may do and see."""

    @extend_schema(operation_id="me", responses=MeAnswer)
    def get(self, request: Request) -> Response:
        """Every caller may ask this: a way to try a key."""
        caller = principal_of(request)
        teams = None if caller.visible_teams is None else sorted(caller.visible_teams)
        return Response(
            {
                "label": caller.label,
                "role": caller.role,
                "scopes": sorted(caller.scopes),
                "capabilities": sorted(caller.capabilities),
                "teams": teams,
            }
        )
