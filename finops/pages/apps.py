"""Registers ``finops.pages`` with Django."""

from __future__ import annotations

from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "finops.pages"
    label = "pages"
