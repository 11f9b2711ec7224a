"""Registers ``finops.core`` with Django."""

from __future__ import annotations

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "finops.core"
    label = "core"
