"""Screens of the books, included at the root."""

from __future__ import annotations

from django.urls import path

from attribution.views import explorer

app_name = "attribution"
urlpatterns = [
    path("costs/", explorer.explorer, name="explorer"),
    path("costs/export.<str:wanted>", explorer.explorer_export, name="explorer-export"),
]
