"""URLs of the books' API."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import URLPattern, path

from attribution.api.calls import ExplainCall
from attribution.api.costs import Costs
from attribution.api.events import events
from attribution.api.ingest_state import IngestHealthView, QuarantineList
from attribution.api.litellm import litellm_log
from attribution.api.organisation import KINDS, views_of


def _organisation() -> Iterator[URLPattern]:
    for kind in KINDS:
        names, name = views_of(kind)
        yield path(kind.plural, names.as_view(), name=kind.plural)
        yield path(f"{kind.plural}/<path:slug>", name.as_view(), name=kind.singular)


urlpatterns: list[URLPattern] = [
    path("events", events, name="events"),
    path("events/<path:source>/<path:event_id>/explain", ExplainCall.as_view(), name="explain-event"),
    path("costs", Costs.as_view(), name="costs"),
    path("quarantine", QuarantineList.as_view(), name="quarantine"),
    path("ingest/litellm", litellm_log, name="ingest-litellm"),
    path("ingest/health", IngestHealthView.as_view(), name="ingest-health"),
    *_organisation(),
]
