"""The product's URLs, and the references on the same server."""

from __future__ import annotations

from django.urls import path

from bench import reference
from finops.urls import urlpatterns as product

urlpatterns = [
    path("bench/empty", reference.empty),
    path("bench/drf/events", reference.EventsView.as_view()),
    *product,
]
