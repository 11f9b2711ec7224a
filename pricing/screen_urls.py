"""Screens of prices, relative to ``/prices/``."""

from __future__ import annotations

from django.urls import path

from pricing.views import book, entry, imports, model, versions

app_name = "pricing"
urlpatterns = [
    path("", book.prices, name="prices"),
    path("export.<str:wanted>", book.prices_export, name="prices-export"),
    path("model/", model.model, name="model"),
    path("versions/", versions.version_list, name="versions"),
    path("versions/<int:number>/", versions.version, name="version"),
    path("enter/", entry.enter_price, name="enter"),
    path("import/", imports.import_prices, name="import"),
]
