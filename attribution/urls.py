"""Screens of the books, included at the root."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import URLPattern, path

from attribution.views import (
    arithmetic,
    explorer,
    governance,
    governance_contracts,
    governance_keys,
    imports,
    ownership,
    ownership_edit,
    provider_keys,
    quarantine,
    reratings,
    showback,
    span_attributes,
    subjects,
    terms,
    terms_edit,
    unattributed,
    usage,
)
from attribution.views.terms_kinds import SCREENS

app_name = "attribution"


def _terms() -> Iterator[URLPattern]:
    """Commitments, credits and taxes: among the prices, but they know teams and what was used."""
    for plural, screen in SCREENS.items():
        path_of, said = f"prices/{plural}/", {"plural": plural}
        one = f"{path_of}<int:number>/"
        yield path(path_of, terms.term_list, said, name=plural)
        yield path(f"{path_of}enter/", terms_edit.enter, said, name=f"{plural}-enter")
        yield path(one, terms.term, said, name=screen.singular)
        yield path(f"{one}correct/", terms_edit.correct, said, name=f"{screen.singular}-correct")


urlpatterns = [
    path("costs/", explorer.explorer, name="explorer"),
    path("costs/arithmetic/", arithmetic.arithmetic, name="arithmetic"),
    path("costs/arithmetic/export.<str:wanted>", arithmetic.arithmetic_export, name="arithmetic-export"),
    path("teams/<str:slug>/", subjects.team, name="team"),
    path("features/<str:slug>/", subjects.feature, name="feature"),
    path("tiers/<str:slug>/", subjects.tier, name="tier"),
    path("usage/", usage.usage, name="usage"),
    path("usage/export.<str:wanted>", usage.usage_export, name="usage-export"),
    path("usage/<path:source>/<str:event_id>/", usage.explanation, name="call"),
    path("showback/", showback.latest, name="showback-latest"),
    path("showback/<str:month>/", showback.showback, name="showback"),
    path("showback/<str:month>/export.<str:wanted>", showback.showback_export, name="showback-export"),
    path("ownership/", ownership.ownership, {"tab": "teams"}, name="ownership"),
    path("ownership/features/", ownership.ownership, {"tab": "features"}, name="ownership-features"),
    path("ownership/tiers/", ownership.ownership, {"tab": "tiers"}, name="ownership-tiers"),
    path(
        "ownership/cost-centres/",
        ownership.ownership,
        {"tab": "cost-centres"},
        name="ownership-cost-centres",
    ),
    path("ownership/confirm/<str:kind>/", ownership.confirm, name="ownership-confirm"),
    path("ownership/<str:kind>/", ownership_edit.entry, name="ownership-entry"),
    path("governance/", governance.rules, name="governance"),
    path("governance/try/", governance.trial, name="governance-try"),
    path("governance/rules/new/", governance.rule, name="governance-new"),
    path("governance/rules/<int:number>/", governance.rule, name="governance-rule"),
    path("governance/rules/<int:number>/move/", governance.move, name="governance-move"),
    path("governance/contracts/", governance_contracts.contract_list, name="governance-contracts"),
    path("governance/contracts/entry/", governance_contracts.contract_entry, name="governance-contract"),
    path("governance/keys/", governance_keys.key_list, name="governance-keys"),
    path("governance/keys/<str:key>/", governance_keys.key_entry, name="governance-key"),
    path("quarantine/", quarantine.quarantine, name="quarantine"),
    path("quarantine/<int:number>/", quarantine.record, name="quarantine-record"),
    path("reratings/", reratings.rerating_list, name="reratings"),
    path("reratings/<int:number>/", reratings.rerating, name="rerating"),
    path("reratings/<int:number>/export.<str:wanted>", reratings.rerating_export, name="rerating-export"),
    *_terms(),
    path("imports/", imports.import_list, name="imports"),
    path("imports/<int:number>/", imports.import_entry, name="import"),
    path("imports/<int:number>/refused.csv", imports.refused_csv, name="import-refused"),
    path("span-attributes/", span_attributes.span_attributes, name="span-attributes"),
    path("provider-keys/", provider_keys.provider_keys, name="provider-keys"),
    path("unattributed/", unattributed.unattributed, name="unattributed"),
    path("costs/export.<str:wanted>", explorer.explorer_export, name="explorer-export"),
]
