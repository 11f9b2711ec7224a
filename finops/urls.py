"""Every URL of the product, by the app that answers it."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("api/v1/", include("attribution.api.urls")),
    path("api/v1/", include("pricing.urls")),
    path("accounts/", include("finops.accounts.sign_in_urls")),
    path("", include("finops.accounts.urls")),
    path("", include("attribution.urls")),
]
