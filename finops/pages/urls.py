"""Screens that read several apps, included at the root."""

from __future__ import annotations

from django.urls import path

from finops.pages import health, overview, price_health

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("health/", health.health, name="health"),
    path("prices/health/", price_health.price_health, name="prices-health"),
]
