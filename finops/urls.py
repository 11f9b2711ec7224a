"""Every URL of the product, by the app that answers it."""

from __future__ import annotations

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from attribution.api.traces import traces

# The API browser draws its own styles; its page alone may, and it shows nothing of the books.
_browser = csp_update({"style-src": [SELF, UNSAFE_INLINE]})(
    SpectacularSwaggerSplitView.as_view(url_name="schema")
)

handler404 = "finops.core.unanswered.not_found"
handler500 = "finops.core.unanswered.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", _browser, name="api-docs"),
    path("api/v1/", include("attribution.api.urls")),
    path("api/v1/", include("pricing.urls")),
    # Where OpenTelemetry exporters and the Langfuse SDK send spans: paths of their making.
    path("v1/traces", traces, name="traces"),
    path("api/public/otel/v1/traces", traces, name="traces-langfuse"),
    path("accounts/", include("finops.accounts.sign_in_urls")),
    path("", include("finops.accounts.urls")),
    path("", include("attribution.urls")),
    path("prices/", include("pricing.screen_urls")),
    path("", include("finops.pages.urls")),
    path("", include("finops.ui.urls")),
]
