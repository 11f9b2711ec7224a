"""Pages that only exist while developing, included at the root."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, path

from finops.ui.styleguide import styleguide

urlpatterns: list[URLPattern] = [path("styleguide/", styleguide)] if settings.DEBUG else []
