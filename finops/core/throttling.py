"""How often one caller may ask the API; 429 with Retry-After beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.cache import caches
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

if TYPE_CHECKING:
    # The views import the throttles that the settings name: at run time this would be a circle.
    from rest_framework.views import APIView


class PrincipalThrottle(SimpleRateThrottle):
    """Counts per API key or person, in each web process (``API_RATE_LIMIT``).

    The count is kept in the process: a shared one would cost a query for every request, and the
    limit is there against runaway scripts, not for accounting.
    """

    scope = "principal"
    cache = caches["local"]

    def get_cache_key(self, request: Request, view: APIView) -> str:
        principal = getattr(request, "auth", None) or request.user
        return f"throttle:{principal or self.get_ident(request)}"
