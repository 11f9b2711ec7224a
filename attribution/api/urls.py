"""URLs of the books' API."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import URLPattern, path

from attribution.api import terms
from attribution.api.allocation_keys import AllocationKeyOne, AllocationKeys
from attribution.api.calls import ExplainCall
from attribution.api.contracts import SourceContractOne, SourceContracts
from attribution.api.costs import Costs
from attribution.api.events import events
from attribution.api.ingest_state import IngestHealthView
from attribution.api.litellm import litellm_log
from attribution.api.organisation import KINDS, views_of
from attribution.api.outcomes import Outcomes
from attribution.api.outcomes_revenue import Revenues
from attribution.api.provider_keys import ProviderKeys, ProviderKeysOne
from attribution.api.quarantine import Dismiss, DismissAll, QuarantineList, Replay, ReplayAll
from attribution.api.reratings import ReratingApprove, ReratingDiscard, ReratingOne, Reratings
from attribution.api.tagging import (
    TaggingRuleOne,
    TaggingRuleOrder,
    TaggingRulePreview,
    TaggingRuleRetire,
    TaggingRules,
)
from attribution.api.tagging_trial import TaggingRuleTest


def _organisation() -> Iterator[URLPattern]:
    for kind in KINDS:
        names, name = views_of(kind)
        yield path(kind.plural, names.as_view(), name=kind.plural)
        yield path(f"{kind.plural}/<path:slug>", name.as_view(), name=kind.singular)


def _terms() -> Iterator[URLPattern]:
    for kind in terms.KINDS:
        one = f"{kind.plural}/<int:number>"
        yield path(kind.plural, terms.list_of(kind).as_view(), name=kind.plural)
        yield path(one, terms.one_of(kind).as_view(), name=kind.singular)
        yield path(f"{one}/correct", terms.correct_of(kind).as_view(), name=f"{kind.singular}-correct")
        yield path(f"{one}/end", terms.end_of(kind).as_view(), name=f"{kind.singular}-end")
        yield path(f"{one}/withdraw", terms.withdraw_of(kind).as_view(), name=f"{kind.singular}-withdraw")


urlpatterns: list[URLPattern] = [
    path("events", events, name="events"),
    path("events/<path:source>/<path:event_id>/explain", ExplainCall.as_view(), name="explain-event"),
    path("costs", Costs.as_view(), name="costs"),
    path("outcomes", Outcomes.as_view(), name="outcomes"),
    path("revenue", Revenues.as_view(), name="revenue"),
    path("quarantine", QuarantineList.as_view(), name="quarantine"),
    path("quarantine/replay", ReplayAll.as_view(), name="quarantine-replay-all"),
    path("quarantine/dismiss", DismissAll.as_view(), name="quarantine-dismiss-all"),
    path("quarantine/<int:number>/replay", Replay.as_view(), name="quarantine-replay"),
    path("quarantine/<int:number>/dismiss", Dismiss.as_view(), name="quarantine-dismiss"),
    path("tagging_rules", TaggingRules.as_view(), name="tagging-rules"),
    path("tagging_rules/order", TaggingRuleOrder.as_view(), name="tagging-rules-order"),
    path("tagging_rules/preview", TaggingRulePreview.as_view(), name="tagging-rules-preview"),
    path("tagging_rules/test", TaggingRuleTest.as_view(), name="tagging-rules-test"),
    path("tagging_rules/<int:number>", TaggingRuleOne.as_view(), name="tagging-rule"),
    path("tagging_rules/<int:number>/retire", TaggingRuleRetire.as_view(), name="tagging-rule-retire"),
    path("source_contracts", SourceContracts.as_view(), name="source-contracts"),
    path("source_contracts/<path:source>", SourceContractOne.as_view(), name="source-contract"),
    path("allocation_keys", AllocationKeys.as_view(), name="allocation-keys"),
    path("allocation_keys/<str:key>", AllocationKeyOne.as_view(), name="allocation-key"),
    path("provider_keys", ProviderKeys.as_view(), name="provider-keys"),
    path("provider_keys/<str:provider>/<path:name>", ProviderKeysOne.as_view(), name="provider-keys-one"),
    path("reratings", Reratings.as_view(), name="reratings"),
    path("reratings/<int:number>", ReratingOne.as_view(), name="rerating"),
    path("reratings/<int:number>/approve", ReratingApprove.as_view(), name="rerating-approve"),
    path("reratings/<int:number>/discard", ReratingDiscard.as_view(), name="rerating-discard"),
    path("ingest/litellm", litellm_log, name="ingest-litellm"),
    path("ingest/health", IngestHealthView.as_view(), name="ingest-health"),
    *_terms(),
    *_organisation(),
]
