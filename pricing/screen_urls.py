"""Screens of prices, relative to ``/prices/``."""

from __future__ import annotations

from django.urls import path

from pricing.views import agreement_entry, agreements, book, entry, fx, imports, model, versions

app_name = "pricing"
urlpatterns = [
    path("", book.prices, name="prices"),
    path("export.<str:wanted>", book.prices_export, name="prices-export"),
    path("model/", model.model, name="model"),
    path("versions/", versions.version_list, name="versions"),
    path("versions/<int:number>/", versions.version, name="version"),
    path("enter/", entry.enter_price, name="enter"),
    path("agreements/", agreements.agreements, name="agreements"),
    path("agreements/export.<str:wanted>", agreements.agreements_export, name="agreements-export"),
    path("agreements/enter/", agreement_entry.enter_agreement_by_hand, name="agreement-enter"),
    path("agreements/<int:number>/", agreements.agreement, name="agreement"),
    path("exchange-rates/", fx.fx_rates, name="fx-rates"),
    path("import/", imports.import_prices, name="import"),
]
