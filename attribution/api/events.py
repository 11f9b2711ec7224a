"""``/api/v1/events``: POST goes to the plain view of the ingest, everything else to the listing."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from attribution.api.calls import ListCalls
from attribution.api.ingest import SendEvents, post_events


class Events(ListCalls, SendEvents):
    """Every method of the URL, for the OpenAPI document."""


_listing = Events.as_view()


@csrf_exempt
def events(request: HttpRequest, **_: Any) -> HttpResponseBase:
    """Dispatch by method."""
    return post_events(request) if request.method == "POST" else _listing(request)


# What drf-spectacular looks for on a view.
events.cls = Events  # type: ignore[attr-defined]
events.initkwargs = {}  # type: ignore[attr-defined]
