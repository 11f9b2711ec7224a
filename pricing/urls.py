"""URLs of prices, relative to ``/api/v1/``."""

from __future__ import annotations

from django.urls import path

from pricing.api import Prices, RateCall

urlpatterns = [
    path("prices", Prices.as_view(), name="prices"),
    path("prices/rate", RateCall.as_view(), name="prices-rate"),
]
