"""URLs of prices, relative to ``/api/v1/``."""

from __future__ import annotations

from django.urls import path

from pricing import api_versions as versions
from pricing.api import RateCall
from pricing.api_agreements import AgreementOne, Agreements
from pricing.api_book import Prices
from pricing.api_fx import FxRates

_ONE = "price_versions/<int:number>"

urlpatterns = [
    path("prices", Prices.as_view(), name="prices"),
    path("prices/rate", RateCall.as_view(), name="prices-rate"),
    path("fx_rates", FxRates.as_view(), name="fx-rates"),
    path("price_agreements", Agreements.as_view(), name="price-agreements"),
    path("price_agreements/<int:number>", AgreementOne.as_view(), name="price-agreement"),
    path("price_versions", versions.PriceVersions.as_view(), name="price-versions"),
    path("price_versions/import", versions.PriceVersionImport.as_view(), name="price-versions-import"),
    path(_ONE, versions.PriceVersionOne.as_view(), name="price-version"),
    path(f"{_ONE}/review", versions.Review.as_view(), name="price-version-review"),
    path(f"{_ONE}/publish", versions.Publish.as_view(), name="price-version-publish"),
    path(f"{_ONE}/discard", versions.Discard.as_view(), name="price-version-discard"),
    path(f"{_ONE}/leave_out", versions.LeaveOut.as_view(), name="price-version-leave-out"),
    path(
        f"{_ONE}/blocks/<int:block>/acknowledge",
        versions.Acknowledge.as_view(),
        name="price-version-acknowledge",
    ),
]
