"""Screens of the books, included at the root."""

from __future__ import annotations

from django.urls import path

from attribution.views import explorer, subjects, usage

app_name = "attribution"
urlpatterns = [
    path("costs/", explorer.explorer, name="explorer"),
    path("teams/<str:slug>/", subjects.team, name="team"),
    path("features/<str:slug>/", subjects.feature, name="feature"),
    path("tiers/<str:slug>/", subjects.tier, name="tier"),
    path("usage/", usage.usage, name="usage"),
    path("usage/export.<str:wanted>", usage.usage_export, name="usage-export"),
    path("usage/<path:source>/<str:event_id>/", usage.explanation, name="call"),
    path("costs/export.<str:wanted>", explorer.explorer_export, name="explorer-export"),
]
